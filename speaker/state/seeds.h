// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which objects a speaker knows from its saved state only. The API's word always counts more: what
/// it shows replaces the saved object, and what its first complete list of a resource does not show
/// is gone.
///
///   Seeds seeds(state);                             // and feed the objects as if they were seen
///   seeds.Confirm(Resource::kServices, key);        // on each upsert and delete of the watch,
///   also
///                                                   // of an object that can't be decoded
///   for (const auto& key : seeds.Synced(Resource::kServices)) { ... delete it ... }

#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "common/model/types.h"
#include "speaker/state/resource.h"
#include "speaker/state/saved_state.h"

namespace stentor::speaker {

/// Not thread-safe.
class Seeds {
 public:
  /// None.
  Seeds() = default;
  explicit Seeds(const SavedState& state);

  /// The API has told of the object.
  void Confirm(Resource resource, const model::ObjectKey& key);
  /// Whether the API has not told of the object yet, which is one of the saved state.
  [[nodiscard]] bool Holds(Resource resource, const model::ObjectKey& key) const;
  /// The API's list of `resource` is complete. Returns what is to be deleted, each once.
  [[nodiscard]] std::vector<model::ObjectKey> Synced(Resource resource);

  /// The API does not tell of `resource`, though it answers: what is known of it stays.
  void Settle(Resource resource) { resting_.erase(resource); }

  /// Objects that the API has not told of yet; 0: nothing rests on the saved state any more.
  [[nodiscard]] std::size_t unconfirmed() const;
  /// Whether objects of a resource were taken from the saved state, and no list of it has been
  /// complete since. Where the API refuses to list it, that stays so, and the objects stay known,
  /// as they would without a restart (config::Sources).
  [[nodiscard]] bool Rests(Resource resource) const { return resting_.contains(resource); }
  [[nodiscard]] bool AnyRests() const { return !resting_.empty(); }

 private:
  std::map<Resource, std::set<model::ObjectKey>> objects_;
  std::set<Resource> resting_;
};

}  // namespace stentor::speaker
