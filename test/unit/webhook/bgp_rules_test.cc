// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/bgp_rules.h"

#include "test/unit/webhook/objects.h"

namespace stentor::controller {
namespace {

using namespace testing;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;

json Selector(std::string_view key) {
  return {{"matchExpressions", {{{"key", std::string(key)}, {"operator", "Exists"}}}}};
}

std::string TextOf(const absl::Status& status) { return std::string(status.message()); }

struct Case {
  std::string name;
  json more;          // merged into a good object's spec
  std::string error;  // empty: good
};

TEST_CASE("A BGPPeer alone") {
  const auto test = GENERATE(values<Case>(
      {{"good", json::object(), ""},
       {"no local ASN", {{"myASN", 0}}, "missing local ASN"},
       {"no peer ASN", {{"peerASN", 0}}, "missing peer ASN and dynamicASN"},
       {"dynamic ASN", {{"peerASN", nullptr}, {"dynamicASN", "external"}}, ""},
       {"both", {{"dynamicASN", "internal"}}, "both peer ASN and dynamicASN specified"},
       {"unknown dynamic ASN",
        {{"peerASN", nullptr}, {"dynamicASN", "any"}},
        "invalid dynamicASN any"},
       {"iBGP over several hops",
        {{"peerASN", 64512}, {"ebgpMultiHop", true}},
        "invalid ebgp-multihop parameter set for an ibgp peer"},
       {"eBGP over several hops", {{"ebgpMultiHop", true}}, ""},
       {"no address", {{"peerAddress", ""}}, "peer has no Address or Interface specified"},
       {"interface", {{"peerAddress", ""}, {"interface", "eth0"}}, ""},
       {"address and interface",
        {{"interface", "eth0"}},
        "peer has both Address and Interface specified"},
       {"interface of two lines",
        {{"peerAddress", ""}, {"interface", "a\nb"}},
        "interface for peer \"metallb-system\"/\"tor\" contains invalid characters"},
       {"IPv6", {{"peerAddress", "2001:db8::1"}}, ""},
       {"no address but a name",
        {{"peerAddress", "tor.example"}},
        "invalid BGPPeer address \"tor.example\""},
       {"router ID", {{"routerID", "1.2.3"}}, "invalid router ID \"1.2.3\""},
       {"source", {{"sourceAddress", "eth0"}}, "invalid source IP \"eth0\""},
       {"hold time 0", {{"holdTime", "0s"}}, ""},
       {"hold time 3 s", {{"holdTime", "3s"}}, ""},
       {"hold time 2.9 s",
        {{"holdTime", "2.9s"}},
        "invalid BGPPeer timers: invalid hold time \"2.9s\": must be 0 or >=3s"},
       {"hold time under a second counts as 0", {{"holdTime", "900ms"}}, ""},
       {"negative hold time", {{"holdTime", "-9s"}}, "must be 0 or >=3s"},
       {"keepalive too long",
        {{"holdTime", "9s"}, {"keepaliveTime", "10s"}},
        "invalid keepaliveTime \"10s\", must be lower than holdTime \"9s\""},
       {"hold time follows", {{"keepaliveTime", "1s"}}, ""},
       {"hold time follows, but is short", {{"keepaliveTime", "800ms"}}, "must be 0 or >=3s"},
       {"longest keepalive", {{"keepaliveTime", "2000000h"}}, ""},
       {"selectors twice",
        {{"nodeSelectors", {Selector("a"), Selector("a")}}},
        "duplicate definition of nodeSelectors"},
       {"password and secret",
        {{"password", "x"}, {"passwordSecret", {{"name", "s"}}}},
        "can not have both password and secret ref set in peer config"},
       {"password of two lines",
        {{"password", "a\rb"}},
        "password for peer \"metallb-system\"/\"tor\" contains invalid characters"},
       {"VRF of two lines", {{"vrf", "a\n"}}, "VRF name for peer"}}));
  DYNAMIC_SECTION(test.name) {
    const std::string text =
        TextOf(CheckBgpPeers(FactsOf({PeerObject("tor", "192.0.2.1", test.more)})));
    CHECK_THAT(text, test.error.empty() ? Contains("") : Contains("parsing peer tor "));
    CHECK_THAT(text, Contains(test.error));
    CHECK(text.empty() == test.error.empty());
  }
}

TEST_CASE("BGPPeers in native mode") {
  const auto test = GENERATE(values<Case>(
      {{"good", {{"holdTime", "90s"}, {"keepaliveTime", "0s"}}, ""},
       {"BFD", {{"bfdProfile", "p"}}, "has bfd-profile set"},
       {"keepalive", {{"keepaliveTime", "5s"}}, "has keepalive-time set"},
       {"VRF", {{"vrf", "red"}}, "has vrf set"},
       {"connect time", {{"connectTime", "5s"}}, "has connect time set"},
       {"graceful restart",
        {{"enableGracefulRestart", true}},
        "has EnableGracefulRestart flag set"},
       {"disableMP", {{"disableMP", true}}, "has disable MP flag set"},
       {"dynamic ASN", {{"peerASN", 0}, {"dynamicASN", "internal"}}, "has dynamicASN set"},
       {"interface", {{"interface", "eth0"}}, "has interface set"},
       {"interface alone",
        {{"peerAddress", ""}, {"interface", "eth0"}},
        "peer  has interface set on native bgp mode"},
       {"local ASN", {{"localASN", 64999}}, "has localASN set"},
       {"connect time 0", {{"connectTime", "0s"}}, "has connect time set"},
       {"password", {{"password", "word"}}, ""},
       {"secret", {{"passwordSecret", {{"name", "bgp"}}}}, ""},
       {"several hops", {{"ebgpMultiHop", true}}, ""},
       {"IPv6", {{"peerAddress", "2001:db8::1"}}, ""},
       {"router ID", {{"routerID", "192.0.2.7"}}, ""},
       {"its address is named",
        {{"vrf", "red"}},
        "peer 192.0.2.1 has vrf set on native bgp mode"}}));
  DYNAMIC_SECTION(test.name) {
    const json peer = PeerObject("tor", "192.0.2.1", test.more);
    const std::string text = TextOf(CheckBgpPeers(FactsOf({peer}, BgpMode::kNative)));
    CHECK(text.empty() == test.error.empty());
    CHECK_THAT(text, Contains(test.error));
  }
}

TEST_CASE("BGPPeers beside each other in FRR mode") {
  struct PairCase {
    std::string name;
    json first;
    json second;
    std::string error;
  };
  const auto test = GENERATE(values<PairCase>(
      {{"alike", {{"peerAddress", "192.0.2.9"}}, json::object(), ""},
       {"same address", json::object(), json::object(),
        "peer 192.0.2.1- already exists, FRR mode doesn't support duplicate BGPPeers"},
       {"same address, other VRF", json::object(), {{"vrf", "red"}}, ""},
       {"same interface",
        {{"peerAddress", ""}, {"interface", "eth0"}},
        {{"peerAddress", ""}, {"interface", "eth0"}},
        "peer eth0- already exists"},
       {"router IDs",
        {{"peerAddress", "192.0.2.9"}, {"routerID", "192.0.2.7"}},
        {{"routerID", "192.0.2.8"}},
        "peer 192.0.2.8 has RouterID different from 192.0.2.7, in FRR mode all RouterID must be "
        "equal"},
       {"ASNs",
        {{"peerAddress", "192.0.2.9"}, {"myASN", 1}},
        json::object(),
        "peer 192.0.2.1 has myAsn different from 192.0.2.9, in FRR mode all myAsn must be equal "
        "for the same VRF"},
       {"ASNs of other VRFs", {{"myASN", 1}, {"vrf", "red"}}, json::object(), ""},
       {"ASNs of the same VRF",
        {{"peerAddress", "192.0.2.9"}, {"myASN", 1}, {"vrf", "red"}},
        {{"vrf", "red"}},
        "has myAsn different from"},
       {"ASNs on other nodes",
        {{"peerAddress", "192.0.2.9"}, {"myASN", 1}, {"nodeSelectors", {Selector("left")}}},
        {{"nodeSelectors", {Selector("right")}}},
        ""},
       {"router IDs on other nodes",
        {{"peerAddress", "192.0.2.9"},
         {"routerID", "192.0.2.7"},
         {"nodeSelectors", {Selector("left")}}},
        {{"routerID", "192.0.2.8"}, {"nodeSelectors", {Selector("right")}}},
        ""},
       {"the same router ID",
        {{"peerAddress", "192.0.2.9"}, {"routerID", "192.0.2.7"}},
        {{"routerID", "192.0.2.7"}},
        ""},
       {"a router ID and none",
        {{"peerAddress", "192.0.2.9"}, {"routerID", "192.0.2.7"}},
        json::object(),
        "in FRR mode all RouterID must be equal"},
       {"router IDs of other VRFs",
        {{"routerID", "192.0.2.7"}, {"vrf", "red"}},
        {{"routerID", "192.0.2.8"}},
        "in FRR mode all RouterID must be equal"},
       {"same address in the same VRF",
        {{"vrf", "red"}},
        {{"vrf", "red"}},
        "peer 192.0.2.1-red already exists"},
       {"same interface in other VRFs",
        {{"peerAddress", ""}, {"interface", "eth0"}, {"vrf", "red"}},
        {{"peerAddress", ""}, {"interface", "eth0"}},
        ""},
       {"an interface and an address",
        {{"peerAddress", ""}, {"interface", "eth0"}},
        json::object(),
        ""},
       {"other ports of one address",
        {{"peerPort", 1179}},
        json::object(),
        "already exists, FRR mode doesn't support duplicate BGPPeers"},
       {"all nodes and one",
        {{"nodeSelectors", {Selector("left")}}},
        json::object(),
        "already exists"},
       {"nodes that there are not", {{"nodeSelectors", {Selector("none")}}}, json::object(), ""},
       {"what only FRR can",
        {{"peerAddress", "192.0.2.9"}, {"bfdProfile", "fast"}, {"keepaliveTime", "5s"}},
        {{"connectTime", "5s"}, {"enableGracefulRestart", true}},
        ""},
       {"same address on other nodes",
        {{"nodeSelectors", {Selector("left")}}},
        {{"nodeSelectors", {Selector("right")}}},
        ""},
       {"same address on a shared node",
        {{"nodeSelectors", {Selector("left")}}},
        {{"nodeSelectors", {Selector("all")}}},
        "already exists"}}));
  DYNAMIC_SECTION(test.name) {
    const std::vector<json> peers = {PeerObject("a", "192.0.2.1", test.first),
                                     PeerObject("b", "192.0.2.1", test.second)};
    Facts facts = FactsOf(peers, BgpMode::kFrr);
    facts.nodes = {{"iris1", {{"left", ""}, {"all", ""}}}, {"iris2", {{"right", ""}, {"all", ""}}}};
    const std::string text = TextOf(CheckBgpPeers(facts));
    CHECK(text.empty() == test.error.empty());
    CHECK_THAT(text, Contains(test.error));
    CHECK(CheckBgpPeers(FactsOf(peers)).ok());  // whatever the mode is
  }
}

TEST_CASE("A BGPAdvertisement and the pools") {
  const auto test = GENERATE(values<Case>(
      {{"defaults", json::object(), ""},
       {"pools twice",
        {{"ipAddressPools", {"web", "web"}}},
        "duplicate definition of ipAddressPools \"web\""},
       {"communities twice",
        {{"communities", {"1:2", "1:2"}}},
        "duplicate definition of community \"1:2\""},
       {"peers twice", {{"peers", {"tor", "tor"}}}, "duplicate definition of peers \"tor\""},
       {"pool selectors twice",
        {{"ipAddressPoolSelectors", {Selector("a"), Selector("a")}}},
        "duplicate definition of ipAddressPoolSelectors"},
       {"node selectors twice",
        {{"nodeSelectors", {Selector("a"), Selector("a")}}},
        "duplicate definition of nodeSelectors"},
       {"service selectors twice",
        {{"serviceSelectors", {Selector("a"), Selector("a")}}},
        "duplicate definition of serviceSelectors"},
       {"service selectors and length",
        {{"serviceSelectors", {Selector("a")}}, {"aggregationLength", 26}},
        "serviceSelectors and aggregationLength are mutually exclusive, both cannot be set in ad"},
       {"service selectors and length of IPv6",
        {{"serviceSelectors", {Selector("a")}}, {"aggregationLengthV6", 64}},
        "serviceSelectors and aggregationLengthV6 are mutually exclusive"},
       {"too long", {{"aggregationLength", 33}}, "invalid aggregation length 33 for IPv4"},
       {"too long for IPv6",
        {{"aggregationLengthV6", 129}},
        "invalid aggregation length 129 for IPv6"},
       {"as wide as the pool", {{"aggregationLength", 25}, {"ipAddressPools", {"web"}}}, ""},
       {"wider than the pool",
        {{"aggregationLength", 24}, {"ipAddressPools", {"web"}}},
        "invalid aggregation length 24: prefix 25 in this pool is more specific than the "
        "aggregation length for addresses 192.0.2.0/25"},
       {"wider than another pool", {{"aggregationLength", 24}, {"ipAddressPools", {"v6"}}}, ""},
       {"wider than the widest of a range",
        {{"aggregationLength", 27}, {"ipAddressPools", {"range"}}},
        "prefix 28 in this pool"},
       {"not wider than the widest of a range",
        {{"aggregationLength", 28}, {"ipAddressPools", {"range"}}},
        ""},
       {"wider than the IPv6 pool",
        {{"aggregationLengthV6", 63}},
        "invalid aggregation length 63: prefix 64"},
       {"by label",
        {{"aggregationLength", 24}, {"ipAddressPoolSelectors", {Selector("none")}}},
        ""},
       {"communities",
        {{"communities", {"65535:65281", "large:1:2:4294967295", "alias", "a:b"}}},
        ""},
       {"community out of range",
        {{"communities", {"1:65536"}}},
        "invalid community \"1:65536\" in BGP advertisement: invalid community value"},
       {"community of another marker",
        {{"communities", {"small:1:2:3"}}},
        "invalid community value"},
       {"large community out of range",
        {{"communities", {"large:1:2:4294967296"}}},
        "invalid community value"}}));
  DYNAMIC_SECTION(test.name) {
    const Facts facts = FactsOf(
        {PoolObject("web", {"192.0.2.0/25"}), PoolObject("range", {"198.51.100.1-198.51.100.31"}),
         PoolObject("v6", {"2001:db8::/64"}), PoolObject("bad", {"x"}),
         ObjectOf("Community", "c", {{"communities", {{{"name", "a:b"}, {"value", "1:2"}}}}}),
         ObjectOf("BGPAdvertisement", "ad", test.more)});
    const std::string text = TextOf(CheckBgpAdvertisements(facts));
    CHECK(text.empty() == test.error.empty());
    CHECK_THAT(text, Contains(test.error));
  }
}

TEST_CASE("BGPAdvertisements with different local preferences") {
  struct PairCase {
    std::string name;
    json first;
    json second;
    bool good;
  };
  const auto test = GENERATE(values<PairCase>(
      {{"same route", {{"localPref", 100}}, {{"localPref", 200}}, false},
       {"same preference", {{"localPref", 100}}, {{"localPref", 100}}, true},
       {"other length",
        {{"localPref", 100}, {"ipAddressPools", {"web"}}, {"aggregationLength", 26}},
        {{"localPref", 200}},
        true},
       {"other length of one family, both in the pool",
        {{"localPref", 100}, {"ipAddressPools", {"dual"}}, {"aggregationLength", 26}},
        {{"localPref", 200}},
        false},
       {"other pools",
        {{"localPref", 100}, {"ipAddressPools", {"web"}}},
        {{"localPref", 200}, {"ipAddressPools", {"dual"}}},
        true},
       {"other peers",
        {{"localPref", 100}, {"peers", {"a"}}},
        {{"localPref", 200}, {"peers", {"b"}}},
        true},
       {"a shared peer",
        {{"localPref", 100}, {"peers", {"a", "b"}}},
        {{"localPref", 200}, {"peers", {"b"}}},
        false},
       {"all peers and one", {{"localPref", 100}, {"peers", {"a"}}}, {{"localPref", 200}}, false},
       {"other nodes",
        {{"localPref", 100}, {"nodeSelectors", {Selector("left")}}},
        {{"localPref", 200}, {"nodeSelectors", {Selector("right")}}},
        true},
       {"a shared node",
        {{"localPref", 100}, {"nodeSelectors", {Selector("left")}}},
        {{"localPref", 200}},
        false},
       {"of selected Services",
        {{"localPref", 100}, {"serviceSelectors", {Selector("a")}}},
        {{"localPref", 200}},
        true}}));
  DYNAMIC_SECTION(test.name) {
    Facts facts = FactsOf({PoolObject("web", {"192.0.2.0/25"}),
                           PoolObject("dual", {"198.51.100.0/25", "2001:db8::/64"}),
                           ObjectOf("BGPAdvertisement", "a", test.first),
                           ObjectOf("BGPAdvertisement", "b", test.second)});
    facts.nodes = {{"iris1", {{"left", ""}}}, {"iris2", {{"right", ""}}}};
    const std::string text = TextOf(CheckBgpAdvertisements(facts));
    CHECK_THAT(text, test.good ? Contains("")
                               : Contains("invalid local preference 200: local preferernce 100 was "
                                          "already set for the same type of BGP update"));
    CHECK(text.empty() == test.good);
  }
}

TEST_CASE("Native mode knows neither IPv6 nor large communities") {
  const json pool = PoolObject("dual", {"192.0.2.0/24", "2001:db8::/64"});
  const json plain = ObjectOf("BGPAdvertisement", "ad", json::object());
  const json large = ObjectOf("BGPAdvertisement", "ad", {{"communities", {"large:1:2:3"}}});
  const json alias =
      ObjectOf("Community", "c", {{"communities", {{{"name", "x"}, {"value", "large:1:2:3"}}}}});
  CHECK_THAT(TextOf(CheckBgpAdvertisements(FactsOf({pool, plain}, BgpMode::kNative))),
             Equals("pool \"dual\" has ipv6 CIDR 2001:db8::/64, native bgp mode does not support "
                    "ipv6"));
  CHECK(CheckBgpAdvertisements(FactsOf({pool}, BgpMode::kNative)).ok());
  CHECK_THAT(
      TextOf(CheckBgpAdvertisements(FactsOf({large}, BgpMode::kNative))),
      Contains("native BGP mode only supports legacy communities, BGP advertisement \"ad\""));
  CHECK_THAT(TextOf(CheckCommunities(FactsOf({alias}, BgpMode::kNative))),
             Contains("native BGP mode only supports legacy communities, BGP community CR \"c\""));
  CHECK(CheckBgpAdvertisements(FactsOf({pool, large}, BgpMode::kFrr)).ok());
  CHECK(CheckCommunities(FactsOf({alias}, BgpMode::kFrr)).ok());
}

TEST_CASE("Numbers of a BFDProfile") {
  const auto test = GENERATE(values<Case>(
      {{"none", json::object(), ""},
       {"lowest", {{"receiveInterval", 10}, {"detectMultiplier", 2}, {"minimumTtl", 1}}, ""},
       {"highest", {{"transmitInterval", 60000}, {"echoInterval", 60000}, {"minimumTtl", 254}}, ""},
       {"receive", {{"receiveInterval", 9}}, "invalid receive interval value"},
       {"transmit", {{"transmitInterval", 60001}}, "invalid transmit interval value"},
       {"echo", {{"echoInterval", 0}}, "invalid echo interval value"},
       {"ttl",
        {{"minimumTtl", 255}},
        "invalid minimum ttl value: invalid value 255, must be in "
        "1-254 range"},
       {"multiplier", {{"detectMultiplier", 256}}, "invalid detect multiplier value"}}));
  DYNAMIC_SECTION(test.name) {
    const std::string text =
        TextOf(CheckBfdProfiles(FactsOf({ObjectOf("BFDProfile", "p", test.more)})));
    CHECK(text.empty() == test.error.empty());
    CHECK_THAT(text, Contains(test.error));
  }
}

TEST_CASE("Durations are read as Go writes them") {
  struct DurationCase {
    std::string text;
    std::int64_t nanoseconds;
  };
  const auto good = GENERATE(values<DurationCase>({{"0", 0},
                                                   {"0s", 0},
                                                   {"90s", 90'000'000'000},
                                                   {"1h30m", 5'400'000'000'000},
                                                   {"1.5s", 1'500'000'000},
                                                   {"-2ms", -2'000'000},
                                                   {"+3us", 3'000},
                                                   {"7\u00b5s", 7'000},
                                                   {"1m0s", 60'000'000'000}}));
  DYNAMIC_SECTION(good.text) {
    const auto duration = ParseGoDuration(good.text);
    REQUIRE(duration.ok());
    CHECK(duration->nanoseconds == good.nanoseconds);
    CHECK(duration->text == good.text);
  }
  const std::string bad = GENERATE("", "-", "90", "s", "1s0", "1e3s", ".s", "1.2.3s", "9999999999h",
                                   "1 s", "1d", "0x1s", "inf", "nan");
  DYNAMIC_SECTION("not " << bad) { CHECK_FALSE(ParseGoDuration(bad).ok()); }
}

TEST_CASE("BGP objects of wrong types are refused with their path") {
  const auto [object, text] = GENERATE(values<std::pair<json, std::string>>(
      {{PeerObject("p", "192.0.2.1", {{"myASN", 4294967296}}), "spec.myASN"},
       {PeerObject("p", "192.0.2.1", {{"holdTime", 90}}), "spec.holdTime"},
       {PeerObject("p", "192.0.2.1", {{"holdTime", "soon"}}), "spec.holdTime: invalid duration"},
       {PeerObject("p", "192.0.2.1", {{"nodeSelectors", "all"}}), "spec.nodeSelectors"},
       {PeerObject("p", "192.0.2.1", {{"nodeSelectors", {7}}}), "spec.nodeSelectors[0]"},
       {PeerObject("", "192.0.2.1"), "metadata.name"},
       {ObjectOf("BGPAdvertisement", "p", {{"aggregationLength", -1}}), "spec.aggregationLength"},
       {ObjectOf("BFDProfile", "p", {{"echoMode", "yes"}}), "spec.echoMode"},
       {ObjectOf("Community", "p", {{"communities", {{{"name", 7}}}}}),
        "spec.communities[0].name"}}));
  DYNAMIC_SECTION(text) {
    Facts facts;
    const absl::Status put = facts.Put(KindOfObject(object), object);
    CHECK(put.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(TextOf(put), Contains(text));
  }
}

}  // namespace
}  // namespace stentor::controller
