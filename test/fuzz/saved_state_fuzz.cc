// SPDX-License-Identifier: Apache-2.0

/// \file
/// The saved state of a speaker, as a disk may give it back. The checksum is left out, or nothing
/// would ever get past it; what can be read must come out the same when it is written and read
/// again, and all of it must be known to the keeper and to the seeds.

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>

#include "speaker/state/saved_state.h"
#include "speaker/state/seeds.h"
#include "speaker/state/state_keeper.h"
#include "test/fuzz/demand.h"

namespace {

using namespace stentor;
using namespace stentor::speaker;
using test::Demand;

const StateIdentity kIdentity{.cluster = "c", .node = "n"};

template <typename Object>
void Feed(StateKeeper& keeper, const std::vector<Object>& objects) {
  for (const Object& object : objects) {
    keeper.Upsert(object);
  }
}

// By key: a text may have one twice.
template <typename Object>
using Objects = std::map<model::ObjectKey, Object>;

template <typename Object>
Objects<Object> ByKey(const std::vector<Object>& objects) {
  Objects<Object> by_key;
  for (const Object& object : objects) {
    by_key[object.key] = object;
  }
  return by_key;
}

template <typename Object>
StateKeeper::Source<Object> SourceOf(const Objects<Object>& objects) {
  return [&objects](const auto& visit) {
    for (const auto& [key, object] : objects) {
      visit(object);
    }
  };
}

void FeedAll(const SavedState& state) {
  const Objects<model::Service> services = ByKey(state.services);
  const Objects<model::EndpointSlice> slices = ByKey(state.slices);
  StateKeeper keeper(kIdentity, {.services = SourceOf(services), .slices = SourceOf(slices)});
  Feed(keeper, state.nodes);
  Feed(keeper, state.pods);
  Feed(keeper, state.pools);
  Feed(keeper, state.advertisements);
  Feed(keeper, state.address_pools);
  if (state.config_map) {
    keeper.Upsert(*state.config_map);
  }
  keeper.Complete();
  const auto bytes = keeper.Poll(TimePoint(), state.saved);
  Demand(bytes && Decode(*bytes, kIdentity).ok());
  Seeds seeds(state);
  Demand(seeds.unconfirmed() == keeper.size() + services.size() + slices.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)Decode(text, kIdentity);
  const auto state = DecodeBody(text, kIdentity);
  if (!state.ok()) {
    Demand(!state.status().message().empty());
    return 0;
  }
  SavedState trimmed = *state;
  for (model::Service& service : trimmed.services) {
    service = Trimmed(service);
  }
  for (model::EndpointSlice& slice : trimmed.slices) {
    slice = Trimmed(slice);
  }
  const auto again = Decode(Encode(*state, kIdentity), kIdentity);
  Demand(again.ok() && *again == trimmed);
  FeedAll(*state);
  return 0;
}
