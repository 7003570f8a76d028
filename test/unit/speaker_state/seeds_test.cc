// SPDX-License-Identifier: Apache-2.0
#include "speaker/state/seeds.h"

#include "test/support/catch.h"
#include "test/unit/speaker_state/examples.h"

namespace stentor::speaker {
namespace {

using Keys = std::vector<model::ObjectKey>;

}  // namespace

TEST_CASE("Without a saved state nothing rests on it", "[state]") {
  Seeds seeds;
  CHECK(seeds.unconfirmed() == 0);
  CHECK_FALSE(seeds.AnyRests());
  seeds.Confirm(Resource::kServices, {"default", "web"});
  CHECK(seeds.Synced(Resource::kServices).empty());
}

TEST_CASE("What the API does not show is gone, resource by resource", "[state]") {
  struct Case {
    const char* name;
    Resource resource;
    Keys confirmed;
    Keys gone;
  };
  const auto c = GENERATE(values<Case>({
      {"Services", Resource::kServices, {{"default", "web"}}, {{"default", "bare"}}},
      {"none of them is left", Resource::kServices, {}, {{"default", "bare"}, {"default", "web"}}},
      {"one more than was saved",
       Resource::kServices,
       {{"default", "web"}, {"default", "bare"}, {"default", "new"}},
       {}},
      {"slices", Resource::kSlices, {{"default", "web-x"}}, {{"default", "endpoints/dns"}}},
      {"nodes have no namespace", Resource::kNodes, {{"", "n1"}}, {{"", "n2"}}},
      {"pods", Resource::kPods, {}, {{"ns", "speaker-a"}}},
      {"pools", Resource::kPools, {{"ns", "second"}}, {{"ns", "first"}}},
      {"advertisements", Resource::kAdvertisements, {{"ns", "all"}}, {{"ns", "some"}}},
      {"pools of 0.13", Resource::kAddressPools, {}, {{"ns", "older"}}},
      {"the ConfigMap", Resource::kConfigMap, {}, {{"ns", "config"}}},
      {"a namespace more or less",
       Resource::kPools,
       {{"other", "first"}},
       {{"ns", "first"}, {"ns", "second"}}},
  }));
  DYNAMIC_SECTION(c.name) {
    Seeds seeds(ExampleState());
    const std::size_t before = seeds.unconfirmed();
    CHECK(seeds.Rests(c.resource));
    for (const model::ObjectKey& key : c.confirmed) {
      seeds.Confirm(c.resource, key);
    }
    CHECK(seeds.Rests(c.resource));
    CHECK(seeds.Synced(c.resource) == c.gone);
    CHECK_FALSE(seeds.Rests(c.resource));
    CHECK(seeds.AnyRests());  // the others
    CHECK(seeds.unconfirmed() < before);
    CHECK(seeds.Synced(c.resource).empty());  // each once
  }
}

TEST_CASE("Of what nothing was saved, nothing rests on it", "[state]") {
  SavedState state;
  state.nodes = {{.name = "n1"}};
  Seeds seeds(state);
  CHECK(seeds.Rests(Resource::kNodes));
  CHECK_FALSE(seeds.Rests(Resource::kAddressPools));  // a kind that no list may ever show
  CHECK(seeds.Synced(Resource::kNodes) == Keys{{"", "n1"}});
  CHECK_FALSE(seeds.AnyRests());
}

TEST_CASE("Nothing rests on the saved state once all lists are complete", "[state]") {
  Seeds seeds(ExampleState());
  for (const Resource resource :
       {Resource::kServices, Resource::kSlices, Resource::kNodes, Resource::kPods, Resource::kPools,
        Resource::kAdvertisements, Resource::kAddressPools, Resource::kConfigMap}) {
    CHECK(seeds.AnyRests());
    (void)seeds.Synced(resource);
  }
  CHECK_FALSE(seeds.AnyRests());
  CHECK(seeds.unconfirmed() == 0);
}

}  // namespace stentor::speaker
