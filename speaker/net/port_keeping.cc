// SPDX-License-Identifier: Apache-2.0
// The part of PacketPorts that opens ports, closes them, and sees whether they work.
#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/strings.h"
#include "speaker/announce/packet_filter.h"
#include "speaker/net/packet_ports.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

// What failed although its link can answer is tried again after the first, and ever more rarely up
// to the second.
constexpr Duration kRetryAfter = 1s;
constexpr Duration kRetryAtMost = 30s;
// A Service that comes back within this finds its port open.
constexpr Duration kLinger = 30s;
// Closing stands still for some 30 ms; heartbeats must not be late by more than that.
constexpr Duration kCloseInterval = 100ms;
// Where more wait to be closed than this (links that flap), each opening closes one first.
constexpr std::size_t kMostBuried = 8;
constexpr Duration kLookInterval = 2s;

// The rings of all ports together are to hold so many frames, but each of them a burst.
constexpr std::size_t kFramesOfAllRings = 16'000;
constexpr std::size_t kLeastFrames = 128;
constexpr std::size_t kMostFrames = 1000;

// An ARP frame has 46 octets, VLAN tag included. A solicitation has 86; others may carry more
// options, and one that is cut can't be verified.
constexpr int kArpSnapshot = 64;
constexpr int kNdpSnapshot = 256;

std::string_view ProtocolOf(net::IpFamily family) {
  return family == net::IpFamily::kIpv4 ? "ARP" : "NDP";
}

}  // namespace

// --- opening ---

// One at a time: see the class.
void PacketPorts::OpenNext() {
  if (const std::optional<Key> key = NextToOpen(loop_.Now())) {
    if (buried_.size() > kMostBuried) {
      buried_.erase(buried_.begin());
    }
    static_cast<void>(Open(*key));
  }
  ArmOpenTimer();
}

std::optional<PacketPorts::Key> PacketPorts::NextToOpen(TimePoint now) const {
  for (const std::set<Key>* keys : {&wanted_, &kept_}) {
    for (const Key& key : *keys) {
      const auto trouble = port_troubles_.find(key);
      if (!ports_.contains(key) &&
          (trouble == port_troubles_.end() || trouble->second.next_attempt <= now)) {
        return key;
      }
    }
  }
  return std::nullopt;
}

bool PacketPorts::Open(const Key& key) {
  const std::string name = NameOf(key.link);
  // Behind this filter nothing is let in, and what came before it is gone when the port is open:
  // the real one may have to be tried in several lengths.
  auto io = PacketIo::Open(name, key.link, BuildArpFilter({}, key.link), OptionsOf(key));
  std::optional<std::size_t> filtered;
  if (const absl::Status status = io.ok() ? SetFilter(key, **io, &filtered) : io.status();
      !status.ok()) {
    NoteTrouble(key, name, status, &port_troubles_);
    return false;
  }
  port_troubles_.erase(key);
  Port& port = ports_[key];
  port.name = name;
  port.io = *std::move(io);
  port.filtered = filtered;
  port.watch =
      std::make_unique<io::DescriptorWatch>(loop_, port.io->fd(), [this, key] { OnReadable(key); });
  if (key.family == net::IpFamily::kIpv6 && wanted_.contains(key)) {
    JoinGroupsOf(key);  // left when the former port failed
  }
  ArmLook();
  observer_.on_opened(name, key.family);
  if (unheard_.erase(key) != 0) {
    const LinkEvent again{.change = key.family == net::IpFamily::kIpv4
                                        ? LinkChange::kAdded
                                        : LinkChange::kLinkLocalChanged,
                          .index = key.link,
                          .name = name};
    announcer_.OnLinkEvents({&again, 1}, loop_.Now());
  }
  return true;
}

PacketIoOptions PacketPorts::OptionsOf(const Key& key) const {
  const std::size_t ports = std::max<std::size_t>(1, std::max(wanted_.size(), kept_.size()));
  const bool arp = key.family == net::IpFamily::kIpv4;
  return {.ethertype = arp ? net::kEtherTypeArp : net::kEtherTypeIpv6,
          .snapshot_octets = arp ? kArpSnapshot : kNdpSnapshot,
          .ring_frames = std::clamp(kFramesOfAllRings / ports, kLeastFrames, kMostFrames)};
}

void PacketPorts::ArmOpenTimer() {
  std::optional<TimePoint> next;
  const auto consider = [&next](TimePoint time) { next = next ? std::min(*next, time) : time; };
  for (const std::set<Key>* keys : {&wanted_, &kept_}) {
    for (const Key& key : *keys) {
      if (ports_.contains(key)) {
        continue;
      }
      const auto trouble = port_troubles_.find(key);
      consider(trouble == port_troubles_.end() ? TimePoint() : trouble->second.next_attempt);
    }
  }
  for (const auto& [key, trouble] : group_troubles_) {
    consider(trouble.next_attempt);
  }
  if (!next || *next == TimePoint::max()) {
    open_timer_.Disarm();
    return;
  }
  open_timer_.ArmAt(*next, [this] {
    const TimePoint now = loop_.Now();
    if (std::any_of(group_troubles_.begin(), group_troubles_.end(),
                    [now](const auto& one) { return one.second.next_attempt <= now; })) {
      JoinGroups();
    }
    OpenNext();
    Update();
  });
}

// --- failing ---

// A port cannot be destroyed while it calls us: it is only put to rest here. Usually Links hears
// next that the link is down.
void PacketPorts::Fail(const Key& key, const absl::Status& why) {
  const auto port = ports_.find(key);
  if (port == ports_.end()) {
    return;
  }
  NoteTrouble(key, port->second.name, why, &port_troubles_);
  port->second.watch.reset();
  buried_.push_back(std::move(port->second));
  ports_.erase(port);
  unheard_.insert(key);
  if (key.family == net::IpFamily::kIpv6) {
    // The interface may be another one under the same number, which has joined nothing.
    groups_.Leave(key.link);
  }
  CloseNextBuried();
  ArmOpenTimer();
}

void PacketPorts::NoteTrouble(const Key& key, const std::string& name, const absl::Status& why,
                              Troubles* troubles) {
  Trouble& trouble = (*troubles)[key];
  const bool first = trouble.attempts == 0;
  const Duration wait = std::min(kRetryAtMost, kRetryAfter * (1 << std::min(trouble.attempts, 5)));
  ++trouble.attempts;
  trouble.next_attempt = loop_.Now() + wait;
  trouble.why = why;
  if (absl::IsFailedPrecondition(why)) {
    trouble.next_attempt = TimePoint::max();  // until the link changes
  }
  if (first) {
    observer_.on_failed(name, key.family, why);
  }
}

// The link is not what it was: what failed may work now.
void PacketPorts::RetryNow(IfIndex link) {
  for (Troubles* troubles : {&port_troubles_, &group_troubles_}) {
    for (auto& [key, trouble] : *troubles) {
      if (key.link == link) {
        trouble.next_attempt = TimePoint();
      }
    }
  }
}

absl::Status PacketPorts::Ready() const {
  for (const Key& key : wanted_) {
    if (ports_.contains(key)) {
      continue;
    }
    const auto trouble = port_troubles_.find(key);
    if (trouble == port_troubles_.end()) {
      return absl::UnavailableError(StrCat("the packet port for ", ProtocolOf(key.family), " on ",
                                           NameOf(key.link), " is not open yet"));
    }
    if (!absl::IsFailedPrecondition(trouble->second.why)) {
      return absl::UnavailableError(StrCat("no packet port for ", ProtocolOf(key.family), " on ",
                                           NameOf(key.link), ": ",
                                           std::string(trouble->second.why.message())));
    }
  }
  return absl::OkStatus();
}

// --- closing ---

void PacketPorts::CloseLink(IfIndex link) {
  for (const net::IpFamily family : {net::IpFamily::kIpv4, net::IpFamily::kIpv6}) {
    const Key key{.link = link, .family = family};
    Bury(key);
    port_troubles_.erase(key);
    group_troubles_.erase(key);
    unheard_.erase(key);
    reopened_.erase(key);
  }
  groups_.Leave(link);
  with_groups_.erase(link);
}

void PacketPorts::CloseUnwanted() {
  const TimePoint now = loop_.Now();
  std::vector<Key> closing;
  for (auto& [key, port] : ports_) {
    if (wanted_.contains(key) || kept_.contains(key)) {
      port.unwanted_since.reset();
    } else if (!port.unwanted_since) {
      port.unwanted_since = now;
    } else if (now - *port.unwanted_since >= kLinger) {
      closing.push_back(key);
    }
  }
  for (const Key& key : closing) {
    Bury(key);
  }
  const auto gone = [this](const auto& entry) {
    return !wanted_.contains(entry.first) && !kept_.contains(entry.first);
  };
  std::erase_if(port_troubles_, gone);
  std::erase_if(unheard_, [this](const Key& key) { return !wanted_.contains(key); });
}

void PacketPorts::Bury(const Key& key) {
  const auto port = ports_.find(key);
  if (port == ports_.end()) {
    return;
  }
  const std::string name = port->second.name;
  port->second.watch.reset();
  buried_.push_back(std::move(port->second));
  ports_.erase(port);
  CloseNextBuried();
  observer_.on_closed(name, key.family);
}

// Not put off by later burials: while links flap there would be no end of them.
void PacketPorts::CloseNextBuried() {
  if (std::exchange(burying_, true)) {
    return;
  }
  bury_timer_.ArmAfter(kCloseInterval, [this] {
    burying_ = false;
    if (!buried_.empty()) {
      buried_.erase(buried_.begin());
    }
    if (!buried_.empty()) {
      CloseNextBuried();
    }
  });
}

// --- seeing whether they work ---

void PacketPorts::ArmLook() {
  if (std::exchange(looking_, true)) {
    return;
  }
  look_timer_.ArmToTheSecond(kLookInterval, [this] {
    looking_ = false;
    Look();
    if (!ports_.empty()) {
      ArmLook();
    }
  });
}

void PacketPorts::Look() {
  const TimePoint now = loop_.Now();
  progress_ = absl::OkStatus();
  std::vector<std::pair<Key, absl::Status>> stuck;
  for (auto& [key, port] : ports_) {
    if (port.progress.Look(now, port.io->stats().received, port.taken)) {
      stuck.emplace_back(key, absl::InternalError(StrCat("frames wait in the packet port for ",
                                                         ProtocolOf(key.family), " on ", port.name,
                                                         ", but none arrives")));
    } else if (port.taken > 0) {
      reopened_.erase(key);
    }
  }
  for (const auto& [key, why] : stuck) {
    if (reopened_.insert(key).second) {
      Fail(key, why);
      RetryNow(key.link);
    } else {
      progress_ = why;
    }
  }
  CloseUnwanted();
  ArmOpenTimer();
}

std::vector<PacketPorts::PortStats> PacketPorts::Stats() const {
  std::vector<PortStats> all;
  all.reserve(ports_.size());
  for (const auto& [key, port] : ports_) {
    const PacketIoStats counts = port.io->stats();
    all.push_back({.interface = port.name,
                   .family = key.family,
                   .received = counts.received,
                   .dropped = counts.dropped});
  }
  return all;
}

}  // namespace stentor::speaker
