// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/neighbor_monitor.h"

#include <linux/rtnetlink.h>

#include <chrono>
#include <utility>

#include "common/base/status.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

constexpr Duration kRetryAfter = 1s;
// Between two dumps: while entries change faster than we read, one would follow the other.
constexpr Duration kDumpInterval = 1s;
// A scan of the segment changes thousands of entries: the rest of the loop has its turn in between.
constexpr int kMaxDatagramsPerWake = 64;

}  // namespace

NeighborMonitor::NeighborMonitor(io::EventLoop& loop, Observer observer,
                                 const NeighborMonitorOptions& options)
    : loop_(loop), observer_(std::move(observer)), options_(options), timer_(loop) {}

NeighborMonitor::~NeighborMonitor() = default;

void NeighborMonitor::SetNodeAddresses(const std::set<net::IpAddress>& addresses) {
  const auto request = macs_.SetAddresses(addresses);
  if (!socket_) {
    if (!addresses.empty() && !failing_) {
      Open();
    }
  } else if (request) {
    Ask(*request);
  }
  Tell();
}

void NeighborMonitor::Open() {
  if (const absl::Status status = TryOpen(); !status.ok()) {
    Fail(status);
  }
}

absl::Status NeighborMonitor::TryOpen() {
  auto socket = NetlinkSocket::Open(RTMGRP_NEIGH, options_.receive_buffer_octets);
  STENTOR_RETURN_IF_ERROR(socket.status());
  socket_ = *std::move(socket);
  Ask(macs_.Start());
  watch_ = std::make_unique<io::DescriptorWatch>(loop_, socket_->fd(), [this] { OnReadable(); });
  return absl::OkStatus();
}

void NeighborMonitor::OnReadable() {
  const absl::Status status = Read();
  Tell();
  if (!status.ok()) {
    Fail(status);
    return;
  }
  failing_ = false;
}

absl::Status NeighborMonitor::Read() {
  const auto take = [this](NodeMacs::Result result) {
    if (result.status.ok() && result.request) {
      Ask(*result.request);
    }
    return result.status;
  };
  return socket_->Receive(
      kMaxDatagramsPerWake,
      {.on_datagram = [&](Bytes datagram) { return take(macs_.OnDatagram(datagram)); },
       .on_overrun = [&] { return take(macs_.OnOverrun()); }});
}

void NeighborMonitor::Ask(const std::vector<std::byte>& request) {
  timer_.ArmAt(next_dump_, [this, request] {
    next_dump_ = loop_.Now() + kDumpInterval;
    if (const absl::Status status = socket_->Send(request); !status.ok()) {
      Fail(status);
    }
  });
}

void NeighborMonitor::Fail(const absl::Status& why) {
  watch_.reset();
  socket_.reset();
  if (!std::exchange(failing_, true)) {
    observer_.on_failed(why);
  }
  timer_.ArmAfter(kRetryAfter, [this] { Open(); });
}

void NeighborMonitor::Tell() {
  if (std::exchange(told_revision_, macs_.revision()) != macs_.revision()) {
    observer_.on_macs(macs_.Macs());
  }
}

}  // namespace stentor::speaker
