// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/packet_ports.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>
#include <vector>

#include "speaker/announce/arp_filter.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

// A port that failed although its link is up is tried again after this.
constexpr Duration kReopenAfter = 1s;

}  // namespace

PacketPorts::PacketPorts(io::EventLoop& loop, const Links& links, Announcer& announcer,
                         Observer observer)
    : loop_(loop),
      links_(links),
      announcer_(announcer),
      observer_(std::move(observer)),
      send_timer_(loop),
      reopen_timer_(loop) {}

PacketPorts::~PacketPorts() = default;

void PacketPorts::OnLinkEvents(std::span<const LinkEvent> events) {
  for (const LinkEvent& event : events) {
    switch (event.change) {
      case LinkChange::kAdded:
        Open(event.index);
        break;
      case LinkChange::kRemoved:
        Close(event.index);
        break;
      case LinkChange::kRenamed:
        if (const auto port = ports_.find(event.index); port != ports_.end()) {
          port->second.name = event.name;
        }
        break;
      case LinkChange::kMacChanged:  // the announcer reads the MAC from Links
      case LinkChange::kCarrierUp:
      case LinkChange::kCarrierDown:
        break;
    }
  }
  announcer_.OnLinkEvents(events, loop_.Now());
  Update();
}

void PacketPorts::Update() {
  RenewFilters();
  SendDue();
}

void PacketPorts::Open(IfIndex index) {
  const Link* link = links_.Find(index);
  if (link == nullptr || !link->answers_arp || ports_.contains(index)) {
    return;
  }
  const std::string name = link->name;
  auto io = PacketIo::Open(name, index, BuildArpFilter({}, index));
  if (const absl::Status status = io.ok() ? SetFilter(index, **io) : io.status(); !status.ok()) {
    observer_.on_failed(name, status);
    ReopenLater();
    return;
  }
  Port& port = ports_[index];
  port.name = name;
  port.io = *std::move(io);
  port.watch = std::make_unique<io::DescriptorWatch>(loop_, port.io->fd(),
                                                     [this, index] { OnReadable(index); });
  observer_.on_opened(name);
}

void PacketPorts::Close(IfIndex index) {
  const auto port = ports_.find(index);
  if (port == ports_.end()) {
    return;
  }
  const std::string name = port->second.name;
  ports_.erase(port);
  observer_.on_closed(name);
}

// A port cannot be destroyed while it calls us: it is only put to rest here. Usually Links hears
// next that the link is down.
void PacketPorts::Fail(IfIndex index, const absl::Status& why) {
  const auto port = ports_.find(index);
  if (port == ports_.end() || port->second.watch == nullptr) {
    return;
  }
  observer_.on_failed(port->second.name, why);
  port->second.watch.reset();
  ReopenLater();
}

void PacketPorts::ReopenLater() {
  reopen_timer_.ArmAfter(kReopenAfter, [this] {
    std::erase_if(ports_, [](const auto& entry) { return entry.second.watch == nullptr; });
    std::vector<LinkEvent> again;
    for (const auto& [index, link] : links_.all()) {
      if (link.answers_arp && !ports_.contains(index)) {
        again.push_back({.change = LinkChange::kAdded, .index = index, .name = link.name});
      }
    }
    OnLinkEvents(again);
  });
}

void PacketPorts::RenewFilters() {
  if (std::exchange(filtered_revision_, announcer_.revision()) == announcer_.revision()) {
    return;
  }
  for (auto& [index, port] : ports_) {
    if (const absl::Status status = SetFilter(index, *port.io); !status.ok()) {
      Fail(index, status);  // deaf to what is new
    }
  }
}

// An exact filter may be more than the kernel lets a socket have (net.core.optmem_max, 20 KiB
// before Linux 6.8, for the old and the new filter together). A coarser one only wakes us more
// often.
absl::Status PacketPorts::SetFilter(IfIndex index, PacketIo& io) const {
  const std::vector<net::Ipv4Address> addresses = announcer_.Ipv4AddressesOn(index);
  std::size_t limit = kMaxBpfInstructions;
  for (;;) {
    absl::Status status = io.SetFilter(BuildArpFilter(addresses, index, limit));
    if (!absl::IsResourceExhausted(status) || limit <= kMinBpfInstructions) {
      return status;
    }
    limit = std::max(limit / 2, kMinBpfInstructions);
  }
}

void PacketPorts::SendDue() {
  observer_.before_frames();
  for (const OutgoingFrame& frame : announcer_.Poll(loop_.Now())) {
    const auto port = ports_.find(frame.link);
    if (port == ports_.end()) {
      continue;  // the link has no port (yet); its announcements start when it has
    }
    const absl::Status status = port->second.io->Send(frame.bytes);
    if (absl::IsUnavailable(status)) {
      Fail(frame.link, status);
    }
  }
  if (const auto deadline = announcer_.NextDeadline()) {
    send_timer_.ArmAt(*deadline, [this] { SendDue(); });
  } else {
    send_timer_.Disarm();
  }
}

void PacketPorts::OnReadable(IfIndex index) {
  observer_.before_frames();
  PacketIo& io = *ports_.at(index).io;
  const auto count = io.OnReadable([this, index, &io](Bytes frame) { OnFrame(index, io, frame); });
  if (!count.ok()) {
    Fail(index, count.status());
  }
}

void PacketPorts::OnFrame(IfIndex index, PacketIo& io, Bytes frame) {
  const ArpDecision decision = announcer_.OnArpFrame(index, frame);
  if (const auto* answer = std::get_if<ArpAnswer>(&decision)) {
    // An answer that could not be sent is asked for again by the host; a dead port shows at once in
    // OnReadable().
    (void)io.Send(answer->frame);
  }
}

}  // namespace stentor::speaker
