// SPDX-License-Identifier: Apache-2.0
#include "common/net/ndp.h"

#include <string>
#include <variant>
#include <vector>

#include "test/support/catch.h"
#include "test/support/nd_frames.h"

namespace stentor::net {
namespace {

using test::FromHex;
using test::NdFrameFields;
using test::NdFrameOf;

constexpr MacAddress kHost({0x02, 0, 0, 0, 0, 0x10});
constexpr MacAddress kNode({0x02, 0, 0, 0, 0, 0x20});

Ipv6Address Ip(std::string_view text) { return *Ipv6Address::Parse(text); }

MacAddress Mac(std::string_view text) { return *MacAddress::Parse(text); }

// Frames that a Linux 6.18 sent, captured on a veth link with tcpdump.
constexpr std::string_view kLinuxDad =
    "3333ff00006f 020000000020 86dd 6000000000203aff 00000000000000000000000000000000"
    "ff0200000000000000000001ff00006f 8700647700000000 20010db800000000000000000000006f"
    "0e01c11f6e6faa01";
constexpr std::string_view kLinuxMulticast =
    "3333ff00006f 020000000010 86dd 6000000000203aff 20010db8000000000000000000000001"
    "ff0200000000000000000001ff00006f 87001b3e00000000 20010db800000000000000000000006f"
    "0101020000000010";
constexpr std::string_view kLinuxUnicast =
    "020000000020 020000000010 86dd 6000000000203aff fe80000000000000000000fffe000010"
    "20010db800000000000000000000006f 87001bb300000000 20010db800000000000000000000006f"
    "0101020000000010";
constexpr std::string_view kLinuxSolicited =
    "020000000010 020000000020 86dd 6000000000203aff 20010db800000000000000000000006f"
    "20010db8000000000000000000000001 8800897960000000 20010db800000000000000000000006f"
    "0201020000000020";
constexpr std::string_view kLinuxSolicitedBare =
    "020000000010 020000000020 86dd 6000000000183aff 20010db800000000000000000000006f"
    "fe80000000000000000000fffe000010 8800ddcb40000000 20010db800000000000000000000006f";
constexpr std::string_view kLinuxUnsolicited =
    "333300000001 020000000021 86dd 6000000000203aff 20010db800000000000000000000006f"
    "ff020000000000000000000000000001 8800f82e20000000 20010db800000000000000000000006f"
    "0201020000000021";

NdPacket Solicitation() {
  return {.destination = Mac("33:33:ff:00:00:6f"),
          .source = kHost,
          .ip_source = Ip("2001:db8::1"),
          .ip_destination = Ip("ff02::1:ff00:6f"),
          .kind = NdKind::kSolicitation,
          .target = Ip("2001:db8::6f"),
          .link_layer_address = kHost};
}

NdPacket Advertisement() {
  return {.destination = kHost,
          .source = kNode,
          .ip_source = Ip("2001:db8::6f"),
          .ip_destination = Ip("2001:db8::1"),
          .kind = NdKind::kAdvertisement,
          .target = Ip("2001:db8::6f"),
          .solicited = true,
          .override_ = true,
          .link_layer_address = kNode};
}

template <typename Change>
NdPacket With(NdPacket packet, Change change) {
  change(packet);
  return packet;
}

TEST_CASE("DecodeNd reads what Linux sends", "[ndp]") {
  struct Case {
    const char* name;
    std::string_view frame;
    NdPacket want;
  };
  const auto c = GENERATE(values<Case>({
      {"duplicate address detection, with a nonce", kLinuxDad,
       With(Solicitation(),
            [](auto& p) {
              p.source = kNode;
              p.ip_source = {};
              p.link_layer_address.reset();
            })},
      {"multicast question", kLinuxMulticast, Solicitation()},
      {"unicast question of a neighbour cache", kLinuxUnicast,
       With(Solicitation(),
            [](auto& p) {
              p.destination = kNode;
              p.ip_source = Ip("fe80::ff:fe00:10");
              p.ip_destination = Ip("2001:db8::6f");
            })},
      {"answer", kLinuxSolicited, Advertisement()},
      {"answer without an option", kLinuxSolicitedBare,
       With(Advertisement(),
            [](auto& p) {
              p.ip_destination = Ip("fe80::ff:fe00:10");
              p.override_ = false;
              p.link_layer_address.reset();
            })},
      {"unsolicited, after a change of MAC", kLinuxUnsolicited,
       With(Advertisement(),
            [](auto& p) {
              p.destination = Mac("33:33:00:00:00:01");
              p.source = Mac("02:00:00:00:00:21");
              p.ip_destination = Ip("ff02::1");
              p.solicited = false;
              p.link_layer_address = p.source;
            })},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(std::get<NdPacket>(DecodeNd(FromHex(c.frame))) == c.want); }
}

TEST_CASE("EncodeNd writes what Linux writes", "[ndp]") {
  struct Case {
    const char* name;
    std::string_view want;
  };
  const auto c = GENERATE(values<Case>({
      {"multicast question", kLinuxMulticast},
      {"unicast question", kLinuxUnicast},
      {"answer", kLinuxSolicited},
      {"answer without an option", kLinuxSolicitedBare},
      {"unsolicited", kLinuxUnsolicited},
  }));
  DYNAMIC_SECTION(c.name) {
    const std::vector<std::byte> want = FromHex(c.want);
    const NdFrame frame = EncodeNd(std::get<NdPacket>(DecodeNd(want)));
    CHECK(std::vector<std::byte>(frame.bytes().begin(), frame.bytes().end()) == want);
  }
}

TEST_CASE("DecodeNd accepts what the RFC allows", "[ndp]") {
  struct Case {
    const char* name;
    NdFrameFields frame;
    NdPacket want;
  };
  const auto c = GENERATE(values<Case>({
      {"without an option",
       {.options = ""},
       With(Solicitation(), [](auto& p) { p.link_layer_address.reset(); })},
      {"behind an unknown option",
       {.options = "0e01000000000000 0101020000000010"},
       Solicitation()},
      {"before an unknown option of 16 octets",
       {.options = "0101020000000010 fd02000000000000 0000000000000000"},
       Solicitation()},
      {"the other message's option is none of ours",
       {.options = "0201020000000099"},
       With(Solicitation(), [](auto& p) { p.link_layer_address.reset(); })},
      {"the first of two", {.options = "0101020000000010 0101020000000099"}, Solicitation()},
      {"a group in the option: the codec doesn't judge it",
       {.options = "0101 333300000001"},
       With(Solicitation(), [](auto& p) { p.link_layer_address = Mac("33:33:00:00:00:01"); })},
      {"padding behind the payload", {.trailer = "aaaaaaaa"}, Solicitation()},
      {"a priority tag, which names no VLAN", {.tag = "8100e000"}, Solicitation()},
      {"reserved bits of a solicitation", {.flags = 0xffffffff}, Solicitation()},
      {"to all nodes",
       {.destination_mac = "33:33:00:00:00:01", .ip_destination = "ff02::1"},
       With(Solicitation(),
            [](auto& p) {
              p.destination = Mac("33:33:00:00:00:01");
              p.ip_destination = Ip("ff02::1");
            })},
      {"probe",
       {.ip_source = "::", .options = ""},
       With(Solicitation(),
            [](auto& p) {
              p.ip_source = {};
              p.link_layer_address.reset();
            })},
      {"advertisement of a router",
       {.type = 136, .flags = 0x80000000, .options = "0201020000000010"},
       With(Solicitation(),
            [](auto& p) {
              p.kind = NdKind::kAdvertisement;
              p.router = true;
            })},
      {"advertisement without a source address: hosts believe it",
       {.ip_source = "::", .type = 136, .flags = 0x20000000, .options = "0201020000000010"},
       With(Solicitation(),
            [](auto& p) {
              p.kind = NdKind::kAdvertisement;
              p.ip_source = {};
              p.override_ = true;
            })},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(std::get<NdPacket>(DecodeNd(NdFrameOf(c.frame))) == c.want); }
}

TEST_CASE("DecodeNd refuses what RFC 4861, 7.1.1 and 7.1.2 forbid", "[ndp]") {
  struct Case {
    const char* name;
    NdFrameFields frame;
    NdError want;
  };
  const auto c = GENERATE(values<Case>({
      {"VLAN 5", {.tag = "81000005"}, NdError::kVlanTagged},
      {"two tags", {.tag = "81000000 81000005"}, NdError::kNotIpv6},
      {"IPv4", {.ether_type = 0x0800}, NdError::kNotIpv6},
      {"version 4 behind the type of IPv6", {.version = 4}, NdError::kNotIpv6},
      {"UDP", {.next_header = 17}, NdError::kNotNd},
      {"no next header", {.next_header = 59}, NdError::kNotNd},
      {"hop by hop options",
       {.extension = "3a00010400000000", .next_header = 0},
       NdError::kExtensionHeader},
      {"routing header",
       {.extension = "3a00000000000000", .next_header = 43},
       NdError::kExtensionHeader},
      {"first fragment",
       {.extension = "3a00000100000001", .next_header = 44},
       NdError::kExtensionHeader},
      {"atomic fragment",
       {.extension = "3a00000000000001", .next_header = 44},
       NdError::kExtensionHeader},
      {"destination options",
       {.extension = "3a00010400000000", .next_header = 60},
       NdError::kExtensionHeader},
      {"router solicitation", {.type = 133}, NdError::kNotNd},
      {"router advertisement", {.type = 134}, NdError::kNotNd},
      {"redirect", {.type = 137}, NdError::kNotNd},
      {"hop limit 254", {.hop_limit = 254}, NdError::kHopLimit},
      {"hop limit 0", {.hop_limit = 0}, NdError::kHopLimit},
      {"checksum off by one", {.checksum_error = 1}, NdError::kChecksum},
      {"checksum off by 256", {.checksum_error = 256}, NdError::kChecksum},
      {"code 1", {.code = 1}, NdError::kInvalid},
      {"message of 23 octets", {.options = "", .cut = 1}, NdError::kTruncated},
      {"message of 4 octets", {.options = "", .cut = 20}, NdError::kTruncated},
      {"payload longer than the frame", {.payload_length = 33}, NdError::kTruncated},
      {"longest payload", {.payload_length = 65535}, NdError::kTruncated},
      {"payload of nothing (a jumbogram)", {.payload_length = 0}, NdError::kTruncated},
      {"payload shorter than it was summed up", {.payload_length = 24}, NdError::kChecksum},
      {"target is a group", {.target = "ff02::1:ff00:6f"}, NdError::kInvalid},
      {"option of length zero", {.options = "0100 020000000010"}, NdError::kInvalid},
      {"unknown option of length zero behind ours",
       {.options = "0101020000000010 0e00000000000000"},
       NdError::kInvalid},
      {"option beyond the packet", {.options = "0102 020000000010"}, NdError::kInvalid},
      {"option that claims 2,040 octets", {.options = "0eff 020000000010"}, NdError::kInvalid},
      {"half an option header", {.options = "0101020000000010 0e"}, NdError::kInvalid},
      {"address of 14 octets", {.options = "0102 0200000000100000000000000000"}, NdError::kInvalid},
      {"source is a group", {.ip_source = "ff02::1"}, NdError::kInvalid},
      {"source is loopback", {.ip_source = "::1"}, NdError::kInvalid},
      {"destination is unspecified", {.ip_destination = "::"}, NdError::kInvalid},
      {"probe to all nodes",
       {.ip_source = "::", .ip_destination = "ff02::1", .options = ""},
       NdError::kInvalid},
      {"probe to one address",
       {.ip_source = "::", .ip_destination = "2001:db8::6f", .options = ""},
       NdError::kInvalid},
      {"probe with a source link-layer address", {.ip_source = "::"}, NdError::kInvalid},
      {"solicited advertisement to all nodes",
       {.ip_destination = "ff02::1", .type = 136, .flags = 0x40000000, .options = ""},
       NdError::kInvalid},
      {"advertisement of a group",
       {.type = 136, .target = "ff02::1", .options = ""},
       NdError::kInvalid},
      {"advertisement with code 1", {.type = 136, .code = 1, .options = ""}, NdError::kInvalid},
  }));
  DYNAMIC_SECTION(c.name) {
    const std::variant<NdPacket, NdError> decoded = DecodeNd(NdFrameOf(c.frame));
    REQUIRE(std::holds_alternative<NdError>(decoded));
    CHECK(std::get<NdError>(decoded) == c.want);
  }
}

TEST_CASE("DecodeNd refuses a valid frame that is cut anywhere", "[ndp]") {
  const std::vector<std::byte> frame = NdFrameOf({});
  for (std::size_t length = 0; length < frame.size(); ++length) {
    CAPTURE(length);
    CHECK(std::get<NdError>(DecodeNd(Bytes(frame).first(length))) == NdError::kTruncated);
  }
}

TEST_CASE("A damaged bit shows, wherever the checksum covers it", "[ndp]") {
  const std::vector<std::byte> good = NdFrameOf({});
  bool all = true;
  for (std::size_t at = 22; at < good.size(); ++at) {  // from the IPv6 source on
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> bad = good;
      bad[at] ^= std::byte{static_cast<unsigned char>(1U << bit)};
      all = all && std::holds_alternative<NdError>(DecodeNd(bad));
    }
  }
  CHECK(all);
}

TEST_CASE("NdReplyTo says where it is to whoever asked", "[ndp]") {
  const Ipv6Address link_local = Ip("fe80::20");
  const NdPacket to_host{.destination = kHost,
                         .source = kNode,
                         .ip_source = Ip("2001:db8::6f"),
                         .ip_destination = Ip("2001:db8::1"),
                         .kind = NdKind::kAdvertisement,
                         .target = Ip("2001:db8::6f"),
                         .router = false,
                         .solicited = true,
                         .override_ = true,
                         .link_layer_address = kNode};
  struct Case {
    const char* name;
    NdPacket solicitation;
    NdPacket want;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"at the MAC of its option",
       With(Solicitation(),
            [](auto& p) {
              p.source = Mac("02:00:00:00:00:99");  // relayed
            }),
       to_host},
      {"or at the MAC of its frame",
       With(Solicitation(), [](auto& p) { p.link_layer_address.reset(); }), to_host},
      {"and to all where it was a probe",
       With(Solicitation(),
            [](auto& p) {
              p.ip_source = {};
              p.link_layer_address.reset();
            }),
       With(to_host,
            [&link_local](auto& p) {
              p.ip_source = link_local;
              p.destination = Mac("33:33:00:00:00:01");
              p.ip_destination = Ip("ff02::1");
              p.solicited = false;
            })},
  }));
  DYNAMIC_SECTION(c.name) {
    const NdPacket reply = NdReplyTo(c.solicitation, kNode, link_local);
    CHECK(reply == c.want);
    CHECK(std::get<NdPacket>(DecodeNd(EncodeNd(reply).bytes())) == c.want);
  }
}

TEST_CASE("UnsolicitedAdvertisement overrides what all nodes remember", "[ndp]") {
  CHECK(UnsolicitedAdvertisement(kNode, Ip("fe80::20"), Ip("2001:db8::6f")) ==
        NdPacket{.destination = Mac("33:33:00:00:00:01"),
                 .source = kNode,
                 .ip_source = Ip("fe80::20"),
                 .ip_destination = Ip("ff02::1"),
                 .kind = NdKind::kAdvertisement,
                 .target = Ip("2001:db8::6f"),
                 .router = false,
                 .solicited = false,
                 .override_ = true,
                 .link_layer_address = kNode});
}

TEST_CASE("DadProbe asks as Linux does, but for the nonce", "[ndp]") {
  const NdPacket probe = DadProbe(kNode, Ip("2001:db8::6f"));
  CHECK(probe == std::get<NdPacket>(DecodeNd(FromHex(kLinuxDad))));
  CHECK(EncodeNd(probe).bytes().size() == 78);
}

TEST_CASE("Groups follow RFC 4291 and RFC 2464", "[ndp]") {
  CHECK(SolicitedNodeGroup(Ip("2001:db8::12:3456")) == Ip("ff02::1:ff12:3456"));
  CHECK(SolicitedNodeGroup(Ip("fe80::aa:bbcc:ddee")) == Ip("ff02::1:ffcc:ddee"));
  CHECK(MulticastMac(Ip("ff02::1:ff12:3456")) == Mac("33:33:ff:12:34:56"));
  CHECK(MulticastMac(AllNodesGroup()) == Mac("33:33:00:00:00:01"));
}

}  // namespace
}  // namespace stentor::net
