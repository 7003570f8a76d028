// SPDX-License-Identifier: Apache-2.0

/// \file
/// Services that stay, and change meanwhile: gone, without endpoints, at one address with others,
/// given back in vain, or claimed by others.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "speaker/reconcile/tenancies.h"
#include "test/unit/speaker_reconcile/cluster.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("Services that share an address stay together", "[tenancies]") {
  const auto sharing = [](const char* name) {
    auto service = ServiceNamed(name, {"10.20.30.2"});
    service.annotations = {{"metallb.io/allow-shared-ip", "key"}};
    return service;
  };
  Cluster cluster(kBoth, 1min);
  cluster.SetService(sharing("a"));
  cluster.SetSlice(SliceOf("a"));
  Return(cluster);
  cluster.SettleAt(30s);
  cluster.SetService(sharing("b"));
  cluster.SetSlice(SliceOf("b"));
  cluster.Settle();
  CHECK(cluster.Owner() == "iris2");
  CHECK(cluster.Of("iris2").AnnouncedServices().size() == 3);
  SECTION("one of them goes") {
    cluster.TellAll([](Reconciler& r) { r.DeleteService({"default", "a"}); });
    cluster.Settle();
    CHECK(cluster.Owner() == "iris2");
    CHECK(cluster.EpochOf("iris2") > 0);
  }
  SECTION("of one, no endpoint can serve") {
    cluster.notices.clear();
    cluster.SetSlice(SliceOf("b", false));
    for (int i = 0; i < 29; ++i) {
      cluster.SetService(sharing(i % 2 == 0 ? "a" : "b"));
      cluster.SettleAt(1s);
      REQUIRE(cluster.Owner() == "iris2");
    }
    CHECK(cluster.notices.empty());
    cluster.SettleAt(1s);
    CHECK(cluster.Owner() == "iris1");
    CHECK(cluster.Of("iris2").claims().empty());
    CHECK(cluster.notices.size() == 1);
  }
  SECTION("of one, no endpoint can serve when the others move") {
    cluster.SetSlice(SliceOf("b", false));
    cluster.Settle();
    cluster.Yield("iris2", true);
    cluster.Settle();
    CHECK(cluster.Owner() == "iris1");
    CHECK(cluster.Of("iris2").claims().empty());
  }
  SECTION("none of them can be served for a while") {
    for (const char* name : {"a", "b", "web"}) {
      cluster.SetSlice(SliceOf(name, false));
      cluster.Settle();
      CHECK(cluster.EpochOf("iris2") > 0);
    }
    CHECK(cluster.Owner().empty());
    for (const char* name : {"a", "b", "web"}) {
      cluster.SetSlice(SliceOf(name));
    }
    cluster.Settle();
    CHECK(cluster.Owner() == "iris2");
  }
  SECTION("they go back together") {
    cluster.SettleAt(30s);
    CHECK(cluster.Owner() == "iris1");
    CHECK(cluster.Of("iris1").AnnouncedServices().size() == 3);
    CHECK(cluster.Of("iris2").claims().empty());
  }
}

TEST_CASE("Of several Services at an address, all have to prefer another node", "[tenancies]") {
  Tenancies tenancies;
  const Losses losses;
  const model::ServiceKey a{"default", "a"};
  const model::ServiceKey b{"default", "b"};
  for (const model::ServiceKey& key : {a, b}) {
    tenancies.Win(7, key, nullptr);
    tenancies.AwaitNobody(7, key);
  }
  const auto await = [&](const model::ServiceKey& key, const char* whom) {
    return tenancies.Await(7, key, whom, 10s, losses, kNow);
  };
  CHECK(await(b, "iris1").state == Tenancies::WaitState::kGoesOn);
  CHECK_FALSE(tenancies.NextDeadline());
  SECTION("the other one comes to prefer it, too") {
    CHECK(await(a, "iris1").state == Tenancies::WaitState::kBegan);
    CHECK(tenancies.NextDeadline() == kNow + 10s);
    CHECK(await(b, "iris1").state == Tenancies::WaitState::kGoesOn);
  }
  SECTION("the first one says whom") {
    CHECK(await(a, "iris3").preferred == "iris3");
    CHECK(await(b, "iris1").preferred == "iris3");
    CHECK(await(b, "iris1").state == Tenancies::WaitState::kGoesOn);
  }
  SECTION("the other one rests: asked at once") {
    tenancies.Rest(7, a);
    REQUIRE(tenancies.NextDeadline());
    CHECK(*tenancies.NextDeadline() <= kNow);
    CHECK(tenancies.Due(kNow) == std::vector{a, b});
    tenancies.Rest(7, a);
    CHECK(await(b, "iris1").state == Tenancies::WaitState::kBegan);
    CHECK(tenancies.NextDeadline() == kNow + 10s);
  }
  SECTION("another node wins one of them") {
    tenancies.Lose(7, a);
    CHECK(tenancies.EpochOf(7) == 1);
    tenancies.Rest(7, b);
    CHECK(tenancies.EpochOf(7) == 0);  // the claim is of no use to the other node's Service
    CHECK_FALSE(tenancies.NextDeadline());
  }
}

TEST_CASE("Who hears late that nobody has a Service any more doesn't win it meanwhile",
          "[tenancies]") {
  struct Case {
    const char* name;
    std::function<void(Reconciler&)> change;
  };
  const auto c = GENERATE(values<Case>({
      {"deleted", [](Reconciler& r) { r.DeleteService(kKey); }},
      {"of another class",
       [](Reconciler& r) {
         auto service = WebService();
         service.load_balancer_class = "other";
         r.UpsertService(service);
       }},
      {"no address", [](Reconciler& r) { r.UpsertService(WebService({})); }},
      {"another address", [](Reconciler& r) { r.UpsertService(WebService({"10.20.30.1"})); }},
      {"an invalid one besides",
       [](Reconciler& r) { r.UpsertService(WebService({"10.20.30.2", "x"})); }},
      {"an address of no pool besides",
       [](Reconciler& r) { r.UpsertService(WebService({"10.20.30.2", "192.0.2.1"})); }},
      {"nobody may announce it",
       [](Reconciler& r) { r.SetConfig(OnePool(std::vector<config::L2Advertisement>())); }},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster(kBoth, config::kNeverFailBack);
    Return(cluster);
    c.change(cluster.Of("iris2"));
    cluster.Settle();
    CHECK(cluster.Owner().empty());
    CHECK(cluster.EpochOf("iris2") == 2);
    CHECK(cluster.Of("iris2").NextDeadline() == cluster.now + Tenancies::kReleaseGrace);
    cluster.SettleAt(Tenancies::kReleaseGrace - 1ns);
    CHECK(cluster.Owner().empty());
    c.change(cluster.Of("iris1"));
    cluster.SettleAt(1ns);
    CHECK(cluster.Owner().empty());
    CHECK(cluster.EpochOf("iris2") == 0);
    CHECK_FALSE(cluster.Of("iris2").NextDeadline());
  }
}

TEST_CASE("Who gave a Service back to a node that lacks its interface takes it again",
          "[tenancies]") {
  Cluster cluster(kBoth, 5min);
  cluster.SetConfig(Staying(5min, {.interfaces = {"eth0"}}));
  cluster.Settle();
  Return(cluster);
  cluster.Of("iris1").SetInterfaces({"eth1"});
  cluster.SettleAt(5min);
  CHECK(cluster.Owner().empty());
  CHECK(cluster.Of("iris2").handed_over().contains(kVip));  // answered as before
  CHECK(cluster.Of("iris2").NextDeadline() == cluster.now + kTakenWithin);
  cluster.SettleAt(kTakenWithin - 1ns);
  CHECK(cluster.Owner().empty());
  SECTION("when it has not been taken in time") {
    cluster.SettleAt(1ns);
    CHECK(cluster.Owner() == "iris2");
    CHECK(cluster.EpochOf("iris2") > 0);
    CHECK(cluster.notices.back() == Stays(10min));  // that was a loss of iris1 too
    cluster.SettleAt(10min);
    CHECK(cluster.Owner().empty());
    SECTION("again") {
      cluster.SettleAt(kTakenWithin);
      CHECK(cluster.Owner() == "iris2");
      CHECK(cluster.notices.back() == Stays(20min));
    }
    SECTION("and not when the interface is there") {
      cluster.Of("iris1").SetInterfaces({"eth0"});
      cluster.Settle();
      CHECK(cluster.Owner() == "iris1");
      cluster.SettleAt(1h);
      CHECK(cluster.Owner() == "iris1");
    }
  }
  SECTION("not where it can't have it any more") {
    model::Node node = NodeNamed("iris2");
    node.network_unavailable = true;
    cluster.SetNode(node);
    cluster.SettleAt(1h);
    CHECK(cluster.Owner().empty());
    CHECK(cluster.EpochOf("iris2") == 0);
    CHECK_FALSE(cluster.Of("iris2").NextDeadline());
  }
  SECTION("not where it may not announce") {
    Reconciler& reconciler = cluster.Of("iris2");
    reconciler.SetSpeakers(BothSpeakers(), false);
    (void)reconciler.Reconcile(cluster.now + 1h);
    CHECK(reconciler.claims().empty());
  }
  SECTION("not where it stays no more") {
    cluster.SetConfig(Staying({}, {.interfaces = {"eth0"}}));
    cluster.SettleAt(1h);
    CHECK(cluster.Owner().empty());
    CHECK(cluster.Of("iris2").claims().empty());
  }
}

TEST_CASE("A Service that is back before it was released stays", "[tenancies]") {
  Cluster cluster(kBoth, config::kNeverFailBack);
  Return(cluster);
  cluster.TellAll([](Reconciler& r) { r.DeleteService(kKey); });
  cluster.SettleAt(Tenancies::kReleaseGrace - 1s);
  cluster.SetService(WebService());
  cluster.SetSlice(WebSlice());
  cluster.Settle();
  CHECK(cluster.Owner() == "iris2");
  cluster.SettleAt(1h);
  CHECK(cluster.Owner() == "iris2");
  CHECK(cluster.EpochOf("iris2") == 2);
}

TEST_CASE("A Service that stays no more is released whether somebody can have it or not",
          "[tenancies]") {
  Cluster cluster(kBoth, config::kNeverFailBack);
  Return(cluster);
  cluster.SetSlice(WebSlice(false));
  cluster.Settle();
  REQUIRE(cluster.EpochOf("iris2") == 2);
  cluster.SetConfig(Staying({}));
  cluster.Settle();
  cluster.SettleAt(Tenancies::kReleaseGrace);
  CHECK(cluster.EpochOf("iris2") == 0);
}

TEST_CASE("What others claim makes due the elections of those Services alone", "[tenancies]") {
  Fixture fixture;
  Reconciler& reconciler = fixture.reconciler;
  for (int i = 10; i < 100; ++i) {
    const std::string name = "s" + std::to_string(i);
    reconciler.UpsertService(ServiceNamed(name.c_str(), {"10.20.30." + std::to_string(i)}));
    reconciler.UpsertSlice(SliceOf(name));
  }
  reconciler.SetConfig(Staying(config::kNeverFailBack));
  (void)reconciler.Reconcile(kNow);
  REQUIRE(reconciler.announcements().contains(kVip));
  const std::uint64_t before = reconciler.elections();
  const AddressKey key = AddressKeyOf(kVip);
  const auto tell = [&](const Claims& claims, bool yields = false) {
    reconciler.SetSpeakers(
        {{.node = "iris1"},
         {.node = "iris2", .yields = yields, .claims = std::make_shared<const Claims>(claims)}},
        true);
    (void)reconciler.Reconcile(kNow);
  };
  SECTION("one that is new") {
    tell({{.address = key, .epoch = 7}});
    CHECK(reconciler.elections() == before + 1);
    CHECK(reconciler.handed_over().contains(kVip));
    SECTION("again the same") {
      tell({{.address = key, .epoch = 7}});
      CHECK(reconciler.elections() == before + 1);
    }
    SECTION("and gone") {
      tell({});
      CHECK(reconciler.elections() == before + 2);
      CHECK(reconciler.announcements().contains(kVip));
    }
    SECTION("and another epoch, among others that are the same") {
      tell({{.address = key, .epoch = 8}});
      CHECK(reconciler.elections() == before + 2);
      CHECK(reconciler.handed_over().contains(kVip));
    }
    SECTION("a Service that is changed later knows of it") {
      reconciler.UpsertService(WebService());
      (void)reconciler.Reconcile(kNow);
      CHECK_FALSE(reconciler.announcements().contains(kVip));
    }
  }
  SECTION("of an address that no Service has") {
    tell({{.address = key + 1, .epoch = 7}});
    CHECK(reconciler.elections() == before);
  }
  SECTION("of a Service that is gone, or has another address") {
    reconciler.UpsertService(WebService({"10.20.30.1"}));
    reconciler.DeleteService({"default", "s10"});
    (void)reconciler.Reconcile(kNow);
    const std::uint64_t changed = reconciler.elections();
    Claims claims = {{.address = key, .epoch = 7},
                     {.address = AddressKeyOf(*net::IpAddress::Parse("10.20.30.10")), .epoch = 7}};
    std::ranges::sort(claims);
    tell(claims);
    CHECK(reconciler.elections() == changed);
  }
  SECTION("who yields besides is a matter of all") {
    tell({{.address = key, .epoch = 7}}, true);
    CHECK(reconciler.elections() == before + 91);
  }
}

}  // namespace stentor::speaker
