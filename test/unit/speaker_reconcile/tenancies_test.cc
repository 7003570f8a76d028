// SPDX-License-Identifier: Apache-2.0

/// \file
/// Services that stay where they are when the node that the order prefers comes back. kVip is
/// iris1's by the order.

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "speaker/reconcile/tenancies.h"
#include "test/unit/speaker_reconcile/cluster.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("A Service that never fails back stays with whoever took it over", "[tenancies]") {
  Cluster cluster(kBoth, config::kNeverFailBack);
  CHECK(cluster.Owner() == "iris1");
  CHECK(cluster.EpochOf("iris1") == 1);
  CHECK(cluster.EpochOf("iris2") == 0);
  Return(cluster);
  CHECK(cluster.Owner() == "iris2");
  CHECK(cluster.EpochOf("iris2") == 2);
  CHECK(cluster.notices == std::vector{Stays(std::nullopt)});
  CHECK_FALSE(cluster.Of("iris2").NextDeadline());
  CHECK(ToString(*cluster.Of("iris1").Explain(kKey)) ==
        "default/web: notOwner; addresses 10.20.30.2; pool pool; candidates iris2 (tenant), iris1");
  cluster.SettleAt(std::chrono::hours(10'000));
  CHECK(cluster.Owner() == "iris2");
  CHECK(cluster.notices.size() == 1);  // not told twice
  cluster.Yield("iris2", true);
  cluster.Settle();
  CHECK(cluster.Owner() == "iris1");
  CHECK(cluster.EpochOf("iris1") == 3);
  CHECK(cluster.EpochOf("iris2") == 0);
  cluster.Yield("iris2", false);
  cluster.Settle();
  CHECK(cluster.Owner() == "iris1");
}

TEST_CASE("A Service that doesn't stay is claimed by nobody, and goes back at once",
          "[tenancies]") {
  Cluster cluster(kBoth, config::FailBackDelay{});
  CHECK(cluster.Of("iris1").claims().empty());
  Return(cluster);
  CHECK(cluster.Owner() == "iris1");
  CHECK(cluster.Of("iris2").claims().empty());
  CHECK(cluster.notices.empty());
}

TEST_CASE("After the delay a Service goes back", "[tenancies]") {
  Cluster cluster(kBoth, 5min);
  Return(cluster);
  CHECK(cluster.notices == std::vector{Stays(5min)});
  CHECK(cluster.Of("iris2").NextDeadline() == cluster.now + 5min);
  SECTION("exactly then") {
    cluster.SettleAt(5min - 1ns);
    CHECK(cluster.Owner() == "iris2");
    cluster.SettleAt(1ns);
    CHECK(cluster.Owner() == "iris1");
    CHECK(cluster.notices == std::vector{Stays(5min), GoesBack(5min)});
    CHECK(cluster.Of("iris2").handed_over().contains(kVip));
    CHECK(cluster.Of("iris2").claims().empty());
    CHECK(cluster.EpochOf("iris1") > 0);
    CHECK_FALSE(cluster.Of("iris2").NextDeadline());
    cluster.SettleAt(1h);
    CHECK(cluster.Owner() == "iris1");
  }
  SECTION("an interruption begins it anew, and doubles it") {
    cluster.SettleAt(4min);
    cluster.Yield("iris1", true);
    cluster.SettleAt(10s);
    cluster.Yield("iris1", false);
    cluster.SettleAt(10s);
    CHECK(cluster.Owner() == "iris2");
    CHECK(cluster.notices.back() == Stays(10min));
    cluster.SettleAt(10min - 1s);
    CHECK(cluster.Owner() == "iris2");
    cluster.SettleAt(1s);
    CHECK(cluster.Owner() == "iris1");
  }
  SECTION("the speaker that has it dies meanwhile") {
    cluster.Kill("iris2");
    cluster.Settle();
    CHECK(cluster.Owner() == "iris1");
    cluster.Start("iris2");
    cluster.SettleAt(1h);
    CHECK(cluster.Owner() == "iris1");
  }
  SECTION("the delay becomes another one") {
    cluster.SettleAt(1min);
    cluster.SetConfig(Staying(30s));
    cluster.Settle();
    CHECK(cluster.Owner() == "iris1");  // it has waited for longer already
  }
  SECTION("it stays no more") {
    cluster.SetConfig(Staying({}));
    cluster.Settle();
    CHECK(cluster.Owner() == "iris1");
    CHECK(cluster.Of("iris1").claims().empty());
    CHECK(cluster.Of("iris2").claims().empty());
    CHECK_FALSE(cluster.Of("iris2").NextDeadline());
  }
}

TEST_CASE("What ends a tenancy, and what does not", "[tenancies]") {
  struct Case {
    const char* name;
    std::function<void(Cluster&)> change;
    const char* owner;
  };
  const std::vector<Case> cases = {
      {"no endpoint can serve for a while",
       [](Cluster& c) {
         c.SetSlice(WebSlice(false));
         c.Settle();
         REQUIRE(c.Owner().empty());
         c.SetSlice(WebSlice());
       },
       "iris2"},
      {"its node is drained, and back",
       [](Cluster& c) {
         model::Node node = NodeNamed("iris2");
         node.labels = {{std::string(kExcludeNodeLabel), ""}};
         c.SetNode(node);
         c.Settle();
         REQUIRE(c.Owner() == "iris1");
         c.SetNode(NodeNamed("iris2"));
       },
       "iris1"},
      {"both yield",
       [](Cluster& c) {
         c.Yield("iris1", true);
         c.Yield("iris2", true);
       },
       "iris2"},
      {"the Service becomes one with Local endpoints, which both have",
       [](Cluster& c) {
         auto slice = WebSlice();
         slice.endpoints.push_back({.node = "iris1", .can_serve = true});
         c.SetSlice(slice);
         auto service = WebService();
         service.external_traffic_policy = model::TrafficPolicy::kLocal;
         c.SetService(service);
       },
       "iris2"},
      {"its Local endpoint goes to the other node",
       [](Cluster& c) {
         auto service = WebService();
         service.external_traffic_policy = model::TrafficPolicy::kLocal;
         c.SetService(service);
         c.Settle();
         REQUIRE(c.Owner() == "iris2");
         c.SetSlice(WebSlice(true, "iris1"));
       },
       "iris1"},
      {"it gets a second address",
       [](Cluster& c) { c.SetService(WebService({"10.20.30.2", "2001:db8:0:1::ffff"})); }, "iris2"},
      {"it is deleted, and made anew",
       [](Cluster& c) {
         c.TellAll([](Reconciler& r) { r.DeleteService(kKey); });
         c.Settle();
         c.SettleAt(Tenancies::kReleaseGrace);
         REQUIRE(c.EpochOf("iris2") == 0);
         c.SetService(WebService());
       },
       "iris1"},
      {"its interface is gone, which the other node has",
       [](Cluster& c) {
         c.SetConfig(Staying(config::kNeverFailBack, {.interfaces = {"eth0"}}));
         c.Of("iris2").SetInterfaces({"eth1"});
       },
       "iris1"},
      {"this speaker may not announce, and may again",
       [](Cluster& c) {
         Reconciler& r = c.Of("iris2");
         r.SetSpeakers(BothSpeakers(), false);
         (void)r.Reconcile(c.now);
         REQUIRE(c.Owner().empty());
         CHECK(r.claims().size() == 1);
       },
       "iris2"},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Cluster cluster(kBoth, config::kNeverFailBack);
      Return(cluster);
      REQUIRE(cluster.Owner() == "iris2");
      c.change(cluster);
      cluster.Settle();
      CHECK(cluster.Owner() == c.owner);
      CHECK(cluster.EpochOf(c.owner) > 0);
      CHECK((cluster.EpochOf("iris1") == 0) != (cluster.EpochOf("iris2") == 0));
    }
  }
}

TEST_CASE("Another first address is another claim", "[tenancies]") {
  Cluster cluster(kBoth, config::kNeverFailBack);
  Return(cluster);
  cluster.SetService(WebService({"10.20.30.1"}));
  cluster.Settle();
  CHECK(cluster.Owner() == "");
  CHECK(cluster.Owner(kOtherVip) == "iris2");
  CHECK(cluster.EpochOf("iris2", kOtherVip) == 1);
  cluster.SettleAt(Tenancies::kReleaseGrace);
  CHECK(cluster.EpochOf("iris2", kOtherVip) == 1);
  CHECK(cluster.EpochOf("iris2", kVip) == 0);
}

TEST_CASE("Without membership nobody stays", "[tenancies]") {
  Fixture fixture("iris1", {.membership = false});
  fixture.reconciler.SetConfig(Staying(config::kNeverFailBack));
  (void)fixture.reconciler.Reconcile(kNow);
  CHECK(fixture.reconciler.announcements().contains(kVip));
  CHECK(fixture.reconciler.claims().empty());
}

TEST_CASE("Who may not announce yet claims nothing", "[tenancies]") {
  Fixture fixture;
  fixture.reconciler.SetConfig(Staying(config::kNeverFailBack));
  fixture.reconciler.SetSpeakers(BothSpeakers(), false);
  (void)fixture.reconciler.Reconcile(kNow);
  CHECK(fixture.reconciler.claims().empty());
}

TEST_CASE("After a partition the later claim stands, and among equal ones the order decides",
          "[tenancies]") {
  struct Case {
    const char* name;
    std::uint32_t other;  // what iris2 claimed meanwhile
    bool stays;           // with iris1
  };
  const auto c =
      GENERATE(values<Case>({{"later", 8, false}, {"equal", 7, true}, {"earlier", 6, true}}));
  DYNAMIC_SECTION(c.name) {
    Fixture fixture("iris1", {.highest_epoch = [](AddressKey) { return 6; }});
    Reconciler& reconciler = fixture.reconciler;
    reconciler.SetConfig(Staying(config::kNeverFailBack));
    reconciler.SetSpeakers({{.node = "iris1"}}, true);
    (void)reconciler.Reconcile(kNow);
    REQUIRE(reconciler.claims() == Claims{{.address = AddressKeyOf(kVip), .epoch = 7}});
    reconciler.SetSpeakers({{.node = "iris1"},
                            {.node = "iris2",
                             .claims = std::make_shared<const Claims>(
                                 Claims{{.address = AddressKeyOf(kVip), .epoch = c.other}})}},
                           true);
    (void)reconciler.Reconcile(kNow);
    CHECK(reconciler.announcements().contains(kVip) == c.stays);
    CHECK(reconciler.handed_over().contains(kVip) != c.stays);
    CHECK(reconciler.claims().size() == (c.stays ? 1 : 0));
  }
}

TEST_CASE("No more is claimed than can be told, and no epoch is beyond the last one",
          "[tenancies]") {
  Tenancies tenancies;
  const auto none = [](AddressKey) { return std::uint32_t{0}; };
  for (AddressKey key = 1; key <= kMaxClaims; ++key) {
    tenancies.Win(key, kKey, none);
  }
  tenancies.Win(kMaxClaims + 1, kKey, none);
  tenancies.Publish();
  CHECK(tenancies.claims().size() == kMaxClaims);
  CHECK(tenancies.EpochOf(kMaxClaims + 1) == 0);
  tenancies.Release(5, kKey, kNow);
  tenancies.Win(kMaxClaims + 1, kKey, [](AddressKey) { return ~std::uint32_t{0}; });
  CHECK(tenancies.EpochOf(kMaxClaims + 1) == ~std::uint32_t{0});
}

TEST_CASE("Who was lost more often has to stay for longer", "[tenancies]") {
  Losses losses;
  TimePoint now = kNow;
  const std::vector<Speaker> here = {{.node = "a"}, {.node = "b"}};
  const std::vector<Speaker> away = {{.node = "a"}};
  const std::vector<Speaker> yields = {{.node = "a"}, {.node = "b", .yields = true}};
  const auto lose = [&](const std::vector<Speaker>& how) {
    losses.Note(how, now);
    losses.Note(how, now);  // the same once more is no other loss
    losses.Note(here, now += 1min);
  };
  losses.Note(here, now);
  CHECK(losses.Damped("b", 10s, now) == 10s);
  lose(away);
  CHECK(losses.Damped("b", 10s, now) == 10s);
  lose(yields);
  CHECK(losses.Damped("b", 10s, now) == 20s);
  losses.Note(yields, now);
  lose(away);  // first it yields, then it is gone: one loss
  CHECK(losses.Damped("b", 10s, now) == 40s);
  for (int i = 0; i < 5; ++i) {
    lose(away);
    CHECK(losses.Damped("b", 10s, now) == 80s);
  }
  CHECK(losses.Damped("a", 10s, now) == 10s);
  CHECK(losses.Damped("nobody", 10s, now) == 10s);
  CHECK(losses.Damped("b", config::kNeverFailBack, now) == config::kNeverFailBack);
  CHECK(losses.Damped("b", config::kNeverFailBack / 2, now) > config::kNeverFailBack / 2);
  CHECK(losses.Damped("b", 10s, now + 2h) == 10s);
}

}  // namespace stentor::speaker
