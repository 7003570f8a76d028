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

net::AddressMessage Address(const char* text, std::uint32_t flags = 0) {
  return {
      .index = kEth0, .address = *net::IpAddress::Parse(text), .prefix_length = 64, .flags = flags};
}

net::AddressMessage Gone(const char* text) {
  net::AddressMessage message = Address(text);
  message.existence = net::Existence::kGone;
  return message;
}

TEST_CASE("Links knows who may answer, by default and by name", "[links]") {
  struct Case {
    const char* name;
    net::LinkMessage link;
    bool want_can_answer;
    bool want_by_default;
  };
  const auto with = [](auto change) {
    net::LinkMessage link = Eth0();
    change(link);
    return link;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"up, with carrier", Eth0(), true, true},
      {"up, without carrier", with([](auto& l) { l.flags = net::kLinkUp | net::kLinkBroadcast; }),
       true, true},
      {"down", with([](auto& l) { l.flags &= ~net::kLinkUp; }), false, false},
      {"NOARP", with([](auto& l) { l.flags |= net::kLinkNoArp; }), false, false},
      {"point to point", with([](auto& l) { l.flags &= ~net::kLinkBroadcast; }), false, false},
      {"enslaved to a bridge, bond or VRF", with([](auto& l) { l.master = IfIndex{9}; }), true,
       false},
      {"enslaved and down", with([](auto& l) {
         l.master = IfIndex{9};
         l.flags &= ~net::kLinkUp;
       }),
       false, false},
      {"excluded by name", with([](auto& l) { l.name = "veth12"; }), false, false},
      {"excluded by name and enslaved", with([](auto& l) {
         l.name = "veth12";
         l.master = IfIndex{9};
       }),
       false, false},
      {"without a MAC", with([](auto& l) { l.mac.reset(); }), false, false},
      {"with a MAC of zeros", with([](auto& l) { l.mac = net::MacAddress(); }), false, false},
  }));
  DYNAMIC_SECTION(c.name) {
    Links links(DefaultFilter());
    CHECK(Text(links.Apply(c.link)) == (c.want_can_answer ? "added eth0" : ""));
    const Link* link = links.Find(kEth0);
    REQUIRE(link != nullptr);
    CHECK(link->can_answer == c.want_can_answer);
    CHECK(link->enslaved == c.link.master.has_value());
    CHECK(link->answers_arp == c.want_by_default);
    CHECK(MayAnswer(*link, net::IpFamily::kIpv4, false) == c.want_by_default);
    CHECK(MayAnswer(*link, net::IpFamily::kIpv4, true) == c.want_can_answer);

    CHECK_FALSE(link->answers_ndp);  // without a link-local address
    CHECK_FALSE(MayAnswer(*link, net::IpFamily::kIpv6, true));
    CHECK(Text(links.Apply(Address("fe80::20"))) ==
          (c.want_can_answer ? "link_local_changed eth0" : ""));
    CHECK(link->answers_ndp == c.want_by_default);
    CHECK(MayAnswer(*link, net::IpFamily::kIpv6, false) == c.want_by_default);
    CHECK(MayAnswer(*link, net::IpFamily::kIpv6, true) == c.want_can_answer);
  }
}

TEST_CASE("A link answers NDP from its best link-local address", "[links]") {
  struct Case {
    const char* name;
    std::vector<net::AddressMessage> messages;
    const char* want;  // empty for none
  };
  constexpr std::uint32_t kPermanent = 0x80;
  const auto c = GENERATE(values<Case>({
      {"none", {}, ""},
      {"only other addresses",
       {Address("192.0.2.7"), Address("2001:db8::1"), Address("fec0::1"), Address("fe7f::1")},
       ""},
      {"one", {Address("fe80::20", kPermanent)}, "fe80::20"},
      {"the last of fe80::/10", {Address("febf::1", kPermanent)}, "febf::1"},
      {"tentative", {Address("fe80::20", net::kAddressTentative)}, ""},
      {"tentative and optimistic",
       {Address("fe80::20", net::kAddressTentative | net::kAddressOptimistic)},
       ""},
      {"optimistic", {Address("fe80::20", net::kAddressOptimistic)}, ""},
      {"duplicate",
       {Address("fe80::20", net::kAddressTentative | net::kAddressDadFailed | kPermanent)},
       ""},
      {"duplicate, no longer tentative", {Address("fe80::20", net::kAddressDadFailed)}, ""},
      {"deprecated, but nothing better",
       {Address("fe80::21", net::kAddressDeprecated), Address("fe80::20", net::kAddressDeprecated)},
       "fe80::20"},
      {"deprecated, and a better one above it",
       {Address("fe80::20", net::kAddressDeprecated), Address("fe80::30")},
       "fe80::30"},
      {"lowest of several",
       {Address("fe80::30"), Address("fe80::10"), Address("fe80::20")},
       "fe80::10"},
      {"a lower one that is not usable yet",
       {Address("fe80::10", net::kAddressTentative), Address("fe80::20")},
       "fe80::20"},
      {"taken away", {Address("fe80::20"), Gone("fe80::20")}, ""},
      {"the lower of two taken away",
       {Address("fe80::10"), Address("fe80::20"), Gone("fe80::10")},
       "fe80::20"},
      {"an unknown one taken away", {Address("fe80::20"), Gone("fe80::10")}, "fe80::20"},
  }));
  DYNAMIC_SECTION(c.name) {
    Links links(DefaultFilter());
    static_cast<void>(links.Apply(Eth0()));
    for (const net::AddressMessage& message : c.messages) {
      static_cast<void>(links.Apply(message));
    }
    const Link* link = links.Find(kEth0);
    CHECK(link->link_local == net::Ipv6Address::Parse(c.want));
    CHECK(link->answers_ndp == link->link_local.has_value());
  }
}

TEST_CASE("Links reports when NDP becomes possible, impossible or has another source", "[links]") {
  Links links(DefaultFilter());
  CHECK(Text(links.Apply(Eth0())) == "added eth0");
  // Duplicate address detection goes on, then is over.
  CHECK(Text(links.Apply(Address("fe80::20", net::kAddressTentative))).empty());
  CHECK(Text(links.Apply(Address("fe80::20"))) == "link_local_changed eth0");
  CHECK(Text(links.Apply(Address("fe80::20"))).empty());
  CHECK(Text(links.Apply(Address("2001:db8::1"))).empty());
  CHECK(Text(links.Apply(Address("192.0.2.7"))).empty());
  // A better one, which is found to be a duplicate.
  CHECK(Text(links.Apply(Address("fe80::10", net::kAddressTentative))).empty());
  CHECK(Text(links.Apply(Address("fe80::10"))) == "link_local_changed eth0");
  CHECK(Text(links.Apply(Address("fe80::10", net::kAddressDadFailed))) ==
        "link_local_changed eth0");
  CHECK(links.Find(kEth0)->link_local == net::Ipv6Address::Parse("fe80::20"));
  CHECK(Text(links.Apply(Gone("fe80::20"))) == "link_local_changed eth0");
  CHECK_FALSE(links.Find(kEth0)->answers_ndp);
  CHECK(links.Find(kEth0)->answers_arp);
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
      {"enslaved", with([](auto& l) { l.master = IfIndex{9}; }), "enslavement_changed eth0"},
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

TEST_CASE("A link that is freed by its bridge answers again without being named", "[links]") {
  Links links(DefaultFilter());
  net::LinkMessage enslaved = Eth0();
  enslaved.master = IfIndex{9};
  CHECK(Text(links.Apply(enslaved)) == "added eth0");
  CHECK_FALSE(links.Find(kEth0)->answers_arp);
  enslaved.master = IfIndex{10};  // from one bridge to another: nothing that matters
  CHECK(Text(links.Apply(enslaved)).empty());
  CHECK(Text(links.Apply(Eth0())) == "enslavement_changed eth0");
  CHECK(links.Find(kEth0)->answers_arp);
}

TEST_CASE("What a link that can't answer goes through is nobody's business", "[links]") {
  Links links(DefaultFilter());
  net::LinkMessage down = Eth0();
  down.flags = net::kLinkBroadcast;
  CHECK(Text(links.Apply(down)).empty());
  CHECK(Text(links.Apply(Address("fe80::20"))).empty());
  down.mac = kNewMac;
  down.master = IfIndex{9};
  down.name = "lan0";
  CHECK(Text(links.Apply(down)).empty());
  // When it comes up it is added as it is by then.
  down.flags = kReady;
  CHECK(Text(links.Apply(down)) == "added lan0");
  CHECK(links.Find(kEth0)->mac == kNewMac);
  CHECK(links.Find(kEth0)->link_local == net::Ipv6Address::Parse("fe80::20"));
}

TEST_CASE("An interface that is deleted and made again is another one", "[links]") {
  Links links(DefaultFilter());
  static_cast<void>(links.Apply(Eth0()));
  static_cast<void>(links.Apply(Address("fe80::20")));
  net::LinkMessage gone = Eth0();
  gone.existence = net::Existence::kGone;
  CHECK(Text(links.Apply(gone)) == "removed eth0");
  SECTION("under the same number: its addresses are not those of the former one") {
    CHECK(Text(links.Apply(Eth0())) == "added eth0");
    CHECK(links.Find(kEth0)->addresses.empty());
    CHECK_FALSE(links.Find(kEth0)->answers_ndp);
  }
  SECTION("under another number") {
    net::LinkMessage again = Eth0();
    again.index = IfIndex{7};
    CHECK(Text(links.Apply(again)) == "added eth0");
    CHECK(links.Find(kEth0) == nullptr);
    CHECK(links.FindByName("eth0")->index == IfIndex{7});
  }
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

TEST_CASE("A dump takes away a link-local address that it does not mention", "[links]") {
  Links links(DefaultFilter());
  static_cast<void>(links.Apply(Eth0()));
  static_cast<void>(links.Apply(Address("fe80::10")));
  static_cast<void>(links.Apply(Address("fe80::20")));
  links.BeginDump();
  static_cast<void>(links.Apply(Eth0()));
  SECTION("another is left") {
    static_cast<void>(links.Apply(Address("fe80::20")));
    CHECK(Text(links.EndDump()) == "link_local_changed eth0");
    CHECK(links.Find(kEth0)->link_local == net::Ipv6Address::Parse("fe80::20"));
  }
  SECTION("none is left") {
    CHECK(Text(links.EndDump()) == "link_local_changed eth0");
    CHECK_FALSE(links.Find(kEth0)->answers_ndp);
  }
  SECTION("mentioned, then taken away while the dump goes on") {
    static_cast<void>(links.Apply(Address("fe80::10")));
    static_cast<void>(links.Apply(Address("fe80::20")));
    CHECK(Text(links.Apply(Gone("fe80::10"))) == "link_local_changed eth0");
    CHECK(Text(links.EndDump()).empty());
    CHECK(links.Find(kEth0)->link_local == net::Ipv6Address::Parse("fe80::20"));
  }
}

TEST_CASE("A dump that was given up leaves no trace in the next one", "[links]") {
  Links links(DefaultFilter());
  links.BeginDump();
  static_cast<void>(links.Apply(Eth0()));
  links.BeginDump();  // messages were lost: from the start again
  CHECK(Text(links.EndDump()) == "removed eth0");
}

TEST_CASE("100 interfaces come, change and go, each with one event", "[links]") {
  Links links(DefaultFilter());
  const auto link_of = [](std::uint32_t i) {
    net::LinkMessage link = Eth0();
    link.index = IfIndex{i};
    link.name = "lan" + std::to_string(i);
    link.mac = net::MacAddress({0x02, 0, 0, 0, 1, static_cast<std::uint8_t>(i)});
    return link;
  };
  for (std::uint32_t i = 1; i <= 100; ++i) {
    CHECK(Text(links.Apply(link_of(i))) == "added lan" + std::to_string(i));
  }
  for (std::uint32_t i = 1; i <= 100; ++i) {
    net::LinkMessage link = link_of(i);
    link.mac = kNewMac;
    CHECK(Text(links.Apply(link)) == "mac_changed lan" + std::to_string(i));
  }
  // Lost messages, and only the even ones are left.
  links.BeginDump();
  for (std::uint32_t i = 2; i <= 100; i += 2) {
    CHECK(Text(links.Apply(link_of(i))) == "mac_changed lan" + std::to_string(i));
  }
  const std::vector<LinkEvent> events = links.EndDump();
  CHECK(events.size() == 50);
  CHECK(links.all().size() == 50);
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
