// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "speaker/claims/claims.h"
#include "speaker/membership/membership.h"
#include "test/support/catch.h"

namespace stentor::speaker {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;

inline const net::IpAddress kAddressA = net::Ipv4Address::FromOctets(192, 0, 2, 1);
inline const net::IpAddress kAddressB = net::Ipv4Address::FromOctets(192, 0, 2, 2);
inline const net::IpAddress kStranger = net::Ipv4Address::FromOctets(198, 51, 100, 9);

inline Claims Some(std::size_t count, std::uint32_t epoch = 1) {
  Claims claims;
  for (std::size_t i = 0; i < count; ++i) {
    claims.push_back({.address = 100 + i, .epoch = epoch});
  }
  return claims;
}

// Two speakers and a wire without delay, which keeps what it carried and can be cut.
struct Pair {
  struct Side {
    std::unique_ptr<Membership> membership;
    net::IpAddress address;
    std::string node;
    std::vector<Change> changes;
    std::vector<std::vector<std::byte>> received;
    std::vector<std::byte> last_sent_to;
    int rivals_met = 0;
    int macs_changed = 0;
  };
  TimePoint now{1h};
  std::uint64_t next_random = 1;
  Side a{.membership = nullptr, .address = kAddressA, .node = "a", .changes = {}, .received = {}};
  Side b{.membership = nullptr, .address = kAddressB, .node = "b", .changes = {}, .received = {}};
  bool cut = false;
  const Side* deaf = nullptr;  // sends, but hears nothing

  void Make(Side& side, const std::vector<std::string>& secrets = {"secret"}) {
    side.membership = std::make_unique<Membership>(
        Membership::Options{.node = side.node, .secrets = secrets, .profile = LanProfile()},
        [this] { return next_random++; });
  }
  void Start(Side& side) {
    Carry(side, side.membership->SetPeers(now, {{.node = "a", .addresses = {kAddressA}},
                                                {.node = "b", .addresses = {kAddressB}}}));
  }
  void StartBoth() {
    Make(a);
    Make(b);
    Start(a);
    Start(b);
    RunFor(200ms);
    REQUIRE(Sees(a, "b"));
    REQUIRE(Sees(b, "a"));
  }
  Side& Other(Side& side) { return &side == &a ? b : a; }
  void Carry(Side& side, const Actions& actions) {
    side.changes.insert(side.changes.end(), actions.changes.begin(), actions.changes.end());
    side.rivals_met += actions.rival_met ? 1 : 0;
    side.macs_changed += actions.macs_changed ? 1 : 0;
    for (const OutgoingDatagram& datagram : actions.send) {
      Side& other = Other(side);
      CHECK(datagram.destination == other.address);
      CHECK(datagram.bytes.size() <= kMaxDatagramSize);
      other.last_sent_to = datagram.bytes;
      if (!cut && &other != deaf && other.membership) {
        other.received.push_back(datagram.bytes);
        Carry(other, other.membership->OnDatagram(now, side.address, datagram.bytes));
      }
    }
  }
  void RunFor(Duration duration) {
    for (const TimePoint until = now + duration; now < until; now += 1ms) {
      for (Side* side : {&a, &b}) {
        if (side->membership) {
          const auto deadline = side->membership->NextDeadline();
          if (deadline && *deadline <= now) {
            Carry(*side, side->membership->Poll(now));
            CHECK((!side->membership->NextDeadline() || *side->membership->NextDeadline() > now));
          }
        }
      }
    }
  }
  static bool Sees(const Side& side, const std::string& node) {
    const std::vector<AliveMember> members = side.membership->AliveMembers();
    return std::any_of(members.begin(), members.end(),
                       [&node](const AliveMember& m) { return m.node == node; });
  }
  static std::size_t Count(const Side& side, ChangeKind kind) {
    return static_cast<std::size_t>(
        std::count_if(side.changes.begin(), side.changes.end(),
                      [kind](const Change& c) { return c.kind == kind; }));
  }
};

inline std::uint64_t Dropped(const Pair::Side& side, MembershipDrop reason) {
  return side.membership->drops()[static_cast<std::size_t>(reason)];
}

}  // namespace stentor::speaker
