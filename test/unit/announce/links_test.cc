// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/links.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

constexpr std::uint32_t kReady =
    net::kLinkUp | net::kLinkBroadcast | net::kLinkRunning | net::kLinkLowerUp;
constexpr net::MacAddress kMac({0x02, 0, 0, 0, 0, 0x20});
constexpr net::MacAddress kNewMac({0x02, 0, 0, 0, 0, 0x21});
constexpr IfIndex kEth0{2};

net::LinkMessage Eth0() {
  return {.index = kEth0, .flags = kReady, .name = "eth0", .mac = kMac, .master = {}};
}

NameFilter DefaultFilter() { return *NameFilter::Compile(DefaultExcludedInterfaces()); }

std::string Text(const std::vector<LinkEvent>& events) {
  std::string text;
  for (const LinkEvent& event : events) {
    text += text.empty() ? "" : ", ";
    text += std::string(LinkChangeName(event.change)) + " " + event.name;
  }
  return text;
}

TEST_CASE("Links knows who is eligible to answer ARP", "[links]") {
  struct Case {
    const char* name;
    net::LinkMessage link;
    bool want;
  };
  const auto with = [](auto change) {
    net::LinkMessage link = Eth0();
    change(link);
    return link;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"up, with carrier", Eth0(), true},
      {"up, without carrier", with([](auto& l) { l.flags = net::kLinkUp | net::kLinkBroadcast; }),
       true},
      {"down", with([](auto& l) { l.flags &= ~net::kLinkUp; }), false},
      {"NOARP", with([](auto& l) { l.flags |= net::kLinkNoArp; }), false},
      {"point to point", with([](auto& l) { l.flags &= ~net::kLinkBroadcast; }), false},
      {"enslaved to a bridge, bond or VRF", with([](auto& l) { l.master = IfIndex{9}; }), false},
      {"excluded by name", with([](auto& l) { l.name = "veth12"; }), false},
      {"without a MAC", with([](auto& l) { l.mac.reset(); }), false},
      {"with a MAC of zeros", with([](auto& l) { l.mac = net::MacAddress(); }), false},
  }));
  DYNAMIC_SECTION(c.name) {
    Links links(DefaultFilter());
    CHECK(Text(links.Apply(c.link)) == (c.want ? "added eth0" : ""));
    REQUIRE(links.Find(kEth0) != nullptr);
    CHECK(links.Find(kEth0)->answers_arp == c.want);
  }
}

TEST_CASE("Links reports each change once", "[links]") {
  struct Case {
    const char* name;
    net::LinkMessage link;
    const char* want;
  };
  const auto with = [](auto change) {
    net::LinkMessage link = Eth0();
    change(link);
    return link;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"nothing", Eth0(), ""},
      {"statistics flag", with([](auto& l) { l.flags |= 0x100; }), ""},
      {"another MAC", with([](auto& l) { l.mac = kNewMac; }), "mac_changed eth0"},
      {"another name", with([](auto& l) { l.name = "lan0"; }), "renamed lan0"},
      {"an excluded name", with([](auto& l) { l.name = "veth0"; }), "removed veth0"},
      {"carrier lost", with([](auto& l) { l.flags &= ~(net::kLinkRunning | net::kLinkLowerUp); }),
       "carrier_down eth0"},
      {"dormant (802.1X)", with([](auto& l) { l.flags &= ~net::kLinkRunning; }),
       "carrier_down eth0"},
      {"enslaved", with([](auto& l) { l.master = IfIndex{9}; }), "removed eth0"},
      {"down", with([](auto& l) { l.flags = net::kLinkBroadcast; }), "removed eth0"},
      {"name and MAC", with([](auto& l) {
         l.name = "lan0";
         l.mac = kNewMac;
       }),
       "renamed lan0, mac_changed lan0"},
      {"deleted", with([](auto& l) { l.existence = net::Existence::kGone; }), "removed eth0"},
  }));
  DYNAMIC_SECTION(c.name) {
    Links links(DefaultFilter());
    CHECK(Text(links.Apply(Eth0())) == "added eth0");
    CHECK(Text(links.Apply(c.link)) == c.want);
    if (c.link.existence == net::Existence::kPresent) {
      CHECK(Text(links.Apply(c.link)).empty());
    } else {
      CHECK(links.Find(kEth0) == nullptr);
    }
  }
}

TEST_CASE("A link that is freed by its bridge is added again", "[links]") {
  Links links(DefaultFilter());
  net::LinkMessage enslaved = Eth0();
  enslaved.master = IfIndex{9};
  CHECK(Text(links.Apply(enslaved)).empty());
  CHECK(Text(links.Apply(Eth0())) == "added eth0");
}

TEST_CASE("Carrier comes back", "[links]") {
  Links links(DefaultFilter());
  net::LinkMessage without = Eth0();
  without.flags = net::kLinkUp | net::kLinkBroadcast;
  CHECK(Text(links.Apply(without)) == "added eth0");
  CHECK_FALSE(links.Find(kEth0)->carrier);
  CHECK(Text(links.Apply(Eth0())) == "carrier_up eth0");
  CHECK(links.Find(kEth0)->carrier);
}

TEST_CASE("A dump takes away what it does not mention", "[links]") {
  Links links(DefaultFilter());
  const net::AddressMessage kept{
      .index = kEth0, .address = net::Ipv4Address::FromOctets(192, 0, 2, 7), .prefix_length = 24};
  net::AddressMessage lost = kept;
  lost.address = net::Ipv4Address::FromOctets(192, 0, 2, 8);
  net::LinkMessage eth1 = Eth0();
  eth1.index = IfIndex{3};
  eth1.name = "eth1";
  static_cast<void>(links.Apply(Eth0()));
  static_cast<void>(links.Apply(eth1));
  static_cast<void>(links.Apply(kept));
  static_cast<void>(links.Apply(lost));
  CHECK(links.Find(kEth0)->addresses.size() == 2);

  links.BeginDump();
  CHECK(Text(links.Apply(Eth0())).empty());
  CHECK(Text(links.Apply(kept)).empty());
  CHECK(links.Find(IfIndex{3}) != nullptr);
  CHECK(Text(links.EndDump()) == "removed eth1");
  CHECK(links.Find(IfIndex{3}) == nullptr);
  CHECK(links.Find(kEth0)->addresses ==
        std::map<net::IpAddress, LinkAddress>{{kept.address, {.prefix_length = 24, .flags = 0}}});
}

TEST_CASE("A link deleted while a dump goes on stays deleted", "[links]") {
  Links links(DefaultFilter());
  links.BeginDump();
  CHECK(Text(links.Apply(Eth0())) == "added eth0");
  net::LinkMessage gone = Eth0();
  gone.existence = net::Existence::kGone;
  CHECK(Text(links.Apply(gone)) == "removed eth0");
  CHECK(Text(links.EndDump()).empty());
  CHECK(links.all().empty());
}

TEST_CASE("An address of an unknown link is forgotten", "[links]") {
  Links links(DefaultFilter());
  const net::AddressMessage address{.index = IfIndex{77},
                                    .address = net::Ipv4Address::FromOctets(192, 0, 2, 7)};
  CHECK(links.Apply(address).empty());
  CHECK(links.all().empty());
}

TEST_CASE("Links are found by name, also those that answer nothing", "[links]") {
  Links links(DefaultFilter());
  net::LinkMessage port = Eth0();
  port.name = "a0";
  port.master = IfIndex{9};
  static_cast<void>(links.Apply(port));
  REQUIRE(links.FindByName("a0") != nullptr);
  CHECK(links.FindByName("a0")->index == port.index);
  CHECK(links.FindByName("b0") == nullptr);
}

}  // namespace
}  // namespace stentor::speaker
