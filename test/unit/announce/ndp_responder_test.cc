// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/ndp_responder.h"

#include <string_view>
#include <variant>
#include <vector>

#include "test/support/catch.h"
#include "test/support/nd_frames.h"

namespace stentor::speaker {
namespace {

using test::NdFrameFields;
using test::NdFrameOf;

constexpr net::MacAddress kSelf({0x02, 0, 0, 0, 0, 0x20});

net::Ipv6Address Ip(std::string_view text) { return *net::Ipv6Address::Parse(text); }

net::MacAddress Mac(std::string_view text) { return *net::MacAddress::Parse(text); }

class FakeAnnounced final : public AnnouncedAddresses {
 public:
  [[nodiscard]] bool Contains(const net::IpAddress& address) const noexcept override {
    return address == vip_;
  }

 private:
  net::IpAddress vip_ = *net::IpAddress::Parse("2001:db8::6f");
};

TEST_CASE("NdpResponder answers solicitations for what is announced", "[ndp]") {
  const FakeAnnounced announced;
  const NdpResponder responder(kSelf, Ip("fe80::20"), announced);
  struct Case {
    const char* name;
    NdFrameFields frame;
    std::string_view want_to;
    std::string_view want_to_ip;
    bool want_solicited;
  };
  const auto c = GENERATE(values<Case>({
      {"multicast", {}, "02:00:00:00:00:10", "2001:db8::1", true},
      {"unicast, as a neighbour cache probes",
       {.destination_mac = "02:00:00:00:00:20", .ip_destination = "2001:db8::6f"},
       "02:00:00:00:00:10",
       "2001:db8::1",
       true},
      {"unicast without an option",
       {.destination_mac = "02:00:00:00:00:20", .ip_destination = "2001:db8::6f", .options = ""},
       "02:00:00:00:00:10",
       "2001:db8::1",
       true},
      {"multicast without an option",
       {.source_mac = "02:00:00:00:00:55", .options = ""},
       "02:00:00:00:00:55",
       "2001:db8::1",
       true},
      {"relayed: the option counts",
       {.source_mac = "02:00:00:00:00:55"},
       "02:00:00:00:00:10",
       "2001:db8::1",
       true},
      {"from a link-local address",
       {.ip_source = "fe80::10"},
       "02:00:00:00:00:10",
       "fe80::10",
       true},
      {"to all nodes",
       {.destination_mac = "33:33:00:00:00:01", .ip_destination = "ff02::1"},
       "02:00:00:00:00:10",
       "2001:db8::1",
       true},
      {"multicast that an access point has turned into unicast",
       {.destination_mac = "02:00:00:00:00:20"},
       "02:00:00:00:00:10",
       "2001:db8::1",
       true},
      {"duplicate address detection of another host",
       {.ip_source = "::", .options = ""},
       "33:33:00:00:00:01",
       "ff02::1",
       false},
      {"duplicate address detection with a nonce (RFC 7527)",
       {.ip_source = "::", .options = "0e01c11f6e6faa01"},
       "33:33:00:00:00:01",
       "ff02::1",
       false},
      {"from another host that claims the address",
       {.ip_source = "2001:db8::6f"},
       "02:00:00:00:00:10",
       "2001:db8::6f",
       true},
  }));
  DYNAMIC_SECTION(c.name) {
    const NdDecision decision = responder.Handle(NdFrameOf(c.frame));
    CAPTURE(decision);
    const NdAnswer* answer = std::get_if<NdAnswer>(&decision);
    REQUIRE(answer != nullptr);
    CHECK(answer->address == Ip("2001:db8::6f"));
    CHECK(std::get<net::NdPacket>(net::DecodeNd(answer->frame.bytes())) ==
          net::NdPacket{.destination = Mac(c.want_to),
                        .source = kSelf,
                        .ip_source = Ip(c.want_solicited ? "2001:db8::6f" : "fe80::20"),
                        .ip_destination = Ip(c.want_to_ip),
                        .kind = net::NdKind::kAdvertisement,
                        .target = Ip("2001:db8::6f"),
                        .router = false,
                        .solicited = c.want_solicited,
                        .override_ = true,
                        .link_layer_address = kSelf});
  }
}

TEST_CASE("NdpResponder drops what it must not answer", "[ndp]") {
  const FakeAnnounced announced;
  const NdpResponder responder(kSelf, Ip("fe80::20"), announced);
  struct Case {
    const char* name;
    NdFrameFields frame;
    DropReason want;
  };
  const auto c = GENERATE(values<Case>({
      {"cut by one octet", {.options = "", .cut = 1}, DropReason::kMalformed},
      {"IPv4", {.ether_type = 0x0800}, DropReason::kMalformed},
      {"another protocol", {.next_header = 6}, DropReason::kMalformed},
      {"router advertisement", {.type = 134}, DropReason::kMalformed},
      {"code 1", {.code = 1}, DropReason::kMalformed},
      {"option of length zero", {.options = "0100 020000000010"}, DropReason::kMalformed},
      {"target is a group", {.target = "ff02::1"}, DropReason::kMalformed},
      {"probe with an option", {.ip_source = "::"}, DropReason::kMalformed},
      {"probe to all nodes",
       {.ip_source = "::", .ip_destination = "ff02::1", .options = ""},
       DropReason::kMalformed},
      {"VLAN 7", {.tag = "81000007"}, DropReason::kVlanTagged},
      {"hop limit 64", {.hop_limit = 64}, DropReason::kBadHopLimit},
      {"wrong checksum", {.checksum_error = 1}, DropReason::kBadChecksum},
      {"fragment",
       {.extension = "3a00000000000001", .next_header = 44},
       DropReason::kExtensionHeader},
      {"answer of another host",
       {.type = 136, .flags = 0x20000000, .options = "0201020000000010"},
       DropReason::kNotRequest},
      {"unicast to another MAC", {.destination_mac = "02:00:00:00:00:30"}, DropReason::kNotForUs},
      {"our own frame",
       {.source_mac = "02:00:00:00:00:20", .options = "0101020000000020"},
       DropReason::kOwnFrame},
      {"our own frame, relayed", {.options = "0101020000000020"}, DropReason::kOwnFrame},
      {"our own probe, looped back",
       {.source_mac = "02:00:00:00:00:20", .ip_source = "::", .options = ""},
       DropReason::kOwnFrame},
      {"option says broadcast", {.options = "0101ffffffffffff"}, DropReason::kMalformed},
      {"option says a group", {.options = "0101333300000001"}, DropReason::kMalformed},
      {"option says zero", {.options = "0101000000000000"}, DropReason::kMalformed},
      {"no option, and the frame comes from a group",
       {.source_mac = "01:00:00:00:00:10", .options = ""},
       DropReason::kMalformed},
      {"no option, and the frame comes from zero",
       {.source_mac = "00:00:00:00:00:00", .options = ""},
       DropReason::kMalformed},
      {"address not announced", {.target = "2001:db8::70"}, DropReason::kNotAnnounced},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(responder.Handle(NdFrameOf(c.frame)) == NdDecision{c.want}); }
}

}  // namespace
}  // namespace stentor::speaker
