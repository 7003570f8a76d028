// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Frames in and out of one interface, by libpcap. Needs CAP_NET_RAW and nothing else. The kernel
/// filter keeps out what is not for us; a frame that passes it wakes the loop at once.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/bytes.h"
#include "common/net/arp.h"
#include "common/net/rtnetlink.h"
#include "speaker/announce/packet_filter.h"

namespace stentor::speaker {

struct PacketIoOptions {
  std::uint16_t ethertype = net::kEtherTypeArp;
  int snapshot_octets = 64;  ///< Longer frames are cut; ARP has 42 octets.
  /// So many frames may wait in the kernel's ring, about; further ones are dropped. The ring is
  /// resident memory of this process: 144 octets a frame with the snapshot of 64, 336 with 256.
  std::size_t ring_frames = 1000;
};

/// The kernel's counts since the port was opened; what came before its filter is left out.
struct PacketIoStats {
  std::uint64_t received = 0;  ///< Passed the filter.
  std::uint64_t dropped = 0;   ///< Passed the filter, but the ring was full.
};

/// Not thread-safe. kUnavailable from OnReadable() means that the interface is gone, from Send()
/// that it is gone or down: destroy the object; Links says when to open a new one.
class PacketIo {
 public:
  using OnFrame = std::function<void(Bytes frame)>;

  /// Opens the port of the interface `name`, whose number must be `index` (kNotFound otherwise: it
  /// was renamed or replaced meanwhile). PermissionDenied without CAP_NET_RAW. Frames that came
  /// before the filter are thrown away.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<PacketIo>> Open(
      const std::string& name, net::IfIndex index, const BpfProgram& filter,
      const PacketIoOptions& options = {});

  ~PacketIo();
  PacketIo(const PacketIo&) = delete;
  PacketIo& operator=(const PacketIo&) = delete;

  /// Readable when frames wait. Owned by this object: stop watching it before destroying this.
  [[nodiscard]] int fd() const noexcept;

  /// Hands over the waiting frames (each beginning at its Ethernet header, valid during the call),
  /// at most kMaxFramesPerWake, a fraction of a millisecond's work, so that a flood starves neither
  /// other ports nor the rest of the loop: where more wait the descriptor stays readable.
  /// `on_frame` may call Send() and SetFilter(). Returns their number.
  [[nodiscard]] absl::StatusOr<int> OnReadable(const OnFrame& on_frame);
  static constexpr int kMaxFramesPerWake = 64;

  /// Swaps the kernel filter, at once and without losing a frame; frames that already wait were
  /// admitted by the old one. ResourceExhausted where the kernel has no room for it (then the old
  /// one stays): a shorter program may fit.
  [[nodiscard]] absl::Status SetFilter(const BpfProgram& filter);

  /// Sends one frame that begins at its Ethernet header, without waiting. ResourceExhausted where
  /// the queue of the interface is full: the frame is lost, the port is fine.
  [[nodiscard]] absl::Status Send(Bytes frame);

  [[nodiscard]] PacketIoStats stats();

 private:
  struct Handle;  // hides pcap.h
  PacketIo(std::string name, std::unique_ptr<Handle> handle);

  [[nodiscard]] absl::Status Empty(std::size_t ring_frames);

  std::string name_;
  std::unique_ptr<Handle> handle_;
  PacketIoStats before_;  // counted before there was a filter
  PacketIoStats stats_;
};

}  // namespace stentor::speaker
