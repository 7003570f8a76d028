// SPDX-License-Identifier: Apache-2.0

/// \file
/// A list of our own and the watch tell of the same slices, in any order.

#include <functional>
#include <string>
#include <vector>

#include "speaker/reconcile/slices.h"
#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {
namespace {

using Keys = std::vector<model::ServiceKey>;

// default/web-NAME of default/web, at a version, with an endpoint on a node.
model::EndpointSlice Slice(const char* name, const char* version, const char* node) {
  auto slice = SliceOf("web", true, node);
  slice.key.name = name;
  slice.resource_version = version;
  return slice;
}

// A Service whose list is under way, since an old slice was dropped.
Slices Listing() {
  Slices slices({.slices = 0, .endpoints = 0});
  (void)slices.Upsert(SliceOf("other"));
  slices.Want(kKey, At(0), true);
  CHECK(slices.TakeToList() == Keys{kKey});
  return slices;
}

std::vector<std::string> NodesOf(const Slices& slices) {
  std::vector<std::string> nodes;
  for (const model::Endpoint& endpoint : slices.EndpointsOf(kKey)) {
    nodes.push_back(endpoint.node);
  }
  return nodes;
}

}  // namespace

TEST_CASE("A list and the watch, in all orders", "[slices]") {
  struct Case {
    const char* name;
    std::function<void(Slices&)> before;  // the watch, while the list is under way
    std::vector<model::EndpointSlice> answer;
    std::function<void(Slices&)> after;
    std::vector<std::string> want;
  };
  const auto nothing = [](Slices&) {};
  const std::vector<Case> cases = {
      {"the list alone",
       nothing,
       {Slice("a", "5", "n5"), Slice("b", "6", "n6")},
       nothing,
       {"n5", "n6"}},
      {"an empty list", nothing, {}, nothing, {}},
      {"the watch was ahead",
       [](Slices& s) { (void)s.Upsert(Slice("a", "9", "n9")); },
       {Slice("a", "5", "n5")},
       nothing,
       {"n9"}},
      {"the list was ahead",
       [](Slices& s) { (void)s.Upsert(Slice("a", "5", "n5")); },
       {Slice("a", "9", "n9")},
       nothing,
       {"n9"}},
      {"the list was ahead, and the watch follows: an older event",
       nothing,
       {Slice("a", "9", "n9")},
       [](Slices& s) { (void)s.Upsert(Slice("a", "5", "n5")); },
       {"n9"}},
      {"the same event",
       nothing,
       {Slice("a", "9", "n9")},
       [](Slices& s) { (void)s.Upsert(Slice("a", "9", "n9")); },
       {"n9"}},
      {"a later event",
       nothing,
       {Slice("a", "9", "n9")},
       [](Slices& s) { (void)s.Upsert(Slice("a", "10", "n10")); },
       {"n10"}},
      {"versions are numbers: 10 is later than 9",
       [](Slices& s) { (void)s.Upsert(Slice("a", "10", "n10")); },
       {Slice("a", "9", "n9")},
       nothing,
       {"n10"}},
      {"once the watch has told, its order counts, even backwards: etcd was restored",
       nothing,
       {Slice("a", "9", "n9")},
       [](Slices& s) {
         (void)s.Upsert(Slice("a", "9", "n9"));
         (void)s.Upsert(Slice("a", "5", "n5"));
       },
       {"n5"}},
      {"versions that are no numbers: the watch is right",
       nothing,
       {Slice("a", "x", "n1")},
       [](Slices& s) { (void)s.Upsert(Slice("a", "y", "n2")); },
       {"n2"}},
      {"a saved state without versions: the list is newer",
       [](Slices& s) { (void)s.Upsert(Slice("a", "", "saved")); },
       {Slice("a", "5", "n5")},
       nothing,
       {"n5"}},
      {"deleted while the list was under way",
       [](Slices& s) { (void)s.Delete({"default", "a"}); },
       {Slice("a", "5", "n5")},
       nothing,
       {}},
      {"changed, then deleted while the list was under way",
       [](Slices& s) {
         (void)s.Upsert(Slice("a", "6", "n6"));
         (void)s.Delete({"default", "a"});
       },
       {Slice("a", "5", "n5"), Slice("b", "4", "n4")},
       nothing,
       {"n4"}},
      {"deleted and made again while the list was under way",
       [](Slices& s) {
         (void)s.Delete({"default", "a"});
         (void)s.Upsert(Slice("a", "8", "n8"));
       },
       {Slice("a", "5", "n5")},
       nothing,
       {"n8"}},
      {"deleted after the list",
       nothing,
       {Slice("a", "5", "n5")},
       [](Slices& s) { CHECK(s.Delete({"default", "a"}) == Keys{kKey}); },
       {}},
      {"deleted in another namespace",
       [](Slices& s) { (void)s.Delete({"other", "a"}); },
       {Slice("a", "5", "n5")},
       nothing,
       {"n5"}},
      {"the list no longer has what the watch has yet to delete",
       [](Slices& s) { (void)s.Upsert(Slice("a", "5", "n5")); },
       {},
       nothing,
       {"n5"}},
      {"it went to another Service while the list was under way",
       [](Slices& s) {
         auto slice = Slice("a", "6", "n6");
         slice.service_name = "other";
         if (s.Wants(HeaderOf(slice))) {
           (void)s.Upsert(slice);
         }
       },
       {Slice("a", "5", "n5")},
       nothing,
       {}},
      {"an answer with what was not asked for",
       nothing,
       {Slice("a", "5", "n5"), SliceOf("other"),
        [] {
          auto slice = Slice("a", "5", "x");
          slice.key.name_space = "kube-system";
          return slice;
        }()},
       nothing,
       {"n5"}},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Slices slices = Listing();
      c.before(slices);
      const auto before = NodesOf(slices);
      const bool changed = slices.OnListed(kKey, c.answer);
      CHECK(changed == (NodesOf(slices) != before));
      c.after(slices);
      CHECK(NodesOf(slices) == c.want);
      CHECK(slices.TakeToList().empty());
    }
  }
}

TEST_CASE("What only a list told is asked for again when the watch begins anew", "[slices]") {
  Slices slices = Listing();
  (void)slices.OnListed(kKey, {Slice("a", "5", "n5"), Slice("b", "6", "n6")});
  SECTION("it went while the watch was away, and so the watch can't tell") {
    slices.OnWatchSynced();
    CHECK(slices.TakeToList() == Keys{kKey});
    CHECK(NodesOf(slices) == std::vector<std::string>{"n5", "n6"});
    CHECK(slices.OnListed(kKey, {Slice("b", "3", "n3")}));  // an older version: etcd was restored
    CHECK(NodesOf(slices) == std::vector<std::string>{"n3"});
  }
  SECTION("not what the watch has told since") {
    (void)slices.Upsert(Slice("a", "5", "n5"));
    (void)slices.Upsert(Slice("b", "7", "n7"));
    slices.OnWatchSynced();
    CHECK(slices.TakeToList().empty());
  }
}

TEST_CASE("A list that was under way when the watch began anew is not the last word", "[slices]") {
  Slices slices = Listing();
  slices.OnWatchSynced();
  CHECK(slices.TakeToList().empty());
  CHECK(slices.OnListed(kKey, {Slice("a", "5", "n5")}));  // better than nothing
  CHECK(slices.TakeToList() == Keys{kKey});
  CHECK(slices.OnListed(kKey, {}));
  CHECK(NodesOf(slices).empty());
  CHECK(slices.TakeToList().empty());
}

TEST_CASE("More deletions than are remembered make the list be repeated", "[slices]") {
  Slices slices = Listing();
  for (int i = 0; i < 1000; ++i) {
    (void)slices.Delete({"default", "gone-" + std::to_string(i)});
  }
  (void)slices.OnListed(kKey, {Slice("gone-5", "5", "n5"), Slice("gone-900", "5", "n900")});
  CHECK(NodesOf(slices) == std::vector<std::string>{"n900"});
  CHECK(slices.TakeToList() == Keys{kKey});
  (void)slices.OnListed(kKey, {Slice("a", "5", "n5")});
  CHECK(NodesOf(slices) == std::vector<std::string>{"n5"});
  CHECK(slices.TakeToList().empty());
}

TEST_CASE("A list that fails is due again", "[slices]") {
  Slices slices = Listing();
  slices.OnListFailed(kKey);
  CHECK(slices.TakeToList() == Keys{kKey});
  CHECK(slices.TakeToList().empty());
}

TEST_CASE("An answer that nobody waits for is ignored", "[slices]") {
  Slices slices = Listing();
  SECTION("the Service is gone") { slices.Unwant(kKey); }
  SECTION("the Service is gone and back, and another list is due") {
    slices.Unwant(kKey);
    slices.Want(kKey, At(0), true);
  }
  SECTION("it was answered already") { (void)slices.OnListed(kKey, {}); }
  slices.OnListFailed({"default", "other"});
  CHECK_FALSE(slices.OnListed(kKey, {Slice("a", "5", "n5")}));
  CHECK(NodesOf(slices).empty());
}

TEST_CASE("An answer of an earlier life is not taken for a later one", "[slices]") {
  Slices slices = Listing();
  slices.Unwant(kKey);
  (void)slices.Delete({"default", "a"});  // nobody takes note: nobody needs it
  slices.Want(kKey, At(0), true);
  CHECK(slices.TakeToList().empty());  // one question at a time
  SECTION("an answer") { CHECK_FALSE(slices.OnListed(kKey, {Slice("a", "5", "n5")})); }
  SECTION("a failure") { slices.OnListFailed(kKey); }
  CHECK(slices.TakeToList() == Keys{kKey});
  CHECK(slices.OnListed(kKey, {Slice("b", "6", "n6")}));
  CHECK(NodesOf(slices) == std::vector<std::string>{"n6"});
}

TEST_CASE("The reconciler asks for slices that it needs", "[slices]") {
  Reconciler reconciler({.node = "iris1"});
  reconciler.UpsertNode(NodeNamed("iris1"));
  reconciler.SetConfig(OnePool());
  reconciler.SetSpeakers({{.node = "iris1"}}, true);
  // 300 Services that are no load balancers; web is one of them.
  for (int i = 0; i < 300; ++i) {
    auto slice = SliceOf("other-" + std::to_string(i));
    slice.created = At(i);
    slice.by_controller = true;
    if (reconciler.Wants(HeaderOf(slice))) {
      reconciler.UpsertSlice(slice);
    }
  }
  CHECK_FALSE(reconciler.Needs(kKey));
  reconciler.UpsertService(WebService());  // its type has changed
  CHECK(reconciler.Needs(kKey));
  CHECK(reconciler.Reconcile(kNow).empty());
  REQUIRE(reconciler.TakeSlicesToList() == Keys{kKey});
  SECTION("the answer is what makes it announce") {
    reconciler.OnSlicesListed(kKey, {WebSlice()});
    CHECK(reconciler.Reconcile(kNow).size() == 1);
    SECTION("and what the watch says then counts") {
      auto slice = WebSlice(false);
      slice.resource_version = "101";
      reconciler.UpsertSlice(slice);
      CHECK(reconciler.Reconcile(kNow).size() == 1);
      CHECK(reconciler.announcements().empty());
    }
  }
  SECTION("a failure is asked again") {
    reconciler.OnSlicesListFailed(kKey);
    CHECK(reconciler.TakeSlicesToList() == Keys{kKey});
  }
  SECTION("a new Service needs no list") {
    auto service = ServiceNamed("new", {"10.20.30.1"});
    service.created = At(400);
    reconciler.UpsertService(service);
    CHECK(reconciler.TakeSlicesToList().empty());
  }
  SECTION("a Service that goes is asked for no more") {
    reconciler.DeleteService(kKey);
    CHECK_FALSE(reconciler.Needs(kKey));
    reconciler.OnSlicesListed(kKey, {WebSlice()});
    CHECK(reconciler.Reconcile(kNow).empty());
  }
}

}  // namespace stentor::speaker
