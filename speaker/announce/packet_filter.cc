// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/packet_filter.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "speaker/announce/address_ranges.h"
#include "speaker/announce/bpf_search.h"

namespace stentor::speaker {
namespace {

// Offsets in a frame; a tag has been taken off before the kernel filters.
constexpr std::uint32_t kEtherType = 12;
constexpr std::uint32_t kArpHardwareAndProtocol = 14;
constexpr std::uint32_t kArpLengths = 18;
constexpr std::uint32_t kArpOperation = 20;
constexpr std::uint32_t kArpSender = 28;
constexpr std::uint32_t kArpTarget = 38;
constexpr std::uint32_t kIpv6NextHeaderAndHopLimit = 20;
constexpr std::uint32_t kIcmpv6Type = 54;
constexpr std::uint32_t kNdTarget = 62;

// Everything about an ARP frame but the addresses.
void WriteArpHeaderChecks(net::IfIndex link, BpfWriter* writer) {
  writer->RequireWord(kBpfInterface, static_cast<std::uint32_t>(link));
  writer->Load(BpfSize::kWord, kBpfPacketType);
  writer->RejectUnlessAtMost(kBpfPacketBroadcast);  // 0: to this host, 1: broadcast
  writer->RequireHalf(kEtherType, 0x0806);
  writer->RequireWord(kArpHardwareAndProtocol, 0x00010800);  // Ethernet, IPv4
  writer->RequireHalf(kArpLengths, 0x0604);                  // of their addresses
}

BpfProgram BuildArp(const AddressRanges& ranges, net::IfIndex link) {
  constexpr std::array kSender = {kArpSender};
  constexpr std::array kTarget = {kArpTarget};
  BpfWriter writer;
  WriteArpHeaderChecks(link, &writer);
  writer.Search(ranges, kSender, BpfWriter::OnMiss::kGoOn);
  writer.RequireHalf(kArpOperation, 1);  // request
  writer.Search(ranges, kTarget, BpfWriter::OnMiss::kReject);
  return std::move(writer).Finish();
}

BpfProgram BuildNdp(const AddressRanges& ranges, net::IfIndex link) {
  constexpr std::array kTarget = {kNdTarget, kNdTarget + 4, kNdTarget + 8, kNdTarget + 12};
  BpfWriter writer;
  // First of all what tells neighbour messages from the node's other traffic.
  writer.RequireHalf(kIpv6NextHeaderAndHopLimit, 0x3aff);  // ICMPv6, 255
  writer.RequireWord(kBpfInterface, static_cast<std::uint32_t>(link));
  writer.Load(BpfSize::kWord, kBpfPacketType);
  writer.RejectUnlessAtMost(kBpfPacketMulticast);  // 0: to this host, 1: broadcast, 2: multicast
  writer.RequireHalf(kEtherType, 0x86dd);
  writer.Load(BpfSize::kByte, kIcmpv6Type);
  writer.RejectUnlessBetween(135, 136);
  writer.Search(ranges, kTarget, BpfWriter::OnMiss::kReject);
  return std::move(writer).Finish();
}

// The finest program that fits, if not the exact one. Each range takes an instruction at least.
template <typename Build>
BpfProgram BuildWithin(const AddressRanges& exact, std::size_t max_instructions, Build build) {
  if (exact.size() <= max_instructions) {
    BpfProgram program = build(exact);
    if (program.size() <= max_instructions) {
      return program;
    }
  }
  std::size_t fits = 1;
  std::size_t too_many = std::min(exact.size(), max_instructions);
  BpfProgram best = build(Cover(exact, fits));
  while (too_many - fits > 1) {
    const std::size_t count = fits + (too_many - fits) / 2;
    BpfProgram program = build(Cover(exact, count));
    if (program.size() <= max_instructions) {
      fits = count;
      best = std::move(program);
    } else {
      too_many = count;
    }
  }
  return best;
}

}  // namespace

BpfProgram BuildArpFilter(std::vector<net::Ipv4Address> addresses, net::IfIndex link,
                          std::size_t max_instructions) {
  const AddressRanges exact =
      RangesOf(std::vector<net::IpAddress>(addresses.begin(), addresses.end()));
  if (exact.empty()) {
    return RejectAllProgram();
  }
  return BuildWithin(exact, max_instructions,
                     [link](const AddressRanges& ranges) { return BuildArp(ranges, link); });
}

BpfProgram BuildNdpFilter(std::vector<net::Ipv6Address> addresses, net::IfIndex link,
                          std::size_t max_instructions) {
  const AddressRanges exact =
      RangesOf(std::vector<net::IpAddress>(addresses.begin(), addresses.end()));
  if (exact.empty()) {
    return RejectAllProgram();
  }
  return BuildWithin(exact, max_instructions,
                     [link](const AddressRanges& ranges) { return BuildNdp(ranges, link); });
}

}  // namespace stentor::speaker
