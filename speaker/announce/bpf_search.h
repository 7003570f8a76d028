// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Writes classic BPF programs for packet_filter.h: tests of header fields, and searches of an
/// address among many.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "speaker/announce/address_ranges.h"
#include "speaker/announce/packet_filter.h"

namespace stentor::speaker {

/// Loads of a word at these offsets read what the kernel knows about the frame (linux/filter.h).
inline constexpr std::uint32_t kBpfPacketType = 0xfffff000U + 4;
inline constexpr std::uint32_t kBpfInterface = 0xfffff000U + 8;

/// Packet types (linux/if_packet.h); 0 is a frame to this host, and what is above these isn't ours.
inline constexpr std::uint32_t kBpfPacketBroadcast = 1;
inline constexpr std::uint32_t kBpfPacketMulticast = 2;

enum class BpfSize : std::uint8_t { kByte, kHalf, kWord };

/// Writes one program from its start to its end. A conditional jump reaches 255 instructions: the
/// returns that they go to are strewn in where they are needed.
class BpfWriter {
 public:
  /// What becomes of a frame whose address is not found.
  enum class OnMiss : std::uint8_t { kReject, kGoOn };

  /// Loads what the tests that follow are about: `size` octets at `offset` of the frame.
  void Load(BpfSize size, std::uint32_t offset);
  void RejectUnlessAtMost(std::uint32_t value);
  void RejectUnlessBetween(std::uint32_t first, std::uint32_t last);

  /// Loads and compares: the frame is rejected unless they are equal.
  void RequireHalf(std::uint32_t offset, std::uint32_t value);
  void RequireWord(std::uint32_t offset, std::uint32_t value);

  /// Accepts the frame if the address in it is in one of `ranges` (at least one). Its 32-bit words
  /// stand at `offsets`: one for IPv4, four for IPv6. Words that addresses have in common are
  /// tested once. After kReject nothing more can be written.
  void Search(const AddressRanges& ranges, std::span<const std::uint32_t> offsets, OnMiss on_miss);

  [[nodiscard]] BpfProgram Finish() &&;

 private:
  using Ranges = std::span<const AddressRange>;
  enum class Target : std::uint8_t { kNext, kAccept, kReject, kMiss };

  // A value of one word, or several, and what the words behind it must be.
  struct Item {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    Ranges ranges;      // that have this value in this word
    bool full = false;  // nothing behind it matters
  };
  using Items = std::span<const Item>;

  struct PendingJump {
    std::size_t at = 0;
    bool if_true = false;
    Target target{};
  };

  void Emit(std::uint16_t code, std::uint32_t operand);
  void Jump(std::uint16_t code, std::uint32_t operand, Target if_true, Target if_false);
  void Aim(const PendingJump& jump, std::size_t to);
  [[nodiscard]] std::size_t OldestPending() const noexcept;
  void WriteReturns();
  void EndSearch();
  void WriteTarget(Target target, std::size_t to);
  void KeepInReach();
  void AtEndOfPath();

  [[nodiscard]] std::uint32_t WordOf(const net::IpAddress& address, std::size_t depth) const;
  [[nodiscard]] std::vector<Item> ItemsOf(Ranges ranges, std::size_t depth) const;
  void WriteWord(Ranges ranges, std::size_t depth);
  void WriteItems(Items items, std::size_t depth);
  void WriteItem(const Item& item, bool is_last, std::size_t depth);
  void WriteGroup(const Item& item, bool is_last, std::size_t depth);

  BpfProgram program_;
  std::vector<PendingJump> pending_;        // their targets are not written yet
  std::vector<std::size_t> far_misses_;     // long jumps to what follows the search
  std::span<const std::uint32_t> offsets_;  // of the search under way
  Target miss_ = Target::kReject;           // likewise
};

/// Accepts nothing.
[[nodiscard]] BpfProgram RejectAllProgram();

}  // namespace stentor::speaker
