// SPDX-License-Identifier: Apache-2.0
// Any frame of neighbour discovery. What is decoded must survive encoding. The responder may answer
// or not, but never its own answer, never to a group except for a probe, and never what the kernel
// filter would have kept from it. Each input is tried as it is and with its checksum put right, or
// few would get past that.

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "common/base/check.h"
#include "common/net/ndp.h"
#include "speaker/announce/ndp_responder.h"
#include "speaker/announce/packet_filter.h"
#include "test/support/classic_bpf.h"

namespace {

using stentor::Bytes;
using stentor::net::DecodeNd;
using stentor::net::Ipv6Address;
using stentor::net::MacAddress;
using stentor::net::NdPacket;

constexpr MacAddress kSelf({0x02, 0, 0, 0, 0, 0x20});
constexpr stentor::net::IfIndex kLink{3};

Ipv6Address Vip() {
  return Ipv6Address({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x6f});
}

class OneAddress final : public stentor::speaker::AnnouncedAddresses {
 public:
  [[nodiscard]] bool Contains(const stentor::net::IpAddress& address) const noexcept override {
    return address == stentor::net::IpAddress(Vip());
  }
};

void CheckCodec(Bytes frame) {
  const auto decoded = DecodeNd(frame);
  if (const auto* packet = std::get_if<NdPacket>(&decoded)) {
    const auto again = DecodeNd(stentor::net::EncodeNd(*packet).bytes());
    STENTOR_CHECK(std::holds_alternative<NdPacket>(again));
    STENTOR_CHECK(std::get<NdPacket>(again) == *packet);
  }
}

void CheckResponder(Bytes frame) {
  static const OneAddress kAnnounced;
  static const stentor::speaker::BpfProgram kFilter =
      stentor::speaker::BuildNdpFilter({Vip()}, kLink);
  const stentor::speaker::NdpResponder responder(
      kSelf, Ipv6Address({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20}), kAnnounced);
  const stentor::speaker::NdDecision decision = responder.Handle(frame);
  const auto* answer = std::get_if<stentor::speaker::NdAnswer>(&decision);
  if (answer == nullptr) {
    return;
  }
  const auto question = std::get<NdPacket>(DecodeNd(frame));
  const auto reply = std::get<NdPacket>(DecodeNd(answer->frame.bytes()));
  STENTOR_CHECK(reply.source == kSelf && reply.link_layer_address == kSelf && !reply.router);
  STENTOR_CHECK(reply.target == Vip() && question.target == Vip());
  const bool probe = question.ip_source == Ipv6Address();
  STENTOR_CHECK(probe == reply.destination.IsGroup() && probe != reply.solicited);
  STENTOR_CHECK(std::holds_alternative<stentor::speaker::DropReason>(
      responder.Handle(answer->frame.bytes())));
  const bool tagged = std::to_integer<int>(frame[12]) == 0x81;  // the kernel takes tags off
  if (!tagged) {
    const stentor::test::FrameFacts facts{.packet_type = question.destination.IsGroup() ? 2U : 0U,
                                          .interface = kLink};
    STENTOR_CHECK(stentor::test::RunBpf(kFilter, frame, facts) != 0);
  }
}

// The frame with the checksum that its own lengths ask for, untagged; as it is where that has no
// meaning. Written here a second time, as in test/support/nd_frames.h, so that the decoder is not
// its own judge.
std::vector<std::byte> WithChecksum(Bytes input) {
  std::vector<std::byte> frame(input.begin(), input.end());
  constexpr std::size_t kMessage = 14 + 40;
  if (frame.size() < kMessage + 4) {
    return frame;
  }
  const auto at = [&frame](std::size_t i) { return std::to_integer<std::uint32_t>(frame[i]); };
  const std::size_t length = at(18) * 256 + at(19);
  if (length < 4 || kMessage + length > frame.size()) {
    return frame;
  }
  frame[kMessage + 2] = frame[kMessage + 3] = std::byte{0};
  std::uint32_t sum = static_cast<std::uint32_t>(length) + 58;
  for (std::size_t i = 22; i < kMessage + length; ++i) {  // both addresses, then the message
    sum += i % 2 == 0 ? at(i) * 256 : at(i);
  }
  while (sum > 0xffff) {
    sum = sum % 0x10000 + sum / 0x10000;
  }
  frame[kMessage + 2] = static_cast<std::byte>((0xffff - sum) / 256);
  frame[kMessage + 3] = static_cast<std::byte>((0xffff - sum) % 256);
  return frame;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes frame = std::as_bytes(std::span(data, size));
  CheckCodec(frame);
  CheckResponder(frame);
  const std::vector<std::byte> summed = WithChecksum(frame);
  CheckCodec(summed);
  CheckResponder(summed);
  return 0;
}
