// SPDX-License-Identifier: Apache-2.0

/// \file
/// Which EndpointSlices are kept, and which have to be listed.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "speaker/reconcile/slices.h"
#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {
namespace {

using Keys = std::vector<model::ServiceKey>;

model::EndpointSlice Slice(const char* service, std::optional<WallTime> created,
                           const char* node = "iris1") {
  auto slice = SliceOf(service, true, node);
  slice.created = created;
  slice.by_controller = true;
  return slice;
}

model::EndpointSlice ByHand(const char* service, std::optional<WallTime> created) {
  auto slice = Slice(service, created);
  slice.by_controller = false;
  return slice;
}

// As the watch's handler does it. Returns whether the object had to be decoded.
bool Deliver(Slices& slices, const model::EndpointSlice& slice) {
  if (!slices.Wants(HeaderOf(slice))) {
    return false;
  }
  (void)slices.Upsert(slice);
  return true;
}

// Room for two slices that nobody needs; those of the seconds 0 to 99 have passed through.
Slices Experienced() {
  Slices slices({.slices = 2, .endpoints = 100});
  for (int second = 0; second < 100; ++second) {
    (void)Deliver(slices, Slice(("old-" + std::to_string(second)).c_str(), At(second)));
  }
  CHECK(slices.spare() == 2);
  return slices;
}

void Displace(Slices& slices) {
  for (int second = 150; second < 153; ++second) {
    (void)Deliver(slices, Slice(("new-" + std::to_string(second)).c_str(), At(second)));
  }
}

}  // namespace

TEST_CASE("Slices that nobody needs leave nothing behind but the youngest", "[slices]") {
  Slices slices({.slices = 10, .endpoints = 1000});
  slices.Want(kKey, At(0), true);
  for (int i = 0; i < 1000; ++i) {
    (void)Deliver(slices, Slice(("other-" + std::to_string(i)).c_str(), At(i)));
  }
  CHECK(slices.spare() == 10);
  CHECK(slices.kept() == 0);
  SECTION("those that are older are not even decoded") {
    CHECK_FALSE(Deliver(slices, Slice("another", At(5))));
    CHECK_FALSE(Deliver(slices, Slice("another", std::nullopt)));
  }
  SECTION("nor kept, where they come all the same") {
    (void)slices.Upsert(Slice("another", At(5)));
    (void)slices.Upsert(Slice("another", std::nullopt));
    CHECK(slices.spare() == 10);
  }
  SECTION("a younger one takes the place of the oldest") {
    CHECK(Deliver(slices, Slice("another", At(2000))));
    CHECK(slices.spare() == 10);
  }
  SECTION("endpoints are bounded too") {
    auto large = Slice("large", At(2000));
    for (int i = 0; i < 995; ++i) {
      large.endpoints.push_back({.node = "n" + std::to_string(i), .can_serve = true});
    }
    CHECK(Deliver(slices, large));
    CHECK(slices.spare() == 5);
    large.endpoints.resize(2000);
    CHECK(Deliver(slices, large));
    CHECK(slices.spare() == 0);
  }
  SECTION("the end of one makes room") {
    (void)slices.Delete({"default", "other-999-abc"});
    CHECK(slices.spare() == 9);
  }
  SECTION("a slice without the label is nobody's") {
    CHECK(slices.Upsert(Slice("", At(3000))).empty());
    CHECK(slices.spare() == 10);
  }
  SECTION("what a Service needs is kept, however old") {
    CHECK(Deliver(slices, Slice("web", At(1))));
    CHECK(slices.kept() == 1);
    CHECK(slices.EndpointsOf(kKey).size() == 1);
  }
}

TEST_CASE("A saved state follows the slices that are needed, and no others", "[slices]") {
  using Names = std::vector<std::string>;
  const auto names = [](const Slices& slices) {
    Names found;
    slices.ForEach(
        [&found](const model::EndpointSlice& slice) { found.push_back(slice.key.name); });
    return found;
  };
  Slices slices;
  (void)Deliver(slices, Slice("other", At(1)));
  (void)Deliver(slices, Slice("web", At(2)));
  CHECK_FALSE(slices.TakeChanged());
  CHECK(names(slices).empty());

  slices.Want(kKey, At(0), true);
  CHECK(slices.TakeChanged());
  CHECK_FALSE(slices.TakeChanged());
  CHECK(names(slices) == Names{"web-abc"});
  SECTION("one that is deleted") {
    (void)slices.Delete({"default", "web-abc"});
    CHECK(slices.TakeChanged());
    CHECK(names(slices).empty());
  }
  SECTION("one that comes back at once") {
    (void)slices.Delete({"default", "web-abc"});
    (void)Deliver(slices, Slice("web", At(3)));
    CHECK(slices.TakeChanged());
    CHECK(names(slices) == Names{"web-abc"});
  }
  SECTION("all, where the Service needs them no more") {
    slices.Unwant(kKey);
    CHECK(slices.TakeChanged());
    CHECK(names(slices).empty());
  }
  SECTION("an endpoint") {
    auto slice = Slice("web", At(2));
    slice.endpoints.push_back({.node = "z", .can_serve = true});
    CHECK(Deliver(slices, slice));
    CHECK(slices.TakeChanged());
  }
  SECTION("another's now") {
    auto slice = Slice("web", At(2));
    slice.service_name = "other";
    CHECK(Deliver(slices, slice));
    CHECK(slices.TakeChanged());
    CHECK(names(slices).empty());
  }
  SECTION("not a version") {
    auto slice = Slice("web", At(2));
    slice.resource_version += "9";
    CHECK(Deliver(slices, slice));
    CHECK_FALSE(slices.TakeChanged());
    CHECK(names(slices) == Names{"web-abc"});
  }
}

TEST_CASE("When a Service's slices have to be listed", "[slices]") {
  struct Case {
    const char* name;
    std::function<void(Slices&)> before;
    std::optional<WallTime> created;
    bool has_selector;
    bool listed;
  };
  const auto nothing = [](Slices&) {};
  const std::vector<Case> cases = {
      {"a Service younger than all that was dropped", nothing, At(200), true, false},
      {"one that is older: its type was changed", nothing, At(50), true, true},
      {"one that is little younger: clocks differ", nothing, At(100), true, true},
      {"one without a selector: its slices may be older than it is", nothing, At(200), false, true},
      {"one whose age nobody knows", nothing, std::nullopt, true, true},
      {"one that has an older slice made by hand",
       [](Slices& s) { (void)Deliver(s, ByHand("web", At(3))); }, At(200), true, true},
      {"one made by hand that is at hand",
       [](Slices& s) { (void)Deliver(s, ByHand("web", At(120))); }, At(200), true, false},
      {"one made by hand that was, and had to make room",
       [](Slices& s) {
         (void)Deliver(s, ByHand("web", At(120)));
         Displace(s);
       },
       At(200), true, true},
      {"another one's had to",
       [](Slices& s) {
         (void)Deliver(s, ByHand("other", At(120)));
         Displace(s);
       },
       At(200), true, false},
      {"one made by hand that is changed to an older one, as it seems",
       [](Slices& s) {
         (void)Deliver(s, ByHand("web", At(120)));
         (void)Deliver(s, ByHand("web", At(3)));
       },
       At(200), true, true},
      {"one that has got an older slice from another one",
       [](Slices& s) {
         auto slice = ByHand("other", At(98));
         (void)Deliver(s, slice);
         slice.service_name = "web";
         (void)Deliver(s, slice);
         Displace(s);
       },
       At(200), true, true},
      {"another one has an older slice made by hand",
       [](Slices& s) { (void)Deliver(s, ByHand("other", At(3))); }, At(200), true, false},
      {"a slice was dropped whose age nobody knows",
       [](Slices& s) { (void)Deliver(s, Slice("other", std::nullopt)); }, At(200), true, true},
      {"one that was needed before",
       [](Slices& s) {
         s.Want(kKey, At(200), true);
         CHECK(s.TakeToList().empty());
         s.Unwant(kKey);
       },
       At(200), true, true},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      Slices slices = Experienced();
      c.before(slices);
      slices.Want(kKey, c.created, c.has_selector);
      CHECK(slices.TakeToList() == (c.listed ? Keys{kKey} : Keys{}));
      CHECK(slices.TakeToList().empty());  // it is under way
    }
  }
}

TEST_CASE("As long as nothing was dropped, nothing is listed", "[slices]") {
  Slices slices;
  CHECK(Deliver(slices, Slice("web", At(1))));
  CHECK(Deliver(slices, Slice("other", At(1))));
  CHECK(slices.spare() == 2);
  slices.Want(kKey, std::nullopt, false);
  CHECK(slices.TakeToList().empty());
  CHECK(slices.EndpointsOf(kKey) ==
        std::vector<model::Endpoint>{{.node = "iris1", .can_serve = true}});
  CHECK(slices.spare() == 1);
  CHECK(slices.kept() == 1);
}

TEST_CASE("Slices that came before their Service are found", "[slices]") {
  Slices slices = Experienced();
  auto first = Slice("web", At(201), "iris1");
  auto second = Slice("web", At(202), "iris2");
  second.key.name = "web-def";
  CHECK(Deliver(slices, first));
  CHECK(Deliver(slices, second));
  first.endpoints = {{.node = "iris3", .can_serve = true}};
  CHECK(Deliver(slices, first));  // changed before the Service is there
  slices.Want(kKey, At(200), true);
  CHECK(slices.TakeToList().empty());
  CHECK(slices.EndpointsOf(kKey) ==
        std::vector<model::Endpoint>{{.node = "iris2", .can_serve = true},
                                     {.node = "iris3", .can_serve = true}});
}

TEST_CASE("The endpoints of a Service are those of all its slices, each once", "[slices]") {
  Slices slices;
  slices.Want(kKey, At(0), true);
  auto first = Slice("web", At(1));
  first.endpoints = {{.node = "b", .can_serve = true}, {.node = "a", .can_serve = false}};
  auto second = Slice("web", At(1));
  second.key.name = "web-def";
  second.endpoints = {{.node = "b", .can_serve = true}, {.node = "a", .can_serve = true}};
  CHECK(slices.Upsert(first) == Keys{kKey});
  CHECK(slices.Upsert(first).empty());
  CHECK(slices.Upsert(second) == Keys{kKey});
  CHECK(slices.EndpointsOf(kKey) == std::vector<model::Endpoint>{{.node = "a", .can_serve = false},
                                                                 {.node = "a", .can_serve = true},
                                                                 {.node = "b", .can_serve = true}});
  CHECK(slices.Delete(first.key) == Keys{kKey});
  CHECK(slices.EndpointsOf(kKey).size() == 2);
  CHECK(slices.EndpointsOf({"default", "other"}).empty());
}

TEST_CASE("A slice of another namespace is another Service's", "[slices]") {
  Slices slices;
  slices.Want(kKey, At(0), true);
  auto slice = Slice("web", At(1));
  slice.key.name_space = "kube-system";
  CHECK(slices.Upsert(slice).empty());
  CHECK(slices.EndpointsOf(kKey).empty());
}

TEST_CASE("A slice that changes hands leaves the one and comes to the other", "[slices]") {
  const model::ServiceKey other{"default", "other"};
  Slices slices;
  slices.Want(kKey, At(0), true);
  auto slice = Slice("web", At(1));
  CHECK(slices.Upsert(slice) == Keys{kKey});
  slice.service_name = "other";
  SECTION("who needs it") {
    slices.Want(other, At(0), true);
    CHECK(slices.Wants(HeaderOf(slice)));
    CHECK(slices.Upsert(slice) == Keys{kKey, other});
    CHECK(slices.EndpointsOf(other).size() == 1);
  }
  SECTION("who doesn't") {
    CHECK(slices.Wants(HeaderOf(slice)));
    CHECK(slices.Upsert(slice) == Keys{kKey});
    CHECK(slices.kept() == 0);
  }
  SECTION("that isn't there") {
    slice.service_name = "";
    CHECK(slices.Wants(HeaderOf(slice)));
    CHECK(slices.Upsert(slice) == Keys{kKey});
    CHECK(slices.kept() + slices.spare() == 0);
  }
  CHECK(slices.EndpointsOf(kKey).empty());
}

TEST_CASE("What a Service no longer needs is at hand should it come back", "[slices]") {
  Slices slices;
  slices.Want(kKey, At(0), true);
  (void)slices.Upsert(Slice("web", At(1)));
  slices.Unwant(kKey);
  slices.Unwant(kKey);
  CHECK(slices.kept() == 0);
  CHECK(slices.spare() == 1);
  CHECK_FALSE(slices.IsWanted(kKey));
  (void)slices.Upsert(Slice("web", At(1), "iris2"));  // a change meanwhile
  slices.Want(kKey, At(0), true);
  CHECK(slices.EndpointsOf(kKey).at(0).node == "iris2");
  CHECK(slices.TakeToList() == Keys{kKey});  // a small price
}

}  // namespace stentor::speaker
