// SPDX-License-Identifier: Apache-2.0

/// \file
/// SimulatedLan: what a test does to the LAN, and who can reach whom then.

#include <algorithm>
#include <utility>

#include "test/sim/membership/lan/simulated_lan.h"

namespace stentor::sim {
namespace {

constexpr Duration kApiAnswersAfter = std::chrono::milliseconds(30);
const std::vector<std::string> kUsualSecrets = StartOptions{}.secrets;

bool ShareOne(const std::vector<std::string>& some, const std::vector<std::string>& others) {
  return std::find_first_of(some.begin(), some.end(), others.begin(), others.end()) != some.end();
}

}  // namespace

void SimulatedLan::Start(std::size_t index, const StartOptions& options) {
  Stop(index);
  Node& node = nodes_[index];
  const std::uint64_t run = node.run;
  node.host_up = true;
  node.secrets = options.secrets;
  if (node.secrets != kUsualSecrets) {
    odd_.insert(index);
  } else if (node.listed.size() == size()) {
    odd_.erase(index);
  }
  node.steady_since = now_;
  node.first_death.reset();
  node.last_death.reset();
  node.membership = std::make_unique<speaker::Membership>(
      speaker::Membership::Options{
          .node = node.name, .secrets = options.secrets, .profile = options_.profile},
      [this] { return random_(); });
  if (options.starting_for > Duration::zero()) {
    SetYields(index, speaker::kYieldStarting);
    After(options.starting_for, [this, index, run] {
      if (nodes_[index].run == run && IsRunning(index)) {
        SetYields(index, speaker::kYieldsNothing);
      }
    });
  }
  if (options.listed_after > Duration::zero()) {
    After(options.listed_after, [this, index, run] {
      if (nodes_[index].run == run && IsRunning(index)) {
        List(index);
      }
    });
    Cause();
  } else {
    List(index);
  }
}

void SimulatedLan::List(std::size_t index) {
  Node& node = nodes_[index];
  if (!IsAwake(index)) {
    const Duration left = node.paused_until - now_;
    After(left, [this, index, run = node.run] {
      if (nodes_[index].run == run && IsRunning(index)) {
        List(index);
      }
    });
    return;
  }
  std::vector<speaker::PeerAddress> peers;
  for (const std::size_t other : node.listed) {
    peers.push_back({.node = nodes_[other].name, .addresses = {AddressOf(other)}});
  }
  node.knows_others = true;
  Cause();
  Carry(index, node.membership->SetPeers(LocalTime(index), peers));
}

void SimulatedLan::SetSecrets(std::size_t index, const std::vector<std::string>& secrets) {
  Node& node = nodes_.at(index);
  if (!IsAwake(index)) {
    return;
  }
  node.secrets = secrets;
  odd_.insert(index);
  if (Groups() != groups_) {
    Cause();
  }
  Carry(index, node.membership->SetSecrets(LocalTime(index), secrets));
}

void SimulatedLan::SetListed(std::size_t index, const std::set<std::size_t>& listed) {
  nodes_.at(index).listed = listed;
  if (listed.size() != size()) {
    odd_.insert(index);
  } else if (nodes_[index].secrets == kUsualSecrets || !IsRunning(index)) {
    odd_.erase(index);
  }
  if (IsRunning(index)) {
    List(index);
  }
}

// A datagram came from somebody whom the API has not shown yet: the shell lists anew.
void SimulatedLan::LookForOthers(std::size_t index) {
  nodes_[index].relisting = true;
  After(kApiAnswersAfter, [this, index] {
    nodes_[index].relisting = false;
    std::set<std::size_t> all;
    for (std::size_t i = 0; i < size(); ++i) {
      all.insert(all.end(), i);
    }
    SetListed(index, all);
  });
}

void SimulatedLan::Stop(std::size_t index) {
  Node& node = nodes_.at(index);
  ++node.run;
  node.membership.reset();
  node.leaving = false;
  addresses_.SetYields(index, false);
  node.knows_others = false;
  node.released.clear();
  node.others.clear();
  node.socket.clear();
  node.quiet.clear();
  node.paused_until = {};
  node.clock_behind = {};
  node.wake = TimePoint::max();
  addresses_.SetAnnounced(now_, index, std::vector<bool>(addresses_.size()));
}

void SimulatedLan::Crash(std::size_t index) {
  Stop(index);
  nodes_[index].host_up = false;
  Cause();
}

void SimulatedLan::Kill(std::size_t index) {
  Stop(index);
  Cause();
}

void SimulatedLan::Leave(std::size_t index) {
  Node& node = nodes_.at(index);
  if (!IsAwake(index) || node.leaving) {
    return;
  }
  node.leaving = true;
  Cause();
  Carry(index, node.membership->Leave(LocalTime(index)));
}

void SimulatedLan::Pause(std::size_t index, Duration duration) {
  Freeze(index, duration, Duration::zero());
}

void SimulatedLan::Suspend(std::size_t index, Duration duration) {
  Freeze(index, duration, duration);
}

void SimulatedLan::Freeze(std::size_t index, Duration duration, Duration clock_stops_for) {
  Node& node = nodes_.at(index);
  if (!IsAwake(index)) {
    return;
  }
  node.paused_until = now_ + duration;
  node.clock_behind += clock_stops_for;
  Push({.at = node.paused_until, .kind = EventKind::kResume, .to = index});
  Cause();
}

// The process gets its time again. Whatever comes first, an ARP request perhaps, the shell asks
// whether it was away before it answers; then it reads quiet datagrams, errors and the other
// datagrams, then the timer.
void SimulatedLan::Resume(std::size_t index) {
  Node& node = nodes_[index];
  node.steady_since = now_;
  Cause();
  Carry(index, node.membership->NoteTime(LocalTime(index)));
  std::vector<Event> waiting = std::exchange(node.socket, {});
  std::ranges::stable_sort(waiting, {}, [](const Event& e) {
    return e.kind == EventKind::kRefused ? 1 : IsQuiet(e) ? 0 : 2;
  });
  for (Event& event : waiting) {
    Deliver(std::move(event));
  }
  ReadQuiet(index);
  if (node.membership) {
    Carry(index, node.membership->Poll(LocalTime(index)));
  }
}

void SimulatedLan::SetLink(std::size_t from, std::size_t to, bool up) {
  if (from == to || link_up_.at(from).at(to) == up) {
    return;
  }
  link_up_[from][to] = up;
  cut_links_ += up ? ~std::size_t{0} : 1;
  Cause();
}

void SimulatedLan::Partition(const std::vector<std::set<std::size_t>>& parts) {
  std::vector<std::size_t> part_of(size(), parts.size());
  for (std::size_t part = 0; part < parts.size(); ++part) {
    for (const std::size_t node : parts[part]) {
      part_of.at(node) = part;
    }
  }
  cut_links_ = 0;
  for (std::size_t a = 0; a < size(); ++a) {
    for (std::size_t b = 0; b < size(); ++b) {
      link_up_[a][b] =
          part_of[a] == part_of[b] || part_of[a] == parts.size() || part_of[b] == parts.size();
      cut_links_ += link_up_[a][b] ? 0 : 1;
    }
  }
  Cause();
}

void SimulatedLan::Heal() { Partition({}); }

void SimulatedLan::SetSending(std::size_t index, bool up) {
  for (std::size_t other = 0; other < size(); ++other) {
    SetLink(index, other, up);
  }
}

void SimulatedLan::SetReceiving(std::size_t index, bool up) {
  for (std::size_t other = 0; other < size(); ++other) {
    SetLink(other, index, up);
  }
}

void SimulatedLan::SetQuality(LinkQuality quality) {
  quality_ = quality;
  Cause();
}

void SimulatedLan::SetYields(std::size_t index, speaker::YieldReasons yields) {
  if (!IsAwake(index)) {
    return;
  }
  addresses_.SetYields(index, yields != speaker::kYieldsNothing);
  Cause();
  Carry(index, nodes_[index].membership->SetLocalState(LocalTime(index), yields));
}

void SimulatedLan::Excuse(std::size_t index, bool excused) {
  nodes_.at(index).excused = excused;
  Cause();
}

// --- who can reach whom ---

bool SimulatedLan::Judged(std::size_t index) const {
  const Node& node = nodes_[index];
  return IsAwake(index) && !node.leaving && !node.excused && node.knows_others && !ShutOut(index);
}

// Hears others, but shares a secret with none of them: it may not announce.
bool SimulatedLan::ShutOut(std::size_t index) const {
  bool hears = false;
  for (std::size_t other = 0; other < size() && !odd_.empty(); ++other) {
    if (other == index || !IsAwake(other) || !link_up_[other][index]) {
      continue;
    }
    if (ShareOne(nodes_[index].secrets, nodes_[other].secrets)) {
      return false;
    }
    hears = true;
  }
  return hears;
}

bool SimulatedLan::Linked(std::size_t a, std::size_t b) const {
  const Node& one = nodes_[a];
  const Node& other = nodes_[b];
  return link_up_[a][b] && link_up_[b][a] && one.listed.contains(b) && other.listed.contains(a) &&
         ShareOne(one.secrets, other.secrets);
}

// Speakers reach each other directly or through others that see both.
std::vector<int> SimulatedLan::Groups() const {
  std::vector<int> groups(size(), Addresses::kNoGroup);
  const bool uniform = cut_links_ == 0 && odd_.empty();
  int next = 0;
  for (std::size_t first = 0; first < size(); ++first) {
    if (!Judged(first) || groups[first] != Addresses::kNoGroup) {
      continue;
    }
    if (uniform) {
      groups[first] = 0;
      continue;
    }
    groups[first] = next;
    std::vector<std::size_t> reached = {first};
    while (!reached.empty()) {
      const std::size_t node = reached.back();
      reached.pop_back();
      for (std::size_t other = 0; other < size(); ++other) {
        if (groups[other] == Addresses::kNoGroup && Judged(other) && Linked(node, other)) {
          groups[other] = next;
          reached.push_back(other);
        }
      }
    }
    ++next;
  }
  return groups;
}

void SimulatedLan::Cause() {
  last_cause_ = now_;
  ++changes_;
  std::vector<int> groups = Groups();
  TrackPairs(groups);
  groups_ = std::move(groups);
  addresses_.Regroup(now_, groups_);
}

void SimulatedLan::TrackPairs(const std::vector<int>& groups) {
  const bool uniform = cut_links_ == 0 && odd_.empty();
  const bool was_uniform = std::exchange(uniform_, uniform);
  if (uniform) {
    uniform_since_ = was_uniform ? uniform_since_ : now_;
    return;
  }
  grouped_since_.resize(size() * size(), TimePoint::max());
  for (std::size_t a = 0; a < size(); ++a) {
    for (std::size_t b = 0; b < size(); ++b) {
      TimePoint& since = grouped_since_[a * size() + b];
      const bool together = groups[a] != Addresses::kNoGroup && groups[a] == groups[b];
      const bool were = groups_[a] != Addresses::kNoGroup && groups_[a] == groups_[b];
      if (!together) {
        since = TimePoint::max();
      } else if (!were) {
        since = now_;
      } else if (was_uniform) {
        since = uniform_since_;
      }
    }
  }
}

TimePoint SimulatedLan::TogetherSince(std::size_t a, std::size_t b) const {
  if (!Judged(a) || !Judged(b)) {
    return TimePoint::max();
  }
  return std::max({nodes_[a].steady_since, nodes_[b].steady_since,
                   uniform_ ? uniform_since_ : grouped_since_[a * size() + b]});
}

}  // namespace stentor::sim
