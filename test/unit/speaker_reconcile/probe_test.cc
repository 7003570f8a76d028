// SPDX-License-Identifier: Apache-2.0

/// \file
/// Which addresses are new in the cluster, and are to be probed before they are announced: never
/// one that is taken over, whatever happened to nodes, speakers and the API server before.

#include <functional>
#include <string>
#include <vector>

#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {
namespace {

std::vector<Speaker> Only(const char* node) { return {{.node = node}}; }

}  // namespace

TEST_CASE("An address is probed only where it is new in the cluster", "[probe]") {
  struct Case {
    const char* name;
    // What happens before the address is announced by iris1, from a Service that has an address
    // when this speaker meets it.
    std::function<void(Reconciler&)> before;
    bool probe;
  };
  const std::vector<Case> cases = {
      {"nobody can tell whether it was announced before", [](Reconciler&) {}, false},
      {"there is no ServiceL2Status of it", [](Reconciler& r) { r.SetStatusesKnown(); }, true},
      {"there is one",
       [](Reconciler& r) {
         r.NoteStatus(kKey, true);
         r.SetStatusesKnown();
       },
       false},
      {"there was one, which its speaker's end has taken away",
       [](Reconciler& r) {
         r.NoteStatus(kKey, true);
         r.SetStatusesKnown();
         r.NoteStatus(kKey, false);
       },
       false},
      {"there is one of another Service",
       [](Reconciler& r) {
         r.NoteStatus({"default", "other"}, true);
         r.SetStatusesKnown();
       },
       true},
      {"another node had won it, and died",
       [](Reconciler& r) {
         r.SetStatusesKnown();
         r.SetSpeakers(Only("iris2"), true);
         CHECK(r.Reconcile(kNow).empty());
       },
       false},
      {"another node had won it, and yields now",
       [](Reconciler& r) {
         r.SetStatusesKnown();
         r.SetSpeakers({{.node = "iris1", .yields = true}, {.node = "iris2"}}, true);
         CHECK(r.Reconcile(kNow).empty());
         r.SetSpeakers({{.node = "iris1"}, {.node = "iris2", .yields = true}}, true);
       },
       false},
      {"this speaker had won it, but wasn't ready",
       [](Reconciler& r) {
         r.SetStatusesKnown();
         r.SetSpeakers(BothSpeakers(), false);
         CHECK(r.Reconcile(kNow).empty());
       },
       true},
      {"this speaker had announced it, and was paused",
       [](Reconciler& r) {
         r.SetStatusesKnown();
         CHECK(r.Reconcile(kNow).size() == 1);
         r.SetSpeakers(BothSpeakers(), false);
         CHECK(r.Reconcile(kNow).size() == 1);
       },
       false},
      {"it had no endpoints until now",
       [](Reconciler& r) {
         r.SetStatusesKnown();
         r.UpsertSlice(WebSlice(false));
         CHECK(r.Reconcile(kNow).empty());
         r.UpsertSlice(WebSlice());
       },
       true},
      {"it had endpoints, then none, then some again",
       [](Reconciler& r) {
         r.SetStatusesKnown();
         CHECK(r.Reconcile(kNow).size() == 1);
         r.UpsertSlice(WebSlice(false));
         CHECK(r.Reconcile(kNow).size() == 1);
         r.UpsertSlice(WebSlice());
       },
       false},
      {"the Service is another one of the same name, met with its address",
       [](Reconciler& r) {
         r.SetSpeakers(Only("iris2"), true);
         CHECK(r.Reconcile(kNow).empty());
         r.SetStatusesKnown();
         auto service = WebService();
         service.uid = "another";
         r.UpsertService(service);
       },
       true},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Fixture fixture;
      c.before(fixture.reconciler);
      auto speakers = BothSpeakers();
      speakers[1].yields = true;
      fixture.reconciler.SetSpeakers(speakers, true);
      REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
      CHECK(fixture.reconciler.announcements().at(kVip).probe == c.probe);
    }
  }
}

TEST_CASE("An address that arrives while this speaker watches is new", "[probe]") {
  // Whatever is known of ServiceL2Status: older manifests don't let speakers read them.
  struct Case {
    const char* name;
    std::vector<std::string> met_with;
    std::function<void(Reconciler&)> before;
    std::vector<std::string> now;
    std::vector<net::IpAddress> probed;
  };
  const std::vector<Case> cases = {
      {"a first address", {}, [](Reconciler&) {}, {"10.20.30.2"}, {kVip}},
      {"two", {}, [](Reconciler&) {}, {"10.20.30.2", "2001:db8:0:1::ffff"}, {kVip, kVip6}},
      {"a second family",
       {"10.20.30.2"},
       [](Reconciler&) {},
       {"10.20.30.2", "2001:db8:0:1::ffff"},
       {kVip6}},
      {"another address", {"10.20.30.1"}, [](Reconciler&) {}, {"10.20.30.2"}, {kVip}},
      {"the Service has a status, of what it had before",
       {"10.20.30.1"},
       [](Reconciler& r) {
         r.NoteStatus(kKey, true);
         r.SetStatusesKnown();
       },
       {"10.20.30.2"},
       {kVip}},
      {"one that it had, lost and gets back",
       {},
       [](Reconciler& r) {
         r.UpsertService(WebService({"10.20.30.2"}));
         CHECK(r.Reconcile(kNow).size() == 1);
         r.UpsertService(WebService({}));
         CHECK(r.Reconcile(kNow).size() == 1);
       },
       {"10.20.30.2"},
       {}},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Fixture fixture;
      fixture.reconciler.DeleteService(kKey);
      (void)fixture.reconciler.Reconcile(kNow);
      fixture.reconciler.SetSpeakers(Only("iris1"), true);
      fixture.reconciler.UpsertService(WebService(c.met_with));
      fixture.reconciler.UpsertSlice(WebSlice());
      (void)fixture.reconciler.Reconcile(kNow);
      c.before(fixture.reconciler);
      fixture.reconciler.UpsertService(WebService(c.now));
      (void)fixture.reconciler.Reconcile(kNow);
      std::vector<net::IpAddress> probed;
      for (const auto& [address, spec] : fixture.reconciler.announcements()) {
        if (spec.probe) {
          probed.push_back(address);
        }
      }
      CHECK(AddressesOf(fixture.reconciler.announcements()).size() == c.now.size());
      CHECK(probed == c.probed);
    }
  }
}

TEST_CASE("What was said about the probe stays as long as the announcement", "[probe]") {
  Fixture fixture;
  Reconciler& reconciler = fixture.reconciler;
  reconciler.SetStatusesKnown();
  REQUIRE(reconciler.Reconcile(kNow).size() == 1);
  REQUIRE(reconciler.announcements().at(kVip).probe);
  const std::uint64_t revision = reconciler.revision();

  reconciler.NoteStatus(kKey, true);  // our own
  reconciler.UpsertNode(NodeNamed("iris3"));
  CHECK(reconciler.Reconcile(kNow).empty());
  CHECK(reconciler.announcements().at(kVip).probe);
  CHECK(reconciler.revision() == revision);

  reconciler.UpsertService(WebService({"10.20.30.2", "2001:db8:0:1::ffff"}));
  REQUIRE(reconciler.Reconcile(kNow).size() == 1);
  CHECK(reconciler.announcements().at(kVip).probe);
  CHECK(reconciler.announcements().at(kVip6).probe);

  reconciler.SetSpeakers(Only("iris2"), true);
  REQUIRE(reconciler.Reconcile(kNow).size() == 1);
  reconciler.SetSpeakers(BothSpeakers(), true);
  REQUIRE(reconciler.Reconcile(kNow).size() == 1);
  CHECK_FALSE(reconciler.announcements().at(kVip).probe);
  CHECK_FALSE(reconciler.announcements().at(kVip6).probe);
}

TEST_CASE("A shared address is probed only if it is new to all its Services", "[probe]") {
  const auto shared = [](const char* name, std::vector<std::string> ips) {
    auto service = ServiceNamed(name, std::move(ips));
    service.annotations = {{"metallb.io/allow-shared-ip", "key"}};
    return service;
  };
  struct Case {
    const char* name;
    bool first_had_status;
    bool first_has_endpoints;
    bool probe;
  };
  const auto c = GENERATE(values<Case>({
      {"new to both", false, true, true},
      {"new to both, of which one has no endpoints", false, false, true},
      {"announced for one before", true, true, false},
      {"announced for one before, which has no endpoints now", true, false, false},
  }));
  DYNAMIC_SECTION(c.name) {
    Reconciler reconciler({.node = "iris1"});
    reconciler.UpsertNode(NodeNamed("iris1"));
    reconciler.SetConfig(OnePool());
    reconciler.SetSpeakers(Only("iris1"), true);
    reconciler.UpsertService(shared("a", {"10.20.30.2"}));
    reconciler.UpsertSlice(SliceOf("a", c.first_has_endpoints));
    if (c.first_had_status) {
      reconciler.NoteStatus({"default", "a"}, true);
    }
    reconciler.SetStatusesKnown();
    reconciler.UpsertService(shared("b", {"10.20.30.2"}));
    reconciler.UpsertSlice(SliceOf("b"));
    CHECK(reconciler.Reconcile(kNow).size() == (c.first_has_endpoints ? 2U : 1U));
    CHECK(reconciler.announcements().at(kVip).probe == c.probe);
  }
}

TEST_CASE("A Service that joins an announced address changes nothing about its probe", "[probe]") {
  for (const bool first_is_new : {false, true}) {
    DYNAMIC_SECTION((first_is_new ? "it is probed" : "it isn't")) {
      Fixture fixture;
      fixture.reconciler.NoteStatus(kKey, !first_is_new);
      fixture.reconciler.SetStatusesKnown();
      REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
      fixture.reconciler.UpsertService(ServiceNamed("b", {}));
      fixture.reconciler.UpsertSlice(SliceOf("b"));
      (void)fixture.reconciler.Reconcile(kNow);
      fixture.reconciler.UpsertService(ServiceNamed("b", {"10.20.30.2"}));
      REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
      CHECK(fixture.reconciler.announcements().at(kVip).probe == first_is_new);
      fixture.reconciler.DeleteService(kKey);
      REQUIRE(fixture.reconciler.Reconcile(kNow).size() == 1);
      CHECK(fixture.reconciler.announcements().at(kVip).probe == first_is_new);
    }
  }
}

}  // namespace stentor::speaker
