// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "speaker/membership/membership.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Many speakers and a wire that carries everything at once, but what somebody can't hear.
struct Cluster {
  TimePoint now{1h};
  std::uint64_t next_random = 1;
  std::map<net::IpAddress, std::unique_ptr<Membership>> members;
  std::map<std::pair<net::IpAddress, net::IpAddress>, std::size_t> carried;  // from, to
  std::map<net::IpAddress, std::vector<Change>> changes;
  std::set<net::IpAddress> silent;

  explicit Cluster(std::size_t size) {
    std::vector<PeerAddress> peers;
    for (std::size_t i = 0; i < size; ++i) {
      peers.push_back({.node = "node-" + std::to_string(i), .addresses = {AddressOf(i)}});
    }
    for (std::size_t i = 0; i < size; ++i) {
      members[AddressOf(i)] = std::make_unique<Membership>(
          Membership::Options{
              .node = peers[i].node, .secrets = {"secret"}, .profile = LanProfile()},
          [this] { return next_random++; });
    }
    for (auto& [address, member] : members) {
      Carry(address, member->SetPeers(now, peers));
    }
  }
  static net::IpAddress AddressOf(std::size_t i) {
    return net::Ipv4Address::FromOctets(192, 0, 2, static_cast<std::uint8_t>(i + 1));
  }
  void Carry(const net::IpAddress& from, const Actions& actions) {
    auto& seen = changes[from];
    seen.insert(seen.end(), actions.changes.begin(), actions.changes.end());
    for (const OutgoingDatagram& datagram : actions.send) {
      if (silent.contains(from) || silent.contains(datagram.destination)) {
        continue;
      }
      ++carried[{from, datagram.destination}];
      Carry(datagram.destination,
            members.at(datagram.destination)->OnDatagram(now, from, datagram.bytes));
    }
  }
  void RunFor(Duration duration) {
    for (const TimePoint until = now + duration; now < until; now += 1ms) {
      for (auto& [address, member] : members) {
        if (!silent.contains(address) && *member->NextDeadline() <= now) {
          Carry(address, member->Poll(now));
        }
      }
    }
  }
  [[nodiscard]] bool AllSee(std::size_t count) const {
    return std::all_of(members.begin(), members.end(), [&](const auto& entry) {
      return silent.contains(entry.first) || entry.second->AliveMembers().size() == count;
    });
  }
  [[nodiscard]] std::size_t Count(ChangeKind kind) const {
    std::size_t count = 0;
    for (const auto& [address, seen] : changes) {
      count += static_cast<std::size_t>(std::count_if(
          seen.begin(), seen.end(), [kind](const Change& c) { return c.kind == kind; }));
    }
    return count;
  }
};

}  // namespace

TEST_CASE("What a speaker sends and receives doesn't grow with the cluster", "[membership]") {
  const Profile profile = LanProfile();
  const auto size = GENERATE(as<std::size_t>(), 3, 9, 10, 30, 60);
  Cluster cluster(size);
  cluster.RunFor(2s);
  REQUIRE(cluster.AllSee(size));
  cluster.carried.clear();
  cluster.RunFor(10s);
  std::map<net::IpAddress, std::size_t> sent;
  std::map<net::IpAddress, std::size_t> received;
  for (const auto& [way, count] : cluster.carried) {
    sent[way.first] += count;
    received[way.second] += count;
  }
  const std::size_t rounds = 100;
  const std::size_t bound = rounds * (profile.observers + 3);  // one is asked, and answers
  for (const auto& [address, member] : cluster.members) {
    CHECK(sent[address] <= bound);
    CHECK(received[address] <= bound + bound / 5);
    CHECK(sent[address] >= rounds * std::min(size - 1, profile.observers));
  }
  CHECK(cluster.Count(ChangeKind::kSuspected) == 0);
  CHECK(cluster.Count(ChangeKind::kDied) == 0);
}

TEST_CASE("A death is known to all at once, also to those who don't watch", "[membership]") {
  const Profile profile = LanProfile();
  Cluster cluster(40);
  cluster.RunFor(2s);
  REQUIRE(cluster.AllSee(40));
  const auto dead = GENERATE(as<std::size_t>(), 1, 5, 20);
  for (std::size_t i = 0; i < dead; ++i) {
    cluster.silent.insert(Cluster::AddressOf(2 * i));
  }
  cluster.RunFor(profile.suspect_after + profile.confirm_for + profile.probe_interval);
  CHECK(cluster.AllSee(40 - dead));
  CHECK(cluster.Count(ChangeKind::kDied) == dead * (40 - dead));

  cluster.silent.clear();  // it was a partition
  cluster.RunFor(profile.heartbeat_interval * 3);
  CHECK(cluster.AllSee(40));
}

TEST_CASE("A speaker that is cut off from all gives up all, whether it watched them or not",
          "[membership]") {
  Cluster cluster(40);
  cluster.RunFor(2s);
  for (std::size_t i = 1; i < 40; ++i) {
    cluster.silent.insert(Cluster::AddressOf(i));
  }
  cluster.RunFor(1s);
  CHECK(cluster.members.at(Cluster::AddressOf(0))->AliveMembers().size() == 1);
}

}  // namespace stentor::speaker
