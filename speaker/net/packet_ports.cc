// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/packet_ports.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/hash/hash.h"
#include "common/base/strings.h"
#include "speaker/announce/packet_filter.h"

namespace stentor::speaker {
namespace {

// Renewing that takes longer than this is not done again before as much time has passed.
constexpr Duration kCheapRenewal = std::chrono::milliseconds(5);

}  // namespace

PacketPorts::PacketPorts(io::EventLoop& loop, const Links& links, Announcer& announcer,
                         Observer observer)
    : loop_(loop),
      links_(links),
      announcer_(announcer),
      observer_(std::move(observer)),
      renew_timer_(loop),
      send_timer_(loop),
      open_timer_(loop),
      bury_timer_(loop),
      look_timer_(loop) {}

PacketPorts::~PacketPorts() = default;

void PacketPorts::OnLinkEvents(std::span<const LinkEvent> events) {
  for (const LinkEvent& event : events) {
    RetryNow(event.index);
    switch (event.change) {
      case LinkChange::kRemoved:
        CloseLink(event.index);
        break;
      case LinkChange::kRenamed:
        for (auto& [key, port] : ports_) {
          if (key.link == event.index) {
            port.name = event.name;
          }
        }
        break;
      case LinkChange::kAdded:  // these change what is wanted, or only what the announcer says
      case LinkChange::kEnslavementChanged:
      case LinkChange::kLinkLocalChanged:
      case LinkChange::kMacChanged:
      case LinkChange::kCarrierUp:
      case LinkChange::kCarrierDown:
        break;
    }
  }
  announcer_.OnLinkEvents(events, loop_.Now());
  if (!events.empty()) {
    renewed_revision_.reset();
  }
  Update();
}

void PacketPorts::Update() {
  if (MustWait()) {
    return;  // frames wait too: the answer to one must be let in
  }
  Renew();
  Renew();  // a port that was opened late made the announcer begin again there
  SendDue();
}

void PacketPorts::SetStandby(const std::set<net::IpFamily>& families) {
  if (std::exchange(standby_, families) != families) {
    renewed_revision_.reset();
    Update();
  }
}

// --- in step with the announcer ---

// With a hundred links of a thousand addresses a renewal takes long enough to make heartbeats late
// where it is done for each of many changes: so changes that come fast are taken together.
bool PacketPorts::MustWait() {
  if (renewed_revision_ == announcer_.revision() || loop_.Now() >= next_renewal_) {
    return false;
  }
  renew_timer_.ArmAt(next_renewal_, [this] { Update(); });
  return true;
}

void PacketPorts::Renew() {
  if (renewed_revision_ == announcer_.revision()) {
    return;
  }
  renewed_revision_ = announcer_.revision();
  const TimePoint start = loop_.Now();
  FindWanted();
  CloseUnwanted();
  // An address is asked for by multicast as soon as it was heard of: groups and filters come first.
  JoinGroups();
  RenewFilters();
  if (const TimePoint end = loop_.Now(); end - start > kCheapRenewal) {
    next_renewal_ = end + (end - start);
  }
  OpenNext();
}

void PacketPorts::FindWanted() {
  wanted_.clear();
  for (const WantedPort& port : announcer_.WantedPorts()) {
    if (port.arp) {
      wanted_.insert({.link = port.link, .family = net::IpFamily::kIpv4});
    }
    if (port.ndp) {
      wanted_.insert({.link = port.link, .family = net::IpFamily::kIpv6});
    }
  }
  kept_.clear();
  std::size_t links = 0;
  for (const auto& [index, link] : links_.all()) {
    bool used = false;
    for (const net::IpFamily family : standby_) {
      if (links < kMaxStandbyLinks && MayAnswer(link, family, /*named=*/false)) {
        kept_.insert({.link = index, .family = family});
        used = true;
      }
    }
    links += used ? 1 : 0;
  }
}

void PacketPorts::RenewFilters() {
  std::vector<std::pair<Key, absl::Status>> failed;
  for (auto& [key, port] : ports_) {
    if (absl::Status status = SetFilter(key, *port.io, &port.filtered); !status.ok()) {
      failed.emplace_back(key, std::move(status));  // deaf to what is new
    }
  }
  for (const auto& [key, status] : failed) {
    Fail(key, status);
  }
}

absl::Status PacketPorts::SetFilter(const Key& key, PacketIo& io,
                                    std::optional<std::size_t>* filtered) const {
  const auto index = key.link;
  if (key.family == net::IpFamily::kIpv4) {
    return SetFilter(
        announcer_.Ipv4AddressesOn(index),
        [index](const auto& addresses, std::size_t limit) {
          return BuildArpFilter(addresses, index, limit);
        },
        io, filtered);
  }
  return SetFilter(
      announcer_.Ipv6AddressesOn(index),
      [index](const auto& addresses, std::size_t limit) {
        return BuildNdpFilter(addresses, index, limit);
      },
      io, filtered);
}

// An exact filter may be more than the kernel lets a socket have (net.core.optmem_max, 20 KiB
// before Linux 6.8, for the old and the new filter together). A coarser one only wakes us more
// often.
template <typename Addresses, typename Build>
absl::Status PacketPorts::SetFilter(const Addresses& addresses, Build build, PacketIo& io,
                                    std::optional<std::size_t>* filtered) const {
  const std::size_t hash = absl::HashOf(addresses);
  if (*filtered == hash) {
    return absl::OkStatus();
  }
  std::size_t limit = kMaxBpfInstructions;
  for (;;) {
    absl::Status status = io.SetFilter(build(addresses, limit));
    if (!absl::IsResourceExhausted(status) || limit <= kMinBpfInstructions) {
      if (status.ok()) {
        *filtered = hash;
      }
      return status;
    }
    limit = std::max(limit / 2, kMinBpfInstructions);
  }
}

void PacketPorts::JoinGroups() {
  std::set<IfIndex> links;
  for (const Key& key : wanted_) {
    if (key.family != net::IpFamily::kIpv6) {
      continue;
    }
    links.insert(key.link);
    JoinGroupsOf(key);
  }
  for (const IfIndex link : std::exchange(with_groups_, links)) {
    if (!links.contains(link)) {
      groups_.Leave(link);
      group_troubles_.erase({.link = link, .family = net::IpFamily::kIpv6});
    }
  }
}

void PacketPorts::JoinGroupsOf(const Key& key) {
  if (const absl::Status status = groups_.Set(key.link, announcer_.GroupsOn(key.link));
      status.ok()) {
    group_troubles_.erase(key);
  } else {
    NoteTrouble(key, NameOf(key.link), status, &group_troubles_);
  }
}

// --- frames ---

void PacketPorts::SendDue() {
  observer_.before_frames();
  if (MustWait()) {
    return;  // what was announced just now is told only once its answers are let in
  }
  Renew();
  for (const OutgoingFrame& frame : announcer_.Poll(loop_.Now())) {
    const Key key{.link = frame.link, .family = frame.family()};
    const auto port = ports_.find(key);
    if (port == ports_.end()) {
      unheard_.insert(key);  // said again once there is a port
      announcer_.OnNotSent(frame);
      continue;
    }
    if (const absl::Status status = port->second.io->Send(frame.bytes);
        absl::IsUnavailable(status)) {
      unheard_.insert(key);
      announcer_.OnNotSent(frame);
      Fail(key, status);
    }
  }
  ArmSendTimer();
  if (observer_.after_frames) {
    observer_.after_frames();
  }
}

void PacketPorts::ArmSendTimer() {
  const std::optional<TimePoint> deadline = announcer_.NextDeadline();
  if (std::exchange(send_at_, deadline) == deadline) {
    return;
  }
  if (!deadline) {
    send_timer_.Disarm();
    return;
  }
  send_timer_.ArmAt(*deadline, [this] {
    send_at_.reset();
    Update();  // a probe that is over changes what is let in
  });
}

// By value: what holds the caller's may be destroyed in here.
void PacketPorts::OnReadable(Key key) {
  observer_.before_frames();
  const auto port = ports_.find(key);
  if (port == ports_.end()) {
    return;  // closed by what was just found out
  }
  PacketIo& io = *port->second.io;
  const auto count = io.OnReadable([this, &key, &io](Bytes frame) { OnFrame(key, io, frame); });
  if (!count.ok()) {
    Fail(key, count.status());
  } else {
    port->second.taken += static_cast<std::uint64_t>(*count);
  }
  if (!MustWait()) {
    Renew();
  }
  ArmSendTimer();
  if (observer_.after_frames) {
    observer_.after_frames();
  }
}

// An answer that could not be sent is asked for again by the host; a dead port shows at once in
// OnReadable().
void PacketPorts::OnFrame(const Key& key, PacketIo& io, Bytes frame) {
  const TimePoint now = loop_.Now();
  if (key.family == net::IpFamily::kIpv4) {
    const ArpDecision decision = announcer_.OnArpFrame(key.link, frame, now);
    if (const auto* answer = std::get_if<ArpAnswer>(&decision)) {
      (void)io.Send(answer->frame);
    }
    return;
  }
  const NdDecision decision = announcer_.OnNdFrame(key.link, frame, now);
  if (const auto* answer = std::get_if<NdAnswer>(&decision)) {
    (void)io.Send(answer->frame.bytes());
  }
}

std::string PacketPorts::NameOf(IfIndex index) const {
  const Link* link = links_.Find(index);
  return link != nullptr ? link->name : StrCat("#", static_cast<std::uint32_t>(index));
}

}  // namespace stentor::speaker
