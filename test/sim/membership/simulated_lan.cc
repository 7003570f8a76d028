// SPDX-License-Identifier: Apache-2.0
#include "test/sim/membership/simulated_lan.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "speaker/election/election.h"

namespace stentor::sim {
namespace {

constexpr std::size_t kSocketBuffer = 1000;  // datagrams that wait for a paused process

}  // namespace

bool LongRun() { return std::getenv("STENTOR_SIM_LONG") != nullptr; }

SimulatedLan::SimulatedLan(std::size_t count, std::uint64_t seed, LinkQuality quality,
                           Duration timer_jitter)
    : random_(seed), quality_(quality), timer_jitter_(timer_jitter), nodes_(count) {
  for (std::size_t i = 0; i < count; ++i) {
    model::Node node;
    node.name = NameOf(i);
    node_objects_.push_back(std::move(node));
  }
  link_up_.assign(count, std::vector<bool>(count, true));
}

std::string SimulatedLan::NameOf(std::size_t node) const { return "node-" + std::to_string(node); }

net::IpAddress SimulatedLan::AddressOf(std::size_t node) const {
  return net::Ipv4Address(0xC6120000U + static_cast<std::uint32_t>(node) + 1);  // 198.18.0.0/15
}

bool SimulatedLan::IsRunning(std::size_t node) const {
  return nodes_.at(node).membership != nullptr;
}

const speaker::Membership& SimulatedLan::At(std::size_t node) const {
  return *nodes_.at(node).membership;
}

void SimulatedLan::Start(std::size_t node, const std::string& secret) {
  Node& n = nodes_.at(node);
  n.socket.clear();
  n.host_up = true;
  n.paused_until = {};
  n.membership = std::make_unique<speaker::Membership>(
      speaker::Membership::Options{
          .node = NameOf(node), .secrets = {secret}, .profile = speaker::LanProfile()},
      [this] { return random_(); });
  std::vector<speaker::PeerAddress> peers;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    peers.push_back({.node = NameOf(i), .addresses = {AddressOf(i)}});
  }
  Carry(node, n.membership->SetPeers(now_, peers));
}

void SimulatedLan::StartAll() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Start(i);
    RunFor(std::chrono::milliseconds(random_() % 70));
  }
}

void SimulatedLan::Crash(std::size_t node) {
  Kill(node);
  nodes_.at(node).host_up = false;
}

void SimulatedLan::Kill(std::size_t node) {
  Node& n = nodes_.at(node);
  n.membership.reset();
  n.announces = false;
  n.socket.clear();
}

void SimulatedLan::Leave(std::size_t node) { Carry(node, nodes_.at(node).membership->Leave(now_)); }

void SimulatedLan::Pause(std::size_t node, Duration duration) {
  Node& n = nodes_.at(node);
  n.paused_until = now_ + duration;
  n.wake = std::max(n.wake, n.paused_until);
}

void SimulatedLan::SetLink(std::size_t from, std::size_t to, bool up) {
  link_up_.at(from).at(to) = up;
}

void SimulatedLan::Partition(const std::set<std::size_t>& side) {
  for (std::size_t a = 0; a < size(); ++a) {
    for (std::size_t b = 0; b < size(); ++b) {
      SetLink(a, b, side.contains(a) == side.contains(b));
    }
  }
}

void SimulatedLan::Heal() { link_up_.assign(size(), std::vector<bool>(size(), true)); }

void SimulatedLan::Inject(std::size_t to, const net::IpAddress& source,
                          std::vector<std::byte> bytes) {
  Node& n = nodes_.at(to);
  if (n.membership) {
    Carry(to, n.membership->OnDatagram(now_, source, bytes));
  }
}

void SimulatedLan::SetYields(std::size_t node, speaker::YieldReasons yields) {
  Carry(node, nodes_.at(node).membership->SetLocalState(now_, yields));
}

bool SimulatedLan::Chance(double probability) {
  return probability > 0 && std::uniform_real_distribution<>(0, 1)(random_) < probability;
}

void SimulatedLan::Arm(Node& node) {
  const auto deadline = node.membership->NextDeadline();
  if (!deadline) {
    node.wake = TimePoint::max();
    return;
  }
  const auto jitter = timer_jitter_.count() == 0
                          ? Duration::zero()
                          : Duration(static_cast<std::int64_t>(
                                random_() % static_cast<std::uint64_t>(timer_jitter_.count())));
  node.wake = std::max({*deadline + jitter, now_, node.paused_until});
}

void SimulatedLan::Carry(std::size_t node, speaker::Actions actions) {
  for (const speaker::OutgoingDatagram& datagram : actions.send) {
    Transmit(node, datagram);
  }
  for (speaker::Change& change : actions.changes) {
    if (change.kind == speaker::ChangeKind::kDied) {
      for (std::size_t i = 0; i < size(); ++i) {
        if (NameOf(i) == change.node && IsRunning(i) && nodes_[i].paused_until <= now_) {
          ++false_deaths_;
        }
      }
    }
    observed_.push_back({.at = now_, .observer = node, .change = std::move(change)});
  }
  if (actions.view_changed) {
    UpdateAnnounces(node);
  }
  nodes_[node].rivals_met += actions.rival_met ? 1 : 0;
  if (nodes_[node].membership->LeaveComplete()) {
    Kill(node);
  } else {
    Arm(nodes_[node]);
  }
}

void SimulatedLan::Transmit(std::size_t from, const speaker::OutgoingDatagram& datagram) {
  ++datagrams_;
  const std::size_t to = static_cast<std::size_t>(datagram.destination.low() - 0xC6120001U);
  if (recording_) {
    recorded_.push_back({.to = to, .source = AddressOf(from), .bytes = datagram.bytes});
  }
  const int copies = Chance(quality_.duplication) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    if (!link_up_[from][to] || Chance(quality_.loss)) {
      continue;
    }
    const auto span = static_cast<std::uint64_t>((quality_.max_delay - quality_.min_delay).count());
    const Duration delay =
        quality_.min_delay + Duration(static_cast<std::int64_t>(random_() % (span + 1)));
    events_.push({.at = now_ + delay,
                  .order = order_++,
                  .to = to,
                  .from = from,
                  .source = AddressOf(from),
                  .bytes = datagram.bytes});
  }
}

void SimulatedLan::Deliver(Event event) {
  Node& node = nodes_[event.to];
  if (!link_up_[event.from][event.to] || !node.host_up) {
    return;
  }
  if (!node.membership) {
    if (!event.bytes.empty() && link_up_[event.to][event.from]) {
      events_.push({.at = now_ + quality_.min_delay,
                    .order = order_++,
                    .to = event.from,
                    .from = event.to,
                    .source = AddressOf(event.to),
                    .bytes = {}});
    }
    return;
  }
  if (now_ < node.paused_until) {
    if (node.socket.size() < kSocketBuffer) {
      node.socket.push_back(std::move(event));
    }
    return;
  }
  const std::size_t to = event.to;
  Carry(to, event.bytes.empty() ? node.membership->OnUnreachable(now_, event.source)
                                : node.membership->OnDatagram(now_, event.source, event.bytes));
}

void SimulatedLan::Step(TimePoint until) {
  TimePoint next = events_.empty() ? TimePoint::max() : events_.top().at;
  std::size_t due = size();
  for (std::size_t i = 0; i < size(); ++i) {
    if (nodes_[i].membership && nodes_[i].wake < next) {
      next = nodes_[i].wake;
      due = i;
    }
  }
  AccountOwners(std::min(next, until));
  now_ = std::max(now_, std::min(next, until));
  if (next > until) {
    return;
  }
  if (due == size()) {
    Event event = events_.top();
    events_.pop();
    Deliver(std::move(event));
    return;
  }
  Node& node = nodes_[due];
  for (Event& event : std::exchange(node.socket, {})) {
    Deliver(std::move(event));
  }
  if (node.membership) {
    Carry(due, node.membership->Poll(now_));
  }
}

void SimulatedLan::RunFor(Duration duration) {
  const TimePoint until = now_ + duration;
  while (now_ < until) {
    Step(until);
  }
}

std::optional<Duration> SimulatedLan::RunUntil(const std::function<bool()>& condition,
                                               Duration limit) {
  const TimePoint start = now_;
  while (!condition()) {
    if (now_ >= start + limit) {
      return std::nullopt;
    }
    Step(start + limit);
  }
  return now_ - start;
}

bool SimulatedLan::Converged() const {
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < size(); ++i) {
    if (IsRunning(i)) {
      expected.push_back(NameOf(i));
    }
  }
  std::sort(expected.begin(), expected.end());
  std::optional<std::uint64_t> digest;
  for (const Node& node : nodes_) {
    if (!node.membership) {
      continue;
    }
    std::vector<std::string> seen;
    for (const speaker::AliveMember& member : node.membership->AliveMembers()) {
      seen.push_back(member.node);
    }
    if (seen != expected || !node.membership->Ready() ||
        node.membership->ViewDigest() != digest.value_or(node.membership->ViewDigest())) {
      return false;
    }
    digest = node.membership->ViewDigest();
  }
  return true;
}

void SimulatedLan::UpdateAnnounces(std::size_t node) {
  static const model::Labels labels;
  const std::vector<net::IpAddress> ingress = {net::Ipv4Address::FromOctets(203, 0, 113, 10)};
  const std::vector<model::Endpoint> endpoints = {{.node = "elsewhere", .can_serve = true}};
  const std::vector<config::L2Advertisement> advertisements(1);
  Node& n = nodes_[node];
  std::vector<speaker::Speaker> speakers;
  for (const speaker::AliveMember& member : n.membership->AliveMembers()) {
    speakers.push_back({.node = member.node, .yields = member.yields != 0});
  }
  const speaker::ServiceFacts service{.ingress = ingress,
                                      .labels = labels,
                                      .endpoints = endpoints,
                                      .advertisements = advertisements};
  n.announces =
      n.membership->Ready() &&
      speaker::Elect(service, {.nodes = node_objects_, .speakers = speakers}, NameOf(node))
          .announce();
}

std::vector<std::size_t> SimulatedLan::Owners() const {
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < size(); ++i) {
    if (nodes_[i].membership && nodes_[i].announces && nodes_[i].paused_until <= now_) {
      owners.push_back(i);
    }
  }
  return owners;
}

void SimulatedLan::AccountOwners(TimePoint until) {
  if (until <= now_) {
    return;
  }
  const std::size_t count = Owners().size();
  if (count > 1) {
    many_owners_ += until - now_;
  } else if (count == 0) {
    no_owner_ += until - now_;
  }
}

void SimulatedLan::ResetOwnerTimes() {
  many_owners_ = {};
  no_owner_ = {};
}

}  // namespace stentor::sim
