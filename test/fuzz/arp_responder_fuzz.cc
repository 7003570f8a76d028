// SPDX-License-Identifier: Apache-2.0
// Any frame: the responder may answer or not, but never its own answer, never to a group address,
// and never what the kernel filter would have kept from it. Nor does the filter keep from us that
// somebody else claims our address.

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "common/base/check.h"
#include "speaker/announce/arp_responder.h"
#include "speaker/announce/packet_filter.h"
#include "test/support/classic_bpf.h"

namespace {

using stentor::Bytes;
using stentor::net::ArpPacket;
using stentor::net::Ipv4Address;
using stentor::net::MacAddress;

constexpr MacAddress kSelf({0x02, 0, 0, 0, 0, 0x20});
constexpr Ipv4Address kVip = Ipv4Address::FromOctets(192, 0, 2, 111);
constexpr stentor::net::IfIndex kLink{3};

class OneAddress final : public stentor::speaker::AnnouncedAddresses {
 public:
  [[nodiscard]] bool Contains(const stentor::net::IpAddress& address) const noexcept override {
    return address == stentor::net::IpAddress(kVip);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const OneAddress kAnnounced;
  static const stentor::speaker::BpfProgram kFilter =
      stentor::speaker::BuildArpFilter({kVip}, kLink);
  const stentor::speaker::ArpResponder responder(kSelf, kAnnounced);
  const Bytes frame = std::as_bytes(std::span(data, size));

  const auto decoded = stentor::net::DecodeArp(frame);
  const auto* packet = std::get_if<ArpPacket>(&decoded);
  if (packet == nullptr) {
    STENTOR_CHECK(std::holds_alternative<stentor::speaker::DropReason>(responder.Handle(frame)));
    return 0;
  }
  STENTOR_CHECK(std::get<ArpPacket>(stentor::net::DecodeArp(stentor::net::EncodeArp(*packet))) ==
                *packet);
  const bool for_us = packet->destination.IsBroadcast() || packet->destination == kSelf;
  const bool tagged = data[12] == 0x81;  // the kernel takes tags off before it filters
  const stentor::test::FrameFacts facts{.packet_type = packet->destination.IsBroadcast() ? 1U : 0U,
                                        .interface = kLink};
  const bool let_in = stentor::test::RunBpf(kFilter, frame, facts) != 0;
  STENTOR_CHECK(tagged || !for_us || packet->sender_ip != kVip || let_in);

  const stentor::speaker::ArpDecision decision = responder.Handle(frame);
  const auto* answer = std::get_if<stentor::speaker::ArpAnswer>(&decision);
  if (answer == nullptr) {
    return 0;
  }
  STENTOR_CHECK(for_us && packet->target_ip == kVip && (tagged || let_in));
  const auto reply = std::get<ArpPacket>(stentor::net::DecodeArp(answer->frame));
  STENTOR_CHECK(reply.source == kSelf && !reply.destination.IsGroup());
  STENTOR_CHECK(
      std::holds_alternative<stentor::speaker::DropReason>(responder.Handle(answer->frame)));
  return 0;
}
