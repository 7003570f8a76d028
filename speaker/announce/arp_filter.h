// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The kernel's part of deciding on a frame: a classic BPF program (linux/filter.h) that lets in
/// only ARP requests for announced addresses, so that other people's ARP wakes nobody. What it lets
/// in is still checked by ArpResponder.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/net/ip_address.h"
#include "common/net/rtnetlink.h"

namespace stentor::speaker {

/// One instruction, with the fields of the kernel's sock_filter.
struct BpfInstruction {
  std::uint16_t code = 0;
  std::uint8_t jump_true = 0;
  std::uint8_t jump_false = 0;
  std::uint32_t operand = 0;

  friend bool operator==(const BpfInstruction&, const BpfInstruction&) = default;
};

using BpfProgram = std::vector<BpfInstruction>;

/// The kernel refuses longer programs (BPF_MAXINSNS).
inline constexpr std::size_t kMaxBpfInstructions = 4096;

/// A program this long can be made for any addresses.
inline constexpr std::size_t kMinBpfInstructions = 64;

/// A program for a socket that is bound to ARP on the interface `link`. It accepts a frame where
///   * it arrived on `link` itself: a socket also sees frames of its VLAN and macvlan children;
///   * it is broadcast or sent to the interface's own MAC;
///   * it is an ARP request for IPv4 whose target is one of `addresses`.
///
/// Runs of neighbouring addresses cost two instructions whatever their length; about 2,700
/// scattered addresses fit exactly. Beyond that the smallest gaps between addresses are let in too,
/// as many as it takes until the program has at most `max_instructions` (kMinBpfInstructions or
/// more): it never rejects a request for one of `addresses`. `addresses` may be in any order, with
/// repetitions. Without any, nothing is accepted.
[[nodiscard]] BpfProgram BuildArpFilter(std::vector<net::Ipv4Address> addresses, net::IfIndex link,
                                        std::size_t max_instructions = kMaxBpfInstructions);

}  // namespace stentor::speaker
