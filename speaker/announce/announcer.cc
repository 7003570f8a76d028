// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/announcer.h"

#include <algorithm>
#include <variant>

namespace stentor::speaker {
namespace {

// Waking for each frame would cost more than it gains: credit is spent in portions of this length.
constexpr Duration kPortion = std::chrono::milliseconds(5);

constexpr int kSlowRepeatFactor = 5;

// SplitMix64: spreads any seed, and is the same on every machine.
std::uint64_t NextRandom(std::uint64_t* state) noexcept {
  *state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = *state;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

// The announcements as one link's responder sees them.
class OnLink final : public AnnouncedAddresses {
 public:
  OnLink(const Announcer& announcer, IfIndex link) noexcept : announcer_(announcer), link_(link) {}
  [[nodiscard]] bool Contains(net::Ipv4Address address) const noexcept override {
    return announcer_.Contains(address, link_);
  }

 private:
  const Announcer& announcer_;
  IfIndex link_;
};

AnnouncerOptions Sane(AnnouncerOptions options) {
  options.frames_per_second = std::max<std::uint32_t>(options.frames_per_second, 1);
  options.burst_frames = std::max<std::uint32_t>(options.burst_frames, 1);
  options.repeat_interval = std::max<Duration>(options.repeat_interval, kPortion);
  return options;
}

}  // namespace

Announcer::Announcer(const Links& links, const AnnouncerOptions& options)
    : links_(links),
      options_(Sane(options)),
      credit_(options_.burst_frames),
      jitter_state_(options.jitter_seed) {}

AnnouncementChange Announcer::SetAnnounced(const Announcements& desired, TimePoint now) {
  AnnouncementChange change;
  for (const auto& [address, entry] : entries_) {
    if (!desired.contains(address)) {
      change.withdrawn.push_back(address);
    }
  }
  std::sort(change.withdrawn.begin(), change.withdrawn.end());
  for (const net::IpAddress& address : change.withdrawn) {
    Withdraw(address);
  }
  for (const auto& [address, allowed] : desired) {
    const bool known = entries_.contains(address);
    if (Announce(address, allowed, now)) {
      (known ? change.changed : change.added).push_back(address);
    }
  }
  return change;
}

bool Announcer::Announce(const net::IpAddress& address, const AllowedInterfaces& allowed,
                         TimePoint now) {
  const auto [found, is_new] =
      entries_.try_emplace(address, Entry{.allowed = allowed, .counters = {}});
  Entry& entry = found->second;
  if (is_new) {
    ++revision_;
    StartRun({address, kAllLinks}, options_.takeover_period, now);
    return true;
  }
  if (entry.allowed == allowed) {
    return false;
  }
  const Entry before{.allowed = std::exchange(entry.allowed, allowed), .counters = {}};
  ++revision_;
  for (const auto& [index, link] : links_.all()) {
    if (Allows(entry, link) && !Allows(before, link)) {
      StartRun({address, index}, options_.takeover_period, now);
    }
  }
  return true;
}

bool Announcer::Withdraw(const net::IpAddress& address) {
  if (entries_.erase(address) == 0) {
    return false;
  }
  ++revision_;
  StopRuns(address);
  return true;
}

void Announcer::AnnounceAgain(TimePoint now) {
  for (const net::IpAddress& address : Announced()) {
    StartRun({address, kAllLinks}, options_.takeover_period, now);
  }
}

void Announcer::OnLinkEvents(std::span<const LinkEvent> events, TimePoint now) {
  for (const LinkEvent& event : events) {
    switch (event.change) {
      case LinkChange::kAdded:
      case LinkChange::kCarrierUp:
        ++revision_;
        StartRunsOn(event.index, options_.carrier_period, now);
        break;
      case LinkChange::kMacChanged:
      case LinkChange::kRenamed:  // other announcements may be allowed on it under this name
        ++revision_;
        StartRunsOn(event.index, options_.takeover_period, now);
        break;
      case LinkChange::kRemoved:
        ++revision_;
        break;
      case LinkChange::kCarrierDown:
        break;
    }
  }
}

bool Announcer::Contains(const net::IpAddress& address, IfIndex index) const noexcept {
  const auto found = entries_.find(address);
  if (found == entries_.end()) {
    return false;
  }
  const Link* link = links_.Find(index);
  return link != nullptr && Allows(found->second, *link);
}

ArpDecision Announcer::OnArpFrame(IfIndex index, Bytes frame) noexcept {
  const Link* link = links_.Find(index);
  const OnLink announced(*this, index);
  const ArpDecision decision = link == nullptr || !link->answers_arp
                                   ? ArpDecision(DropReason::kUnknownInterface)
                                   : ArpResponder(link->mac, announced).Handle(frame);
  if (const auto* reason = std::get_if<DropReason>(&decision)) {
    ++drops_[static_cast<std::size_t>(*reason)];
    return decision;
  }
  AddressCounters& counters =
      entries_.find(std::get_if<ArpAnswer>(&decision)->address)->second.counters;
  ++counters.requests_received;
  ++counters.responses_sent;
  return decision;
}

std::vector<OutgoingFrame> Announcer::Poll(TimePoint now) {
  Refill(now);
  std::vector<OutgoingFrame> out;
  const auto run = [this, now, &out](const Target& target) {
    Send(target, runs_.at(target).step, &out);
    Advance(target, now);
  };
  while (credit_ >= 1 && !urgent_.empty()) {
    const Target target = urgent_.front();
    urgent_.pop_front();
    const auto found = runs_.find(target);
    if (found != runs_.end() && found->second.step == Run::Step::kFirstRequest) {
      run(target);
    }
  }
  while (credit_ >= 1 && !waiting_.empty() && waiting_.begin()->first <= now) {
    const Target target = waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    run(target);
  }
  return out;
}

std::optional<TimePoint> Announcer::NextDeadline() const {
  if (urgent_.empty() && waiting_.empty()) {
    return std::nullopt;
  }
  // Nothing leaves before there is credit again: then a portion's worth, at most a full burst.
  TimePoint affordable = refilled_.value_or(TimePoint::min());
  if (credit_ < 1) {
    const double rate = options_.frames_per_second;
    const double portion = std::chrono::duration<double>(kPortion).count() * rate;
    const double wanted = std::clamp(portion, 1.0, double{1} * options_.burst_frames);
    affordable += std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>((wanted - credit_) / rate) + std::chrono::nanoseconds(1));
  }
  if (!urgent_.empty()) {
    return affordable;
  }
  return std::max(affordable, waiting_.begin()->first);
}

std::vector<net::Ipv4Address> Announcer::Ipv4AddressesOn(IfIndex index) const {
  std::vector<net::Ipv4Address> addresses;
  const Link* link = links_.Find(index);
  if (link == nullptr) {
    return addresses;
  }
  for (const auto& [address, entry] : entries_) {
    if (address.IsIpv4() && Allows(entry, *link)) {
      addresses.push_back(address.ipv4());
    }
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

const AddressCounters* Announcer::Counters(const net::IpAddress& address) const {
  const auto found = entries_.find(address);
  return found == entries_.end() ? nullptr : &found->second.counters;
}

std::vector<net::IpAddress> Announcer::Announced() const {
  std::vector<net::IpAddress> addresses;
  for (const auto& [address, entry] : entries_) {
    addresses.push_back(address);
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

std::vector<std::string> Announcer::InterfacesOf(const net::IpAddress& address) const {
  std::vector<std::string> names;
  const auto found = entries_.find(address);
  if (found == entries_.end()) {
    return names;
  }
  for (const auto& [index, link] : links_.all()) {
    if (Allows(found->second, link)) {
      names.push_back(link.name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool Announcer::Allows(const Entry& entry, const Link& link) {
  return link.answers_arp && (!entry.allowed || entry.allowed->contains(link.name));
}

void Announcer::StartRun(const Target& target, Duration period, TimePoint now) {
  if (!target.first.IsIpv4()) {
    return;
  }
  const auto [found, is_new] = runs_.try_emplace(target);
  Run& run = found->second;
  const bool queued = !is_new && run.step == Run::Step::kFirstRequest;
  if (!is_new && !queued) {
    waiting_.erase({run.due, target});
  }
  // What is left of a longer run is still owed: a bond may change its MAC after its carrier is up.
  const Duration left = is_new ? Duration::zero() : run.started + run.period - now;
  run = {.step = Run::Step::kFirstRequest,
         .started = now,
         .period = std::max(left, period),
         .due = now};
  if (!queued) {
    urgent_.push_back(target);
  }
  if (!refilled_) {
    refilled_ = now;
  }
}

void Announcer::StartRunsOn(IfIndex index, Duration period, TimePoint now) {
  const Link* link = links_.Find(index);
  if (link == nullptr || !link->carrier) {
    return;  // carrier-up will start them
  }
  for (const net::Ipv4Address address : Ipv4AddressesOn(index)) {
    StartRun({address, index}, period, now);
  }
}

void Announcer::StopRuns(const net::IpAddress& address) {
  for (auto run = runs_.lower_bound({address, kAllLinks});
       run != runs_.end() && run->first.first == address; run = runs_.erase(run)) {
    // What is left of it in urgent_ is skipped by Poll().
    waiting_.erase({run->second.due, run->first});
  }
}

void Announcer::Refill(TimePoint now) {
  if (refilled_ && now > *refilled_) {
    const double seconds = std::chrono::duration<double>(now - *refilled_).count();
    credit_ =
        std::min<double>(options_.burst_frames, credit_ + seconds * options_.frames_per_second);
  }
  if (!refilled_ || now > *refilled_) {
    refilled_ = now;
  }
}

void Announcer::Send(const Target& target, Run::Step step, std::vector<OutgoingFrame>* out) {
  const auto& [address, index] = target;
  Entry& entry = entries_.find(address)->second;
  if (index != kAllLinks) {
    if (const Link* link = links_.Find(index)) {
      SendOn(*link, &entry, address, step, out);
    }
    return;
  }
  for (const auto& [number, link] : links_.all()) {
    SendOn(link, &entry, address, step, out);
  }
}

void Announcer::SendOn(const Link& link, Entry* entry, const net::IpAddress& address,
                       Run::Step step, std::vector<OutgoingFrame>* out) {
  if (!link.carrier || !Allows(*entry, link)) {
    return;
  }
  const auto send = [&](net::GratuitousArp form) {
    const net::ArpFrame frame =
        net::EncodeArp(net::GratuitousArpPacket(link.mac, address.ipv4(), form));
    out->push_back({.link = link.index,
                    .address = address,
                    .bytes = std::vector<std::byte>(frame.begin(), frame.end())});
    ++entry->counters.gratuitous_sent;
    credit_ -= 1;
  };
  if (step != Run::Step::kFirstReply) {
    send(net::GratuitousArp::kRequest);
  }
  if (step != Run::Step::kFirstRequest) {
    send(net::GratuitousArp::kReply);
  }
}

void Announcer::Advance(const Target& target, TimePoint now) {
  const auto found = runs_.find(target);
  Run& run = found->second;
  const Duration elapsed = now - run.started;
  switch (run.step) {
    case Run::Step::kFirstRequest:
      run.step = Run::Step::kFirstReply;
      run.due = now;
      break;
    case Run::Step::kFirstReply:
      run.step = Run::Step::kRepeat;
      run.due = now + Jittered(options_.repeat_interval);
      break;
    case Run::Step::kRepeat:
      if (elapsed >= run.period) {
        runs_.erase(found);
        return;
      }
      run.due = now + Jittered(elapsed < options_.takeover_period
                                   ? options_.repeat_interval
                                   : options_.repeat_interval * kSlowRepeatFactor);
      break;
  }
  waiting_.insert({run.due, target});
}

Duration Announcer::Jittered(Duration interval) {
  const std::int64_t half = std::max<std::int64_t>(interval.count() / 2, 1);
  const auto offset =
      static_cast<std::int64_t>(NextRandom(&jitter_state_) % static_cast<std::uint64_t>(half));
  return interval - Duration(half / 2) + Duration(offset);
}

}  // namespace stentor::speaker
