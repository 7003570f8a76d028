// SPDX-License-Identifier: Apache-2.0
#include "test/sim/membership/lan/simulated_lan.h"

#include <algorithm>
#include <utility>

namespace stentor::sim {
namespace {

// What Linux's default receive buffer holds of datagrams of this size; the newest ones are lost.
constexpr std::size_t kSocketBuffer = 256;
constexpr std::uint32_t kFirstAddress = 0xC6120001U;  // 198.18.0.0/15

std::vector<std::string> Names(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    names.push_back("node-" + std::to_string(i));
  }
  return names;
}

}  // namespace

SimulatedLan::SimulatedLan(const LanOptions& options)
    : options_(options),
      random_(options.seed),
      quality_(options.quality),
      nodes_(options.speakers),
      link_up_(options.speakers, std::vector<bool>(options.speakers, true)),
      groups_(options.speakers, Addresses::kNoGroup),
      addresses_(Names(options.speakers), options.addresses, options.staying) {
  const std::vector<std::string> names = Names(options.speakers);
  std::set<std::size_t> all;
  for (std::size_t i = 0; i < size(); ++i) {
    all.insert(all.end(), i);
  }
  for (std::size_t i = 0; i < size(); ++i) {
    nodes_[i].name = names[i];
    nodes_[i].listed = all;
    nodes_[i].wake = TimePoint::max();
    nodes_[i].queued = TimePoint::max();
  }
}

// --- to look at ---

net::IpAddress SimulatedLan::AddressOf(std::size_t node) const {
  return net::Ipv4Address(kFirstAddress + static_cast<std::uint32_t>(node));
}

std::size_t SimulatedLan::IndexOf(const std::string& name) const {
  return std::stoul(name.substr(name.find('-') + 1));
}

bool SimulatedLan::IsRunning(std::size_t node) const {
  return nodes_.at(node).membership != nullptr;
}

bool SimulatedLan::IsAwake(std::size_t node) const {
  return IsRunning(node) && now_ >= nodes_[node].paused_until;
}

const speaker::Membership& SimulatedLan::At(std::size_t node) const {
  return *nodes_.at(node).membership;
}

std::uint64_t SimulatedLan::RivalsMet(std::size_t node) const { return nodes_.at(node).rivals_met; }

std::optional<TimePoint> SimulatedLan::FirstDeath(std::size_t node) const {
  return nodes_.at(node).first_death;
}

std::optional<TimePoint> SimulatedLan::LastDeath(std::size_t node) const {
  return nodes_.at(node).last_death;
}

Duration SimulatedLan::RandomSpan(Duration below) {
  return Duration(static_cast<std::int64_t>(
      random_() % static_cast<std::uint64_t>(std::max<std::int64_t>(below.count(), 1))));
}

bool SimulatedLan::Chance(double probability) {
  return probability > 0 && std::uniform_real_distribution<>(0, 1)(random_) < probability;
}

// --- time ---

void SimulatedLan::Push(Event event) {
  event.order = order_++;
  events_.push_back(std::move(event));
  std::push_heap(events_.begin(), events_.end(), [](const Event& a, const Event& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  });
}

// Carries out one event, unless it comes after `until`.
bool SimulatedLan::Step(TimePoint until) {
  if (events_.empty() || events_.front().at > until) {
    now_ = std::max(now_, until);
    return false;
  }
  std::pop_heap(events_.begin(), events_.end(), [](const Event& a, const Event& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  });
  Event event = std::move(events_.back());
  events_.pop_back();
  now_ = std::max(now_, event.at);
  Node& node = nodes_[event.to];
  switch (event.kind) {
    case EventKind::kDatagram:
    case EventKind::kRefused:
      Deliver(std::move(event));
      break;
    case EventKind::kWake:
      if (event.at != node.queued) {
        break;  // an earlier one took its place
      }
      node.queued = TimePoint::max();
      if (IsAwake(event.to) && node.wake <= now_) {
        ReadQuiet(event.to);
        if (node.membership) {
          Carry(event.to, node.membership->Poll(LocalTime(event.to)));
        }
      } else if (IsAwake(event.to)) {
        Arm(event.to);
      }
      break;
    case EventKind::kResume:
      if (IsRunning(event.to) && event.at == node.paused_until) {
        Resume(event.to);
      }
      break;
    case EventKind::kCall:
      const auto call = calls_.extract(event.order);
      call.mapped()();
      break;
  }
  return true;
}

void SimulatedLan::RunFor(Duration duration) {
  const TimePoint until = now_ + duration;
  while (Step(until)) {
  }
}

std::optional<Duration> SimulatedLan::RunUntil(const std::function<bool()>& condition,
                                               Duration limit) {
  const TimePoint start = now_;
  std::uint64_t looked_at = changes_;
  if (condition()) {
    return Duration::zero();
  }
  while (Step(start + limit)) {
    if (std::exchange(looked_at, changes_) != changes_ && condition()) {
      return now_ - start;
    }
  }
  return std::nullopt;
}

void SimulatedLan::After(Duration delay, std::function<void()> what) {
  calls_[order_] = std::move(what);
  Push({.at = now_ + delay, .kind = EventKind::kCall});
}

// When the speaker's timer wakes it. Only the earliest wake-up is queued; a deadline that moves to
// later is armed again when that one comes.
void SimulatedLan::Arm(std::size_t index) {
  Node& node = nodes_[index];
  const auto deadline = node.membership->NextDeadline();
  node.wake = deadline ? *deadline + node.clock_behind : TimePoint::max();
  const TimePoint due = std::max(node.wake, now_);
  if (!deadline || !IsAwake(index) || (node.queued != TimePoint::max() && node.queued_for <= due)) {
    return;
  }
  node.queued_for = due;
  node.queued = due + RandomSpan(options_.timer_jitter);
  Push({.at = node.queued, .kind = EventKind::kWake, .to = index});
}

// --- what speakers say ---

void SimulatedLan::Carry(std::size_t index, speaker::Actions actions) {
  Node& node = nodes_[index];
  for (speaker::OutgoingDatagram& datagram : actions.send) {
    Transmit(index, std::move(datagram));
  }
  for (speaker::Change& change : actions.changes) {
    Tell(index, std::move(change));
  }
  if (actions.view_changed || actions.claims_changed) {
    ++changes_;
    last_view_change_ = now_;
    FollowSoon(index);
    FollowChanged();
  }
  if (actions.rival_met) {
    ++node.rivals_met;
    addresses_.AnnounceAgain(index);
  }
  if (actions.dropped == speaker::MembershipDrop::kUnknownSender && !node.relisting &&
      node.listed.size() < size()) {
    LookForOthers(index);
  }
  if (node.leaving && node.membership->LeaveComplete()) {
    Stop(index);
    Cause();
  } else {
    Arm(index);
  }
}

void SimulatedLan::Tell(std::size_t index, speaker::Change change) {
  ++counts_.at(static_cast<std::size_t>(change.kind));
  if (change.kind == speaker::ChangeKind::kDied) {
    const std::size_t about = IndexOf(change.node);
    Node& dead = nodes_[about];
    if (!dead.first_death) {
      dead.first_death = now_;
    }
    dead.last_death = now_;
    const speaker::Profile& profile = options_.profile;
    const Duration excuse = profile.suspect_after + profile.confirm_for + profile.paused_after;
    const TimePoint since = TogetherSince(index, about);
    if (since != TimePoint::max() && now_ - since > excuse) {
      ++false_deaths_;
    }
  }
  if (observer_) {
    observer_({.at = now_, .observer = index, .change = std::move(change)});
  }
}

void SimulatedLan::Transmit(std::size_t from, speaker::OutgoingDatagram datagram) {
  ++datagrams_;
  octets_ += datagram.bytes.size();
  const std::size_t to = static_cast<std::size_t>(datagram.destination.low() - kFirstAddress);
  if (tap_) {
    tap_({.to = to, .source = AddressOf(from), .bytes = datagram.bytes});
  }
  nodes_[from].last_sent[to] = datagram.bytes;
  for (int copies = Chance(quality_.duplication) ? 2 : 1; copies > 0; --copies) {
    if (!link_up_[from][to] || Chance(quality_.loss)) {
      continue;
    }
    const Duration delay = quality_.min_delay + RandomSpan(quality_.max_delay - quality_.min_delay);
    Push({.at = now_ + delay,
          .kind = EventKind::kDatagram,
          .to = to,
          .from = from,
          .bytes = copies > 1 ? datagram.bytes : std::move(datagram.bytes)});
  }
}

void SimulatedLan::Deliver(Event event) {
  Node& node = nodes_[event.to];
  if (!link_up_[event.from][event.to] || !node.host_up) {
    return;
  }
  if (!node.membership) {
    if (event.kind == EventKind::kDatagram && link_up_[event.to][event.from]) {
      Push({.at = now_ + quality_.min_delay,
            .kind = EventKind::kRefused,
            .to = event.from,
            .from = event.to,
            .bytes = std::move(event.bytes)});
    }
    return;
  }
  if (!IsAwake(event.to)) {
    if (node.socket.size() < kSocketBuffer) {
      node.socket.push_back(std::move(event));
    }
    return;
  }
  if (IsQuiet(event)) {
    if (node.quiet.size() < kSocketBuffer) {
      node.quiet.push_back(std::move(event));
    }
    return;
  }
  ReadQuiet(event.to);
  if (!node.membership) {
    return;
  }
  const TimePoint local = LocalTime(event.to);
  const net::IpAddress source = AddressOf(event.from);
  Carry(event.to, event.kind == EventKind::kRefused
                      ? node.membership->OnUnreachable(local, source, event.bytes)
                      : node.membership->OnDatagram(local, source, event.bytes));
}

bool SimulatedLan::IsQuiet(const Event& event) {
  return event.kind == EventKind::kDatagram && event.bytes.size() > speaker::kQuietOctet &&
         (std::to_integer<std::uint8_t>(event.bytes[speaker::kQuietOctet]) & speaker::kQuietBit) !=
             0;
}

// Whoever wakes up reads these first.
void SimulatedLan::ReadQuiet(std::size_t index) {
  Node& node = nodes_[index];
  for (const Event& event : std::exchange(node.quiet, {})) {
    if (node.membership) {
      Carry(index, node.membership->OnDatagram(LocalTime(index), AddressOf(event.from), event.bytes,
                                               now_ - event.at));
    }
  }
}

void SimulatedLan::Inject(std::size_t to, const net::IpAddress& source,
                          std::vector<std::byte> bytes) {
  if (IsAwake(to)) {
    ReadQuiet(to);
    Carry(to, nodes_[to].membership->OnDatagram(LocalTime(to), source, bytes));
  }
}

void SimulatedLan::ForgeUnreachable(std::size_t to, std::size_t about) {
  if (IsAwake(to)) {
    ReadQuiet(to);
    Carry(to, nodes_[to].membership->OnUnreachable(LocalTime(to), AddressOf(about),
                                                   nodes_[to].last_sent[about]));
  }
}

// --- what clients and judges see ---

void SimulatedLan::FollowChanged() {
  if (!follow_) {
    return;
  }
  for (const std::size_t index : std::exchange(to_follow_, {})) {
    Node& node = nodes_[index];
    node.follow = false;
    std::vector<Candidate> view(size());
    if (node.membership && node.membership->Ready()) {
      for (const speaker::AliveMember& member : node.membership->AliveMembers()) {
        view[IndexOf(member.node)] = {
            .standing = member.yields == 0 ? Standing::kAlive : Standing::kYields,
            .claims = member.claims};
      }
    }
    std::vector<bool> mine = addresses_.Elect(index, view);
    addresses_.SetAnnounced(now_, index, mine);
    if (node.membership && !node.leaving && addresses_.staying() > 0) {
      const speaker::Membership& membership = *node.membership;
      speaker::Claims claims = addresses_.ClaimsFor(
          mine, view[index].claims.get(),
          [&membership](speaker::AddressKey key) { return membership.HighestEpoch(key); });
      std::erase_if(node.released, [&](speaker::AddressKey key) {
        return speaker::EpochOf(claims, key) == 0;  // left to another one
      });
      std::erase_if(claims, [&node](const speaker::Claim& claim) {
        return node.released.contains(claim.address);
      });
      claims = speaker::Changed(claims, node.others);
      Carry(index, node.membership->SetClaims(LocalTime(index), std::move(claims)));
    }
  }
}

void SimulatedLan::FollowSoon(std::size_t node) {
  if (!std::exchange(nodes_[node].follow, true)) {
    to_follow_.push_back(node);
  }
}

void SimulatedLan::Release(std::size_t node) {
  Cause();
  for (const speaker::AliveMember& member : At(node).AliveMembers()) {
    if (member.node == nodes_[node].name && member.claims) {
      for (const speaker::Claim& claim : *member.claims) {
        nodes_[node].released.insert(claim.address);
      }
    }
  }
  FollowSoon(node);
  FollowChanged();
}

void SimulatedLan::SetOtherClaims(std::size_t node, std::size_t count, std::size_t change) {
  speaker::Claims& others = nodes_[node].others;
  others.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    others[i].address = (i << 16U) + node;  // unlike any digest of an address
    others[i].epoch = static_cast<std::uint32_t>(1 + change / count + (i < change % count ? 1 : 0));
  }
  FollowSoon(node);
  FollowChanged();
}

void SimulatedLan::FollowAddresses(bool on) {
  follow_ = on;
  FollowChanged();
}

void SimulatedLan::ResetCounts() {
  addresses_.Reset(now_);
  counts_ = {};
  false_deaths_ = 0;
  datagrams_ = 0;
  octets_ = 0;
}

bool SimulatedLan::Converged() {
  if (std::exchange(judged_at_, changes_) != changes_) {
    converged_ = ComputeConverged();
  }
  return converged_;
}

bool SimulatedLan::ComputeConverged() const {
  std::map<int, std::vector<std::string>> members;
  for (std::size_t i = 0; i < size(); ++i) {
    members[groups_[i]].push_back(nodes_[i].name);
  }
  std::map<int, std::uint64_t> digests;
  for (auto& [group, names] : members) {
    std::sort(names.begin(), names.end());
  }
  for (std::size_t i = 0; i < size(); ++i) {
    if (groups_[i] == Addresses::kNoGroup) {
      continue;
    }
    const speaker::Membership& membership = At(i);
    const std::vector<std::string>& expected = members.at(groups_[i]);
    const std::vector<speaker::AliveMember> seen = membership.AliveMembers();
    const std::uint64_t digest =
        digests.try_emplace(groups_[i], membership.ViewDigest()).first->second;
    if (!membership.Ready() || !membership.KnowsClaims() || digest != membership.ViewDigest() ||
        !std::equal(seen.begin(), seen.end(), expected.begin(), expected.end(),
                    [](const speaker::AliveMember& member, const std::string& name) {
                      return member.node == name;
                    })) {
      return false;
    }
  }
  return true;
}

std::string SimulatedLan::Views() const {
  std::string text;
  for (std::size_t i = 0; i < size(); ++i) {
    text += nodes_[i].name + " (group " + std::to_string(groups_[i]) + "):";
    if (IsRunning(i)) {
      for (const speaker::AliveMember& member : At(i).AliveMembers()) {
        text += " " + member.node.substr(member.node.find('-') + 1);
        text += member.yields == 0 ? "" : "(yields " + std::to_string(member.yields) + ")";
      }
      text += At(i).Ready() ? "" : " not ready";
      text += At(i).KnowsClaims() ? "" : " doesn't know all claims";
      text += " digest " + std::to_string(At(i).ViewDigest());
    }
    text += "\n";
  }
  return text;
}

}  // namespace stentor::sim
