// SPDX-License-Identifier: Apache-2.0

/// \file
/// The validating webhooks from the API server's side: a review goes in, the answer comes out.

#include <algorithm>
#include <random>

#include "controller/webhook/rules.h"
#include "test/unit/webhook/objects.h"

namespace stentor::controller {
namespace {

using namespace testing;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

json With(json object, const json& patch) {
  object.merge_patch(patch);
  return object;
}

const json kElsewhere = {{"metadata", {{"namespace", "default"}}}};

json L2(std::string_view name, json spec = json::object()) {
  return ObjectOf("L2Advertisement", name, std::move(spec));
}

json Selector(std::string_view op, std::vector<std::string> values) {
  return {{"matchExpressions",
           {{{"key", "zone"}, {"operator", std::string(op)}, {"values", std::move(values)}}}}};
}

struct Case {
  std::string name;
  std::vector<json> existing;
  std::string operation;
  json object;
  std::string refusal;  // empty: allowed
};

void Run(const Case& test) {
  DYNAMIC_SECTION(test.name) {
    const json old = test.operation == "CREATE" ? json(nullptr) : test.object;
    json before = old;
    if (!before.is_null()) {
      before["spec"]["before"] = true;  // so that the update changes something
    }
    const json response =
        Ask(ReviewOf(test.operation, test.object, before), FactsOf(test.existing));
    if (test.refusal.empty()) {
      CHECK(RefusalOf(response) == "");
    } else {
      CHECK_THAT(RefusalOf(response), Contains(test.refusal));
      CHECK(response.at("status").at("code") == 403);
      CHECK(response.at("status").at("reason") == "Forbidden");
    }
  }
}

TEST_CASE("Reviews of IPAddressPools") {
  const json web = PoolObject("web", {"192.0.2.0/25"});
  const json tidy = PoolObject("tidy", {"198.51.100.0/24"});
  const auto allocation = [](json value) {
    return ObjectOf("IPAddressPool", "p",
                    {{"addresses", {"203.0.113.0/24"}}, {"serviceAllocation", std::move(value)}});
  };
  Run(GENERATE_COPY(values<Case>(
      {{"first pool", {}, "CREATE", web, ""},
       {"second pool", {web}, "CREATE", tidy, ""},
       {"same pool, updated", {web}, "UPDATE", PoolObject("web", {"192.0.2.0/24"}), ""},
       {"in another namespace",
        {},
        "CREATE",
        With(web, kElsewhere),
        "resource must be created in metallb-system namespace"},
       {"overlap with another pool",
        {web},
        "CREATE",
        PoolObject("b", {"192.0.2.64/26"}),
        "CIDR \"192.0.2.0/25\" in pool \"web\" overlaps with already defined CIDR "
        "\"192.0.2.64/26\""},
       {"overlap by update",
        {web, tidy},
        "UPDATE",
        PoolObject("tidy", {"192.0.2.1-192.0.2.5"}),
        "overlaps with already defined CIDR"},
       {"overlap within",
        {},
        "CREATE",
        PoolObject("p", {"192.0.2.0/24", "192.0.2.7/32"}),
        "in pool \"p\" overlaps with already defined CIDR \"192.0.2.0/24\""},
       {"overlap with an AddressPool",
        {ObjectOf("AddressPool", "old", {{"addresses", {"192.0.2.0/24"}}, {"protocol", "layer2"}})},
        "CREATE",
        web,
        "overlaps with already defined CIDR"},
       {"name of an AddressPool",
        {ObjectOf("AddressPool", "web", {{"addresses", {"198.51.100.0/24"}}, {"protocol", "bgp"}})},
        "CREATE",
        web,
        "duplicate definition of pool \"web\""},
       {"no addresses", {}, "CREATE", PoolObject("p", {}), "pool has no prefixes defined"},
       {"no CIDR",
        {},
        "CREATE",
        PoolObject("p", {"192.0.2.0/33"}),
        "invalid CIDR \"192.0.2.0/33\" in pool \"p\""},
       {"start after end",
        {},
        "CREATE",
        PoolObject("p", {"192.0.2.9-192.0.2.1"}),
        "is after the end IP"},
       {"bad start", {}, "CREATE", PoolObject("p", {"web-192.0.2.1"}), "invalid start IP"},
       {"IPv6 and spaces", {web}, "CREATE", PoolObject("p", {"2001:db8::1 - 2001:db8::9"}), ""},
       {"namespaces twice",
        {},
        "CREATE",
        allocation({{"namespaces", {"a", "a"}}}),
        "duplicate definition in namespaces field"},
       {"namespace selectors twice",
        {},
        "CREATE",
        allocation({{"namespaceSelectors", {Selector("In", {"a"}), Selector("In", {"a"})}}}),
        "duplicate definition of namespaceSelectors"},
       {"service selectors twice, in other order",
        {},
        "CREATE",
        allocation(
            {{"serviceSelectors", {Selector("In", {"a", "b"}), Selector("In", {"b", "a"})}}}),
        "duplicate definition of serviceSelectors"},
       {"value twice",
        {},
        "CREATE",
        allocation({{"serviceSelectors", {Selector("In", {"a", "a"})}}}),
        "duplicate definition of match expression value in label selector \"a\""},
       {"bad operator",
        {},
        "CREATE",
        allocation({{"serviceSelectors", {Selector("Is", {"a"})}}}),
        "\"Is\" is not a valid label selector operator"},
       {"deletion", {web}, "DELETE", web, ""},
       {"another operation", {web}, "CONNECT", PoolObject("b", {"192.0.2.0/24"}), ""}})));
}

TEST_CASE("Reviews of AddressPools") {
  const auto pool = [](std::string name, std::string addresses, std::string protocol) {
    return ObjectOf("AddressPool", name, {{"addresses", {addresses}}, {"protocol", protocol}});
  };
  const json web = PoolObject("web", {"192.0.2.0/25"});
  Run(GENERATE_COPY(
      values<Case>({{"good", {web}, "CREATE", pool("p", "198.51.100.0/24", "layer2"), ""},
                    {"bgp", {web}, "CREATE", pool("p", "198.51.100.0/24", "bgp"), ""},
                    {"overlap",
                     {web},
                     "CREATE",
                     pool("a", "192.0.2.1/32", "layer2"),
                     "overlaps with already defined CIDR"},
                    {"unknown protocol",
                     {},
                     "CREATE",
                     pool("p", "192.0.2.0/24", "ospf"),
                     "unknown protocol \"ospf\""},
                    {"no protocol",
                     {},
                     "UPDATE",
                     pool("p", "192.0.2.0/24", ""),
                     "address pool is missing the protocol field"},
                    {"in another namespace",
                     {},
                     "CREATE",
                     With(pool("p", "192.0.2.0/24", "layer2"), kElsewhere),
                     "resource must be created in metallb-system namespace"},
                    {"deletion", {}, "DELETE", pool("p", "192.0.2.0/24", "layer2"), ""}})));
  const json response = Ask(ReviewOf("CREATE", pool("p", "192.0.2.0/24", "bgp")), FactsOf({}));
  CHECK_THAT(WarningsOf(response), Contains("AddressPool is deprecated"));
  CHECK_THAT(WarningsOf(response), Contains("has protocol bgp"));
}

TEST_CASE("Reviews of L2Advertisements") {
  const json web = PoolObject("web", {"192.0.2.0/25"});
  Run(GENERATE_COPY(values<Case>(
      {{"empty", {}, "CREATE", L2("ad"), ""},
       {"second", {web, L2("ad")}, "CREATE", L2("b", {{"ipAddressPools", {"web"}}}), ""},
       {"same, updated", {web, L2("ad")}, "UPDATE", L2("ad", {{"interfaces", {"eth0"}}}), ""},
       {"in another namespace",
        {},
        "CREATE",
        With(L2("ad"), kElsewhere),
        "resource must be created in metallb-system namespace"},
       {"pools twice",
        {web},
        "CREATE",
        L2("ad", {{"ipAddressPools", {"web", "web"}}}),
        "duplicate definition of ipAddressPools \"web\" (L2Advertisement ad: "
        "spec.ipAddressPools[1])"},
       {"node selectors twice",
        {},
        "UPDATE",
        L2("ad", {{"nodeSelectors", {Selector("Exists", {}), Selector("Exists", {})}}}),
        "duplicate definition of nodeSelectors"},
       {"bad operator of a preference",
        {},
        "CREATE",
        L2("ad", {{"preferredNodeSelectors",
                   {{{"weight", 1}, {"preference", Selector("Like", {"a"})}}}}}),
        "\"Like\" is not a valid label selector operator"},
       {"weight 0",
        {},
        "CREATE",
        L2("ad",
           {{"preferredNodeSelectors", {{{"weight", 0}, {"preference", Selector("In", {"a"})}}}}}),
        "weight 0 is not from 1 to 100"},
       {"deletion", {L2("ad")}, "DELETE", L2("ad"), ""}})));
  const json response =
      Ask(ReviewOf("CREATE", L2("ad", {{"ipAddressPools", {"web", "wbe"}}})), FactsOf({web}));
  CHECK(WarningsOf(response) == "there is no IPAddressPool \"wbe\" (spec.ipAddressPools)\n");
}

// The same rules for the selectors of every kind.
TEST_CASE("Bad selectors are refused wherever they are") {
  struct Place {
    std::string name;
    std::string kind;
    std::string pointer;  // of the list
    bool preference = false;
  };
  const auto place = GENERATE(values<Place>(
      {{"namespaces of a pool", "IPAddressPool", "/serviceAllocation/namespaceSelectors"},
       {"Services of a pool", "IPAddressPool", "/serviceAllocation/serviceSelectors"},
       {"pools of an L2Advertisement", "L2Advertisement", "/ipAddressPoolSelectors"},
       {"nodes of an L2Advertisement", "L2Advertisement", "/nodeSelectors"},
       {"Services of an L2Advertisement", "L2Advertisement", "/serviceSelectors"},
       {"preferences", "L2Advertisement", "/preferredNodeSelectors", true},
       {"pools of a BGPAdvertisement", "BGPAdvertisement", "/ipAddressPoolSelectors"},
       {"nodes of a BGPAdvertisement", "BGPAdvertisement", "/nodeSelectors"},
       {"Services of a BGPAdvertisement", "BGPAdvertisement", "/serviceSelectors"},
       {"nodes of a BGPPeer", "BGPPeer", "/nodeSelectors"}}));
  const auto [op, values, text] =
      GENERATE(table<std::string, std::vector<std::string>, std::string>(
          {{"Is", {"a"}, "\"Is\" is not a valid label selector operator"},
           {"In", {}, "for 'in', 'notin' operators, values set can't be empty"},
           {"NotIn", {}, "values set can't be empty"},
           {"Exists", {"a"}, "values set must be empty for exists and does not exist"},
           {"DoesNotExist", {"a"}, "values set must be empty"},
           {"In", {"a b"}, "Invalid value: \"a b\""}}));
  DYNAMIC_SECTION(place.name << " " << op) {
    json object = place.kind == "BGPPeer" ? PeerObject("x", "192.0.2.1")
                                          : ObjectOf(place.kind, "x", json::object());
    if (place.kind == "IPAddressPool") {
      object["spec"]["addresses"] = {"192.0.2.0/24"};
    }
    const json selector = Selector(op, values);
    object["spec"][json::json_pointer(place.pointer)] =
        json::array({place.preference ? json{{"weight", 1}, {"preference", selector}} : selector});
    const json response = Ask(ReviewOf("CREATE", object), FactsOf({}));
    CHECK(response.at("status").at("code") == 403);
    CHECK_THAT(RefusalOf(response), Contains(text) && Contains(place.kind + " x: spec."));
  }
}

TEST_CASE("Reviews of BFDProfiles") {
  const json fast = ObjectOf("BFDProfile", "fast", {{"receiveInterval", 50}});
  const json peer = PeerObject("tor", "192.0.2.1", {{"bfdProfile", "fast"}});
  Run(GENERATE_COPY(values<Case>(
      {{"creation", {}, "CREATE", fast, ""},
       {"in another namespace",
        {},
        "CREATE",
        With(fast, kElsewhere),
        "resource must be created in metallb-system namespace"},
       {"deletion", {fast, PeerObject("tor", "192.0.2.1")}, "DELETE", fast, ""},
       {"deletion while used",
        {fast, peer},
        "DELETE",
        fast,
        "failed to delete BFDProfile fast, used by BGPPeer tor"},
       {"out of range",
        {},
        "CREATE",
        ObjectOf("BFDProfile", "p", {{"detectMultiplier", 1}}),
        "invalid detect multiplier value: invalid value 1, must be in 2-255 range"}})));
}

TEST_CASE("Reviews of BGPPeers") {
  const json tor = PeerObject("tor", "192.0.2.1");
  Run(GENERATE_COPY(
      values<Case>({{"second peer", {tor}, "CREATE", PeerObject("b", "192.0.2.2"), ""},
                    {"same, updated", {tor}, "UPDATE", PeerObject("tor", "192.0.2.9"), ""},
                    {"in error",
                     {tor},
                     "UPDATE",
                     PeerObject("tor", "router"),
                     "parsing peer tor invalid BGPPeer address \"router\""},
                    {"in another namespace",
                     {},
                     "CREATE",
                     With(tor, kElsewhere),
                     "resource must be created in metallb-system namespace"},
                    {"with a profile that is not there yet",
                     {},
                     "CREATE",
                     PeerObject("b", "192.0.2.2", {{"bfdProfile", "later"}}),
                     ""},
                    {"disableMP is not checked on creation",
                     {},
                     "CREATE",
                     PeerObject("b", "router", {{"disableMP", true}}),
                     ""},
                    {"but its namespace is",
                     {},
                     "CREATE",
                     With(PeerObject("b", "192.0.2.2", {{"disableMP", true}}), kElsewhere),
                     "resource must be created in metallb-system namespace"},
                    {"disableMP is checked on update",
                     {},
                     "UPDATE",
                     PeerObject("b", "router", {{"disableMP", true}}),
                     "invalid BGPPeer address"},
                    {"deletion", {tor}, "DELETE", tor, ""}})));
  const json response =
      Ask(ReviewOf("CREATE", PeerObject("b", "router", {{"disableMP", true}})), FactsOf({}));
  CHECK_THAT(WarningsOf(response), Contains("disableMP is deprecated"));
  CHECK_THAT(WarningsOf(response), Contains("invalid BGPPeer address \"router\""));
  CHECK_THAT(WarningsOf(response), Contains("BGPPeer has no effect: this version announces by "
                                            "layer 2 only"));
}

TEST_CASE("Reviews of BGPAdvertisements and Communities") {
  const json web = PoolObject("web", {"192.0.2.0/25"});
  const auto ad = [](std::string name, json spec) {
    return ObjectOf("BGPAdvertisement", name, std::move(spec));
  };
  const auto community = [](std::string name, std::string alias, std::string value) {
    return ObjectOf("Community", name, {{"communities", {{{"name", alias}, {"value", value}}}}});
  };
  Run(GENERATE_COPY(values<Case>(
      {{"second advertisement",
        {web, ad("a", json::object())},
        "CREATE",
        ad("b", json::object()),
        ""},
       {"same, updated",
        {web, ad("a", json::object())},
        "UPDATE",
        ad("a", {{"aggregationLength", 26}}),
        ""},
       {"advertisement in error",
        {web},
        "CREATE",
        ad("a", {{"aggregationLength", 24}}),
        "invalid aggregation length 24: prefix 25 in this pool is more specific than the "
        "aggregation length for addresses 192.0.2.0/25"},
       {"advertisement in another namespace",
        {},
        "CREATE",
        With(ad("a", json::object()), kElsewhere),
        "resource must be created in metallb-system namespace"},
       {"unknown alias", {web}, "CREATE", ad("a", {{"communities", {"later"}}}), ""},
       {"second Community", {community("a", "x", "1:2")}, "CREATE", community("b", "y", "1:2"), ""},
       {"same Community, updated",
        {community("a", "x", "1:2")},
        "UPDATE",
        community("a", "x", "large:1:2:3"),
        ""},
       {"alias twice",
        {community("a", "x", "1:2")},
        "CREATE",
        community("b", "x", "1:3"),
        "duplicate definition of community \"x\""},
       {"bad value",
        {},
        "CREATE",
        community("a", "x", "1:70000"),
        "parsing community \"x\": invalid community value"},
       {"bad format",
        {},
        "CREATE",
        community("a", "x", "blackhole"),
        "parsing community \"x\": invalid community format: blackhole"},
       {"Community in another namespace",
        {},
        "CREATE",
        With(community("a", "x", "1:2"), kElsewhere),
        "resource must be created in metallb-system namespace"},
       {"deletion", {community("a", "x", "1:2")}, "DELETE", community("a", "x", "1:2"), ""}})));
}

// An object that got in while no webhook answered.
TEST_CASE("Errors of others are told, not held against a change") {
  const json bad = PoolObject("bad", {"192.0.2.0/33", "198.51.100.0/24"});
  const json twice = PoolObject("twice", {"203.0.113.0/24", "203.0.113.0/25"});
  const Facts facts = FactsOf({bad, twice});

  SECTION("a good pool is admitted, with a warning") {
    const json response = Ask(ReviewOf("CREATE", PoolObject("web", {"192.0.2.0/25"})), facts);
    CHECK(RefusalOf(response) == "");
    CHECK_THAT(WarningsOf(response), StartsWith("other objects are in error: "));
  }
  SECTION("one that is in conflict with a good part of a bad pool is refused") {
    CHECK_THAT(RefusalOf(Ask(ReviewOf("CREATE", PoolObject("web", {"198.51.100.7/32"})), facts)),
               Contains("overlaps with already defined CIDR"));
    CHECK_THAT(RefusalOf(Ask(ReviewOf("CREATE", PoolObject("web", {"203.0.113.200/32"})), facts)),
               Contains("overlaps with already defined CIDR"));
  }
  SECTION("errors are mended one by one") {
    const json mended = PoolObject("bad", {"192.0.2.0/24", "198.51.100.0/24"});
    CHECK(RefusalOf(Ask(ReviewOf("UPDATE", mended, bad), facts)) == "");
  }
  SECTION("a bad pool stays refused while it is changed, and bad") {
    const json worse = PoolObject("bad", {"192.0.2.0/33"});
    CHECK_THAT(RefusalOf(Ask(ReviewOf("UPDATE", worse, bad), facts)), Contains("invalid CIDR"));
  }
  SECTION("a bad pool can lose its finalizer, and be deleted") {
    const json labelled = With(bad, {{"metadata", {{"labels", {{"a", "b"}}}}}});
    const json response = Ask(ReviewOf("UPDATE", labelled, bad), facts);
    CHECK(RefusalOf(response) == "");
    CHECK_THAT(WarningsOf(response), Contains("invalid CIDR"));
    const json leaving = With(PoolObject("bad", {"192.0.2.0/34"}),
                              {{"metadata", {{"deletionTimestamp", "2026-01-31T23:59:59Z"}}}});
    CHECK(RefusalOf(Ask(ReviewOf("UPDATE", leaving, bad), facts)) == "");
  }
  SECTION("an advertisement has no part in a pool's error") {
    const json response = Ask(ReviewOf("CREATE", L2("ad")), facts);
    CHECK(RefusalOf(response) == "");
    CHECK_THAT(WarningsOf(response), Contains("other objects are in error"));
  }
  SECTION("nor has a peer in another's") {
    const Facts peers = FactsOf({PeerObject("bad", "router")});
    CHECK(RefusalOf(Ask(ReviewOf("CREATE", PeerObject("tor", "192.0.2.1")), peers)) == "");
  }
  SECTION("what is in another namespace has no effect, so it can be changed") {
    const json lost = With(bad, kElsewhere);
    const json response = Ask(ReviewOf("UPDATE", lost, With(lost, {{"spec", {{"a", 1}}}})), facts);
    CHECK(RefusalOf(response) == "");
    CHECK_THAT(WarningsOf(response), Contains("metallb-system namespace"));
  }
}

// One that no codec can read, stored while nobody asked a webhook.
TEST_CASE("An object that can't be read is told, and holds nobody up") {
  Facts facts = FactsOf({PoolObject("web", {"192.0.2.0/25"})});
  const json broken = ObjectOf("IPAddressPool", "broken", {{"addresses", 7}});
  REQUIRE_FALSE(facts.Put(Kind::kIpAddressPool, broken).ok());
  const std::string told =
      "other objects are in error: IPAddressPool metallb-system/broken: "
      "spec.addresses: expected a list\n";

  SECTION("by reviews of its kind") {
    const json response = Ask(ReviewOf("CREATE", PoolObject("b", {"198.51.100.0/24"})), facts);
    CHECK(RefusalOf(response) == "");
    CHECK(WarningsOf(response) == told);
  }
  SECTION("and of kinds that are judged with it") {
    CHECK(WarningsOf(Ask(ReviewOf("CREATE", L2("ad")), facts)) == told);
  }
  SECTION("but not of others") {
    const json response = Ask(ReviewOf("CREATE", PeerObject("tor", "192.0.2.1")), facts);
    CHECK(WarningsOf(response).find("broken") == std::string::npos);
  }
  SECTION("its mending is not warned of, and ends it") {
    const json mended = PoolObject("broken", {"198.51.100.0/24"});
    const json response = Ask(ReviewOf("UPDATE", mended, broken), facts);
    CHECK(RefusalOf(response) == "");
    CHECK(WarningsOf(response) == "");
    REQUIRE(facts.Put(Kind::kIpAddressPool, mended).ok());
    CHECK(facts.unreadable.empty());
  }
  SECTION("so does its deletion") {
    facts.Remove(Kind::kIpAddressPool, {kNamespace, "broken"});
    CHECK(facts.unreadable.empty());
  }
  SECTION("what it was before counts no longer") {
    REQUIRE_FALSE(
        facts.Put(Kind::kIpAddressPool, ObjectOf("IPAddressPool", "web", {{"addresses", 7}})).ok());
    CHECK(facts.pools.empty());
    CHECK(RefusalOf(Ask(ReviewOf("CREATE", PoolObject("b", {"192.0.2.0/24"})), facts)) == "");
  }
}

TEST_CASE("A range of both families is warned of") {
  const json response =
      Ask(ReviewOf("CREATE", PoolObject("p", {"192.0.2.1-2001:db8::1"})), FactsOf({}));
  CHECK(RefusalOf(response) == "");
  CHECK_THAT(WarningsOf(response), Contains("gives no address"));
}

TEST_CASE("Objects that can't be read are answered 400") {
  json pool = PoolObject("p", {"192.0.2.0/24"});
  const auto [name, patch] = GENERATE(
      values<std::pair<std::string, json>>({{"addresses", {{"spec", {{"addresses", 7}}}}},
                                            {"labels", {{"metadata", {{"labels", {{"a", 1}}}}}}},
                                            {"metadata", {{"metadata", "p"}}}}));
  DYNAMIC_SECTION(name) {
    json review = ReviewOf("CREATE", pool);
    review["request"]["object"].merge_patch(patch);
    const json response = Ask(review, FactsOf({}));
    CHECK(response.at("allowed") == false);
    CHECK(response.at("status").at("code") == 400);
    CHECK_THAT(RefusalOf(response), Contains(name));
  }
}

TEST_CASE("A name that the API server makes up is judged by its beginning") {
  json pool = PoolObject("", {"192.0.2.0/33"});
  pool["metadata"] = {{"generateName", "web-"}};
  json review = ReviewOf("CREATE", pool);
  review["request"]["namespace"] = kNamespace;
  CHECK_THAT(RefusalOf(Ask(review, FactsOf({}))), Contains("in pool \"web-\""));
}

TEST_CASE("Verdicts don't depend on the order in which objects came") {
  std::vector<json> objects = {PoolObject("a", {"192.0.2.0/24"}),
                               PoolObject("b", {"192.0.2.0/25"}),
                               PoolObject("c", {"198.51.100.0/24", "x"}),
                               PoolObject("d", {"203.0.113.0/24"}),
                               L2("ad", {{"ipAddressPools", {"a", "b"}}}),
                               PeerObject("p", "192.0.2.1"),
                               PeerObject("q", "192.0.2.1", {{"routerID", "x"}}),
                               ObjectOf("BGPAdvertisement", "r", {{"localPref", 1}}),
                               ObjectOf("BGPAdvertisement", "s", {{"localPref", 2}})};
  const std::vector<json> asked = {
      PoolObject("e", {"198.51.100.0/25"}), PoolObject("b", {"203.0.113.0/25"}),
      L2("ad", {{"ipAddressPools", {"a", "a"}}}), PeerObject("r", "192.0.2.1"),
      ObjectOf("BGPAdvertisement", "t", {{"localPref", 3}})};
  const auto verdicts = [&] {
    Facts facts = FactsOf(objects, BgpMode::kFrr);
    facts.nodes = {{"iris1", {}}};
    std::vector<Verdict> found;
    for (const json& object : asked) {
      found.push_back(Judge(KindOfObject(object), object, facts));
    }
    return found;
  };
  const std::vector<Verdict> expected = verdicts();
  CHECK(expected[0].allowed == false);
  CHECK(expected[2].allowed == false);
  std::mt19937 random(1);  // NOLINT: the same orders each time
  for (int i = 0; i < 100; ++i) {
    std::shuffle(objects.begin(), objects.end(), random);
    REQUIRE(verdicts() == expected);
  }
}

}  // namespace
}  // namespace stentor::controller
