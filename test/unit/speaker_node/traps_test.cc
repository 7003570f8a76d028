// SPDX-License-Identifier: Apache-2.0
#include "speaker/node/traps.h"

#include <algorithm>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using Catch::Contains;

net::IpAddress Address(const std::string& text) { return *net::IpAddress::Parse(text); }

config::Pool PoolOf(const std::string& name, const std::vector<std::string>& items) {
  config::Pool pool{.name = name};
  for (const std::string& item : items) {
    pool.ranges.push_back(*net::ParseAddressItem(item));
  }
  pool.l2_advertisements.push_back({.name = "everywhere"});
  return pool;
}

// A node: eth0 with 192.0.2.1/24, and what a test adds.
struct Node {
  Node() { Add("eth0", {{"192.0.2.1", 24}}); }

  Link& Add(const std::string& name, std::vector<std::pair<const char*, int>> addresses,
            bool can_answer = true) {
    const auto index = static_cast<IfIndex>(links.size() + 1);
    Link& link = links[index];
    link.index = index;
    link.name = name;
    link.can_answer = can_answer;
    for (const auto& [text, length] : addresses) {
      link.addresses[Address(text)] = {.prefix_length = length};
    }
    return link;
  }
  [[nodiscard]] std::vector<Trap> Traps() const {
    return FindTraps({.links = links,
                      .arp = arp,
                      .config = config,
                      .in_use = in_use,
                      .labels = labels,
                      .proxy = proxy});
  }
  // "kind subject severity" of each.
  [[nodiscard]] std::vector<std::string> Told() const {
    std::vector<std::string> told;
    for (const Trap& trap : Traps()) {
      told.push_back(std::string(TrapName(trap.kind)) + " " + trap.subject +
                     (trap.severity == TrapSeverity::kWarning ? " warning" : " notice"));
      CHECK(trap.message.size() <= 1000);
    }
    return told;
  }
  [[nodiscard]] std::string Message() const {
    const std::vector<Trap> traps = Traps();
    REQUIRE(traps.size() == 1);
    return traps.front().message;
  }

  std::map<IfIndex, Link> links;
  std::optional<ArpSysctls> arp = ArpSysctls{};
  config::Config config{.pools = {PoolOf("web", {"192.0.2.128/25"})}};
  std::set<net::IpAddress> in_use;
  std::optional<model::Labels> labels;
  ProxyState proxy = ProxyState::kHealthy;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("An ordinary node has no traps", "[traps]") {
  Node node;
  CHECK(node.Told().empty());
  node.config = {};
  CHECK(node.Told().empty());
  node.links.clear();
  CHECK(node.Told().empty());
}

TEST_CASE("kube-ipvs0 without strictARP", "[traps]") {
  struct Case {
    const char* name;
    const char* interface;
    std::optional<ArpSysctls> arp;
    bool trap;
  };
  const auto c = GENERATE(values<Case>({
      {"no such interface", "dummy0", ArpSysctls{}, false},
      {"kube-proxy's defaults", "kube-ipvs0", ArpSysctls{}, true},
      {"kube-router's interface", "kube-dummy-if", ArpSysctls{}, true},
      {"strictARP", "kube-ipvs0", ArpSysctls{.all = {1, 2}}, false},
      {"only one of the two", "kube-ipvs0", ArpSysctls{.all = {1, 0}}, true},
      {"only the other", "kube-ipvs0", ArpSysctls{.all = {0, 2}}, true},
      {"a weaker arp_announce", "kube-ipvs0", ArpSysctls{.all = {1, 1}}, true},
      {"a stricter arp_ignore", "kube-ipvs0", ArpSysctls{.all = {2, 2}}, false},
      {"it answers nobody at all", "kube-ipvs0", ArpSysctls{.all = {8, 2}}, false},
      {"3 lets addresses of global scope out", "kube-ipvs0", ArpSysctls{.all = {3, 2}}, true},
      {"4 to 7 mean nothing", "kube-ipvs0", ArpSysctls{.all = {5, 2}}, true},
      {"set on the interface itself", "kube-ipvs0",
       ArpSysctls{.all = {}, .by_interface = {{"eth0", {1, 2}}}}, false},
      {"half here, half there", "kube-ipvs0",
       ArpSysctls{.all = {1, 0}, .by_interface = {{"eth0", {0, 2}}}}, false},
      {"the larger of the two counts, and means nothing", "kube-ipvs0",
       ArpSysctls{.all = {1, 2}, .by_interface = {{"eth0", {4, 2}}}}, true},
      {"set on another interface", "kube-ipvs0",
       ArpSysctls{.all = {}, .by_interface = {{"eth1", {1, 2}}}}, true},
      {"it could not be read", "kube-ipvs0", std::nullopt, false},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node;
    node.Add(c.interface, {{"192.0.2.130", 32}}, false);
    node.config.pools = {PoolOf("other", {"192.0.2.64/26"})};
    node.arp = c.arp;
    CHECK(node.Told() ==
          (c.trap ? Texts{"ipvsWithoutStrictARP " + std::string(c.interface) + " warning"}
                  : Texts{}));
  }
}

TEST_CASE("What is said of kube-ipvs0", "[traps]") {
  Node node;
  node.Add("kube-ipvs0", {}, false);
  SECTION("where it answers nobody, but asks in their name") {
    node.arp->all = {.ignore = 1, .announce = 0};
    CHECK_THAT(node.Message(), Contains("may ask in their name"));
    return;
  }
  CHECK_THAT(node.Message(), Contains("answers ARP for all of them"));
  node.Add("docker0", {}, false);  // excluded: it doesn't matter what is answered there
  node.Add("eth1", {});
  node.arp->by_interface = {{"eth1", {.ignore = 1, .announce = 2}}};
  CHECK_THAT(node.Message(), Contains("on eth0 (arp_ignore 0, arp_announce 0). ") &&
                                 Contains("ipvs.strictARP: true"));
  node.arp->by_interface.clear();
  for (int i = 2; i < 9; ++i) {
    node.Add("eth" + std::to_string(i), {});
  }
  CHECK_THAT(node.Message(), Contains("eth4 (arp_ignore 0, arp_announce 0) and 4 more. "));
  SECTION("nothing where there are no IPv4 addresses to give out") {
    node.config.pools = {};
    CHECK(node.Told().empty());
    node.config.pools = {PoolOf("six", {"2001:db8::/120"})};
    for (auto& [index, link] : node.links) {
      link.addresses[Address("2001:db8::1")] = {.prefix_length = 64};
    }
    node.config.pools.front().ranges = {*net::ParseAddressItem("2001:db8::10-2001:db8::20")};
    CHECK(node.Told().empty());
  }
}

TEST_CASE("Which interfaces' sysctls are looked at", "[traps]") {
  Node node;
  node.Add("docker0", {}, false);
  node.Add("eth1", {});
  CHECK(InterfacesToInspect(node.links).empty());
  node.Add("kube-ipvs0", {}, false);
  CHECK(InterfacesToInspect(node.links) == Texts{"eth0", "eth1"});
}

TEST_CASE("An address of a pool on an interface", "[traps]") {
  Node node;
  SECTION("of this node itself") {
    node.config.pools = {PoolOf("web", {"192.0.2.0/24"})};
    CHECK(node.Told() == Texts{"addressOnInterface 192.0.2.1 on eth0 notice"});
    CHECK_THAT(node.Message(), Contains("192.0.2.1 of pool \"web\"") && Contains("eth0"));
  }
  SECTION("that a Service has") {
    node.Add("lo", {{"127.0.0.1", 8}, {"192.0.2.130", 32}}, false);
    node.in_use = {Address("192.0.2.130"), Address("192.0.2.131")};
    CHECK(node.Told() == Texts{"addressOnInterface 192.0.2.130 on lo warning"});
    CHECK_THAT(node.Message(), Contains("a Service has the address 192.0.2.130"));
  }
  SECTION("on two interfaces: two traps, the worse one first") {
    node.Add("docker0", {{"192.0.2.130", 16}}, false);
    node.Add("eth1", {{"192.0.2.130", 25}, {"192.0.2.200", 25}});
    node.in_use = {Address("192.0.2.200")};
    CHECK(node.Told() == Texts{"addressOnInterface 192.0.2.200 on eth1 warning",
                               "addressOnInterface 192.0.2.130 on docker0 notice",
                               "addressOnInterface 192.0.2.130 on eth1 notice"});
  }
  SECTION("of IPv6") {
    node.config.pools = {PoolOf("six", {"2001:db8::/64"})};
    node.Add("eth1", {{"2001:db8::1", 64}, {"fe80::1", 64}});
    CHECK(node.Told() == Texts{"addressOnInterface 2001:db8::1 on eth1 notice"});
  }
  SECTION("not those that a service proxy keeps") {
    node.arp->all = {.ignore = 1, .announce = 2};
    node.Add("kube-ipvs0", {{"192.0.2.130", 32}}, false);
    CHECK(node.Told().empty());
  }
}

TEST_CASE("Addresses of a pool that are in no subnet", "[traps]") {
  struct Case {
    const char* name;
    std::vector<std::string> items;
    const char* want;  // of the message; null: no trap
  };
  const auto c = GENERATE(values<Case>({
      {"all within", {"192.0.2.128/25"}, nullptr},
      {"all outside", {"198.51.100.0/24"}, "of pool \"p\", 198.51.100.0/24 is in no subnet"},
      {"some outside",
       {"192.0.2.250-192.0.3.5"},
       "of pool \"p\", 192.0.3.0-192.0.3.5 is in no subnet of the interfaces on which this node "
       "announces it (eth0)"},
      {"one address", {"192.0.2.200/32", "203.0.113.9/32"}, "\"p\", 203.0.113.9 is in no subnet"},
      {"the other family", {"2001:db8::/64"}, "\"p\", 2001:db8::/64 is in no subnet"},
      {"both", {"198.51.100.0/31", "2001:db8::/64"}, "198.51.100.0/31, 2001:db8::/64 is"},
      {"all addresses that there are", {"::/0"}, "\"p\", ::/0 is in no subnet"},
      {"many ranges",
       {"198.51.100.0/32", "198.51.100.2/32", "198.51.100.4/32", "198.51.100.6/32",
        "198.51.100.8/32", "198.51.100.10/32", "198.51.100.12/32"},
       "198.51.100.8 and 2 more is in no subnet"},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node;
    node.config.pools = {PoolOf("p", c.items)};
    if (c.want == nullptr) {
      CHECK(node.Told().empty());
    } else {
      CHECK(node.Told() == Texts{"poolOutsideSubnets pool p notice"});
      CHECK_THAT(node.Message(), Contains(c.want));
    }
  }
}

TEST_CASE("Subnets of which interfaces count", "[traps]") {
  Node node;
  node.config.pools = {PoolOf("p", {"198.51.100.128/25"})};
  config::L2Advertisement& ad = node.config.pools[0].l2_advertisements[0];
  const Texts trap = {"poolOutsideSubnets pool p notice"};
  SECTION("those that answer") {
    node.Add("eth1", {{"198.51.100.1", 24}});
    CHECK(node.Told().empty());
  }
  SECTION("not those that can't") {
    node.Add("docker0", {{"198.51.100.1", 24}}, false);
    CHECK(node.Told() == trap);
  }
  SECTION("nor those that are enslaved, unless they are named") {
    node.Add("eth1", {{"198.51.100.1", 24}}).enslaved = true;
    CHECK(node.Told() == trap);
    ad.interfaces = {"eth0", "eth1"};
    CHECK(node.Told().empty());
  }
  SECTION("nor those that are not named where others are") {
    node.Add("eth1", {{"198.51.100.1", 24}});
    ad.interfaces = {"eth0"};
    CHECK(node.Told() == trap);
    node.config.pools[0].l2_advertisements.push_back({.name = "b", .interfaces = {"eth1"}});
    CHECK(node.Told().empty());
  }
  SECTION("none where it is not announced: no trap") {
    ad.interfaces = {"eth7"};
    CHECK(node.Told().empty());
    node.config.pools[0].l2_advertisements.clear();
    CHECK(node.Told().empty());
  }
  SECTION("nor where the node is not selected, as far as is known") {
    ad.node_selectors = {
        {.requirements = {
             {.key = "rack", .op = model::SelectorOperator::kEquals, .values = {"b"}}}}};
    CHECK(node.Told() == trap);
    node.labels = model::Labels{{"rack", "a"}};
    CHECK(node.Told().empty());
    node.labels = model::Labels{{"rack", "b"}};
    CHECK(node.Told() == trap);
  }
  SECTION("an interface that shows no subnet may have any") {
    node.Add("eth1", {{"203.0.113.7", 32}});
    CHECK(node.Told().empty());
  }
}

TEST_CASE("The service proxy", "[traps]") {
  struct Case {
    ProxyState state;
    Texts want;
    const char* words;
  };
  const auto c = GENERATE(values<Case>({
      {ProxyState::kOff, {}, ""},
      {ProxyState::kAbsent, {}, ""},
      {ProxyState::kHealthy, {}, ""},
      {ProxyState::kUnhealthy, {"proxyUnhealthy service proxy warning"}, "out of date"},
      {ProxyState::kGone, {"proxyUnhealthy service proxy warning"}, "does not answer any more"},
      {ProxyState::kNodeLeaving, {"proxyUnhealthy node notice"}, "about to be deleted"},
  }));
  DYNAMIC_SECTION(ProxyStateName(c.state)) {
    Node node;
    node.proxy = c.state;
    CHECK(node.Told() == c.want);
    if (!c.want.empty()) {
      CHECK_THAT(node.Message(), Contains(c.words));
    }
  }
}

TEST_CASE("Many traps of a kind are told together", "[traps]") {
  Node node;
  node.config.pools = {PoolOf("web", {"192.0.2.64/26"}), PoolOf("x", {"198.51.100.0/24"})};
  Link& lo = node.Add("lo", {}, false);
  for (int i = 0; i < 40; ++i) {
    lo.addresses[Address("192.0.2." + std::to_string(70 + i))] = {.prefix_length = 32};
    if (i >= 20) {
      node.in_use.insert(Address("192.0.2." + std::to_string(70 + i)));
    }
  }
  const Texts told = node.Told();
  REQUIRE(told.size() == kMaxTrapsOfAKind + 1);
  // By severity, then as texts.
  CHECK(told[0] == "addressOnInterface 192.0.2.100 on lo warning");
  CHECK(told[kMaxTrapsOfAKind - 1] == "addressOnInterface others warning");
  CHECK(told[kMaxTrapsOfAKind] == "poolOutsideSubnets pool x notice");
  const Trap others = node.Traps()[kMaxTrapsOfAKind - 1];
  CHECK_THAT(others.message, Catch::StartsWith("and 21 more: "));
}

TEST_CASE("Names and messages of any length", "[traps]") {
  Node node;
  node.proxy = ProxyState::kOff;
  config::Pool pool = PoolOf(std::string(400, 'p'), {});
  for (int i = 0; i < 250; i += 2) {
    pool.ranges.push_back(*net::ParseAddressItem(
        "2001:db8:aaaa:bbbb:cccc:dddd:eeee:" + std::to_string(1000 + i) + "/128"));
  }
  node.config.pools = {pool};
  for (int i = 0; i < 200; ++i) {
    node.Add("interface-name" + std::to_string(i), {});
  }
  const std::vector<Trap> traps = node.Traps();
  REQUIRE(traps.size() == 1);
  CHECK(traps[0].subject.size() < 200);
  CHECK(traps[0].message.size() <= 1000);
  CHECK_THAT(traps[0].message, Contains(" and 120 more is in") && Contains(" and 196 more)"));
}

}  // namespace stentor::speaker
