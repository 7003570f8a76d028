// SPDX-License-Identifier: Apache-2.0
#include "speaker/state/seeds.h"

#include <utility>

namespace stentor::speaker {

Seeds::Seeds(const SavedState& state) {
  const auto add = [this](Resource resource, const auto& objects) {
    for (const auto& object : objects) {
      objects_[resource].insert(object.key);
    }
  };
  add(Resource::kServices, state.services);
  add(Resource::kSlices, state.slices);
  for (const model::Node& node : state.nodes) {
    objects_[Resource::kNodes].insert({"", node.name});
  }
  add(Resource::kPods, state.pods);
  add(Resource::kPools, state.pools);
  add(Resource::kAdvertisements, state.advertisements);
  add(Resource::kAddressPools, state.address_pools);
  if (state.config_map) {
    objects_[Resource::kConfigMap].insert(state.config_map->key);
  }
  for (const auto& [resource, keys] : objects_) {
    resting_.insert(resource);
  }
}

void Seeds::Confirm(Resource resource, const model::ObjectKey& key) {
  if (const auto it = objects_.find(resource); it != objects_.end()) {
    it->second.erase(key);
  }
}

bool Seeds::Holds(Resource resource, const model::ObjectKey& key) const {
  const auto it = objects_.find(resource);
  return it != objects_.end() && it->second.contains(key);
}

std::vector<model::ObjectKey> Seeds::Synced(Resource resource) {
  resting_.erase(resource);
  const auto it = objects_.find(resource);
  if (it == objects_.end()) {
    return {};
  }
  const std::set<model::ObjectKey> left = std::exchange(it->second, {});
  return {left.begin(), left.end()};
}

std::size_t Seeds::unconfirmed() const {
  std::size_t count = 0;
  for (const auto& [resource, keys] : objects_) {
    count += keys.size();
  }
  return count;
}

}  // namespace stentor::speaker
