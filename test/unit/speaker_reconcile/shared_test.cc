// SPDX-License-Identifier: Apache-2.0

/// \file
/// On which interfaces, with which policy: of one Service, and of several that share an address.

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {
namespace {

using Names = std::set<std::string>;
using enum config::ConflictPolicy;

AllowedInterfaces Only(Names names) { return AllowedInterfaces::Only(std::move(names)); }

config::L2Advertisement On(const char* name, std::vector<std::string> interfaces,
                           config::ConflictPolicy policy = kWarn, const char* tier = nullptr) {
  config::L2Advertisement ad{.name = name, .interfaces = std::move(interfaces)};
  ad.conflict_policy = policy;
  if (tier != nullptr) {
    ad.service_selectors = {
        {.requirements = {
             {.key = "tier", .op = model::SelectorOperator::kEquals, .values = {tier}}}}};
  }
  return ad;
}

// Two Services with kVip, of the tiers "1" and "2". They don't bear the annotation that they would
// need to get one address, so that each can have advertisements of its own.
Fixture TwoTiers(std::vector<config::L2Advertisement> advertisements) {
  Fixture fixture;
  fixture.reconciler.SetConfig(OnePool(std::move(advertisements)));
  auto first = WebService();
  first.labels = {{"tier", "1"}};
  fixture.reconciler.UpsertService(first);
  auto second = ServiceNamed("web2", {"10.20.30.2"});
  second.labels = {{"tier", "2"}};
  fixture.reconciler.UpsertService(second);
  fixture.reconciler.UpsertSlice(SliceOf("web2"));
  return fixture;
}

}  // namespace

TEST_CASE("What Services that share an address say adds up", "[speaker-reconcile]") {
  struct Case {
    const char* name;
    std::vector<config::L2Advertisement> advertisements;
    AllowedInterfaces interfaces;
    ConflictPolicy policy;
  };
  const auto c = GENERATE(values<Case>({
      {"all interfaces", {On("a", {})}, AllowedInterfaces(), ConflictPolicy::kWarn},
      {"of two advertisements for both",
       {On("a", {"eth0"}), On("b", {"eth1"})},
       Only({"eth0", "eth1"}),
       ConflictPolicy::kWarn},
      {"of one for each",
       {On("a", {"eth0"}, kWarn, "1"), On("b", {"eth1"}, kWarn, "2")},
       Only({"eth0", "eth1"}),
       ConflictPolicy::kWarn},
      {"one of them names none",
       {On("a", {"eth0"}, kWarn, "1"), On("b", {}, kWarn, "2")},
       AllowedInterfaces(),
       ConflictPolicy::kWarn},
      {"the first of them is strict",
       {On("a", {"eth0"}, kStrict, "1"), On("b", {"eth1"}, kWarn, "2")},
       Only({"eth0", "eth1"}),
       ConflictPolicy::kStrict},
      {"the second of them is strict",
       {On("a", {"eth0"}, kWarn, "1"), On("b", {"eth1"}, kStrict, "2")},
       Only({"eth0", "eth1"}),
       ConflictPolicy::kStrict},
      {"one is announced only, and the other one's strictness doesn't count",
       {On("a", {"eth0"}, kWarn, "1"), On("b", {"eth1"}, kStrict, "3")},
       Only({"eth0"}),
       ConflictPolicy::kWarn},
  }));
  DYNAMIC_SECTION(c.name) {
    Fixture fixture = TwoTiers(c.advertisements);
    (void)fixture.reconciler.Reconcile(kNow);
    REQUIRE(fixture.reconciler.announcements().contains(kVip));
    const AnnouncementSpec& spec = fixture.reconciler.announcements().at(kVip);
    CHECK(spec.interfaces == c.interfaces);
    CHECK(spec.policy == c.policy);
  }
}

TEST_CASE("An address stays as long as one Service needs it", "[speaker-reconcile]") {
  Fixture fixture = TwoTiers({On("a", {"eth0"}, kStrict, "1"), On("b", {"eth1"}, kWarn, "2")});
  CHECK(fixture.reconciler.Reconcile(kNow).size() == 2);
  fixture.reconciler.DeleteService(kKey);
  CHECK(fixture.reconciler.Reconcile(kNow).size() == 1);
  REQUIRE(fixture.reconciler.announcements().contains(kVip));
  CHECK(fixture.reconciler.announcements().at(kVip).interfaces == Only({"eth1"}));
  CHECK(fixture.reconciler.announcements().at(kVip).policy == ConflictPolicy::kWarn);
  fixture.reconciler.DeleteService({"default", "web2"});
  CHECK(fixture.reconciler.Reconcile(kNow).size() == 1);
  CHECK(fixture.reconciler.announcements().empty());
}

TEST_CASE("Other interfaces or another policy change the announcement, not the ownership",
          "[speaker-reconcile]") {
  Fixture fixture;
  REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
  std::uint64_t revision = fixture.reconciler.revision();
  const auto changed = [&] {
    return std::exchange(revision, fixture.reconciler.revision()) != revision;
  };

  fixture.reconciler.SetConfig(OnePool({On("a", {"eth1", "eth0"})}));
  CHECK(fixture.reconciler.Reconcile(kNow).empty());
  CHECK(fixture.reconciler.announcements().at(kVip).interfaces == Only({"eth0", "eth1"}));
  CHECK(fixture.reconciler.AnnouncedServices().at(0).interfaces == Only({"eth0", "eth1"}));
  CHECK(changed());

  fixture.reconciler.SetConfig(OnePool({On("a", {"eth0", "eth1"})}));
  CHECK(fixture.reconciler.Reconcile(kNow).empty());
  CHECK_FALSE(changed());

  fixture.reconciler.SetConfig(OnePool({On("a", {"eth0", "eth1"}, kStrict)}));
  CHECK(fixture.reconciler.Reconcile(kNow).empty());
  CHECK(fixture.reconciler.announcements().at(kVip).policy == ConflictPolicy::kStrict);
  CHECK(changed());

  fixture.reconciler.SetConfig(OnePool({On("a", {}, kStrict)}));
  CHECK(fixture.reconciler.Reconcile(kNow).empty());
  CHECK(fixture.reconciler.announcements().at(kVip).interfaces == AllowedInterfaces());
  CHECK(changed());
}

TEST_CASE("Which interfaces a winner must have", "[speaker-reconcile]") {
  // MetalLB checks only after the election (spec 4.5, step 7).
  struct Case {
    const char* name;
    std::vector<std::string> wanted;
    std::optional<Names> there;
    bool announced;
  };
  const auto c = GENERATE(values<Case>({
      {"all, and there are some", {}, Names{"eth0"}, true},
      {"all, and there is none", {}, Names{}, true},
      {"one that is there", {"eth0"}, Names{"eth0"}, true},
      {"one that isn't", {"eth1"}, Names{"eth0"}, false},
      {"one of two is there", {"eth0", "eth1"}, Names{"eth1", "lan"}, true},
      {"none of two", {"eth0", "eth1"}, Names{"lan"}, false},
      {"names are compared whole", {"eth"}, Names{"eth0"}, false},
      {"as long as nobody knows, it is believed to be there", {"eth0"}, std::nullopt, true},
  }));
  DYNAMIC_SECTION(c.name) {
    Fixture fixture;
    fixture.reconciler.SetConfig(OnePool({On("a", c.wanted)}));
    if (c.there) {
      fixture.reconciler.SetInterfaces(*c.there);
    }
    const auto changes = fixture.reconciler.Reconcile(kNow);
    const auto failures = fixture.reconciler.TakeFailures();
    CHECK(changes.size() == (c.announced ? 1U : 0U));
    CHECK(fixture.reconciler.announcements().contains(kVip) == c.announced);
    REQUIRE(failures.size() == (c.announced ? 0U : 1U));
    if (!c.announced) {
      CHECK(failures[0].service == kKey);
      CHECK(failures[0].uid == "uid");
      CHECK(failures[0].messages ==
            std::vector<std::string>{
                "the interfaces specified by LB IP \"10.20.30.2\" doesn't exist in assigned node "
                "\"iris1\" with protocol \"layer2\""});
    }
  }
}

TEST_CASE("A missing interface is told once each time", "[speaker-reconcile]") {
  Fixture fixture;
  Reconciler& reconciler = fixture.reconciler;
  reconciler.SetConfig(OnePool({On("a", {"eth0"})}));
  reconciler.SetInterfaces({"eth0"});
  REQUIRE(reconciler.Reconcile(kNow).size() == 1);
  CHECK(reconciler.TakeFailures().empty());

  reconciler.SetInterfaces({});
  const auto changes = reconciler.Reconcile(kNow);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].verdict == Verdict::kInterfaceMissing);
  CHECK(changes[0].winner == "iris1");
  CHECK(reconciler.TakeFailures().size() == 1);

  reconciler.SetInterfaces({"lan"});  // of no help
  CHECK(reconciler.Reconcile(kNow).empty());
  reconciler.UpsertNode(NodeNamed("iris3"));
  CHECK(reconciler.Reconcile(kNow).empty());
  CHECK(reconciler.TakeFailures().empty());

  SECTION("a pause of this speaker is no new failure") {
    reconciler.SetSpeakers(BothSpeakers(), false);
    CHECK(reconciler.Reconcile(kNow).empty());
    reconciler.SetSpeakers(BothSpeakers(), true);
    CHECK(reconciler.Reconcile(kNow).empty());
    CHECK(reconciler.TakeFailures().empty());
  }
  SECTION("other addresses are") {
    reconciler.UpsertService(WebService({"10.20.30.2", "2001:db8::1"}));
    CHECK(reconciler.Reconcile(kNow).empty());
    const auto failures = reconciler.TakeFailures();
    REQUIRE(failures.size() == 1);
    CHECK(failures[0].messages.size() == 2);
  }
  SECTION("so is a return") {
    reconciler.SetInterfaces({"eth0"});
    CHECK(reconciler.Reconcile(kNow).size() == 1);
    reconciler.SetInterfaces({});
    CHECK(reconciler.Reconcile(kNow).size() == 1);
    CHECK(reconciler.TakeFailures().size() == 1);
  }
  SECTION("another node's failure is not ours") {
    reconciler.SetSpeakers({{.node = "iris2"}}, true);
    CHECK(reconciler.Reconcile(kNow).empty());
    CHECK(reconciler.TakeFailures().empty());
  }
}

}  // namespace stentor::speaker
