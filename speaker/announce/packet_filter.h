// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The kernel's part of deciding on a frame: classic BPF programs (linux/filter.h) that let in only
/// what is about announced addresses, so that other people's ARP and NDP wake nobody. What they let
/// in is still checked by ArpResponder, NdpResponder and the conflict detection.

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
///   * it is ARP for IPv4, and either a request whose target is one of `addresses`, or of any
///     operation with one of `addresses` as its sender: somebody else claims it (RFC 5227, 2.4).
///
/// `addresses` may be in any order, with repetitions. Runs of neighbouring addresses cost four
/// instructions whatever their length; about 1,750 scattered addresses fit exactly. Beyond that the
/// smallest gaps between addresses are let in too, as many as it takes until the program has at
/// most `max_instructions` (kMinBpfInstructions or more): it never rejects what is about one of
/// `addresses`. Without any, nothing is accepted.
[[nodiscard]] BpfProgram BuildArpFilter(std::vector<net::Ipv4Address> addresses, net::IfIndex link,
                                        std::size_t max_instructions = kMaxBpfInstructions);

/// A program for a socket that is bound to IPv6 on the interface `link`, and so sees all IPv6 of
/// the node: what is not ICMPv6 with hop limit 255 is rejected by the third instruction. It accepts
/// a frame where
///   * it arrived on `link` itself, by multicast, broadcast or to the interface's own MAC;
///   * it is a neighbour solicitation or advertisement, without extension headers, whose target is
///     one of `addresses`.
///
/// As with BuildArpFilter() the addresses may come in any order, and the program becomes coarser
/// where it would be too long. Addresses share the tests of the 32-bit words that they have in
/// common: about 3,500 scattered addresses of one /96 fit exactly, 1,250 of one /64, and 550 that
/// have nothing in common.
[[nodiscard]] BpfProgram BuildNdpFilter(std::vector<net::Ipv6Address> addresses, net::IfIndex link,
                                        std::size_t max_instructions = kMaxBpfInstructions);

}  // namespace stentor::speaker
