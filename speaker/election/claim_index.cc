// SPDX-License-Identifier: Apache-2.0
#include "speaker/election/claim_index.h"

#include <algorithm>

namespace stentor::speaker {

void ClaimIndex::Set(const std::vector<Claimant>& claimants) {
  if (std::ranges::all_of(claimants,
                          [this](const Claimant& claimant) { return Knows(claimant); })) {
    return;
  }
  Clear();
  std::size_t count = 0;
  for (const Claimant& claimant : claimants) {
    count += claimant.claims ? claimant.claims->size() : 0;
  }
  first_.reserve(count);
  links_.reserve(count);
  for (const Claimant& claimant : claimants) {
    if (!claimant.claims) {
      continue;
    }
    known_.resize(std::max<std::size_t>(known_.size(), claimant.node + std::size_t{1}));
    known_[claimant.node] = claimant.claims;
    for (const Claim& claim : *claimant.claims) {
      const auto [it, added] = first_.try_emplace(claim.address, kEnd);
      links_.push_back({.node = claimant.node, .epoch = claim.epoch, .next = it->second});
      it->second = static_cast<std::uint32_t>(links_.size() - 1);
    }
  }
}

void ClaimIndex::Clear() {
  known_.clear();
  first_.clear();
  links_.clear();
}

bool ClaimIndex::Knows(const Claimant& claimant) const {
  return claimant.node < known_.size() ? known_[claimant.node] == claimant.claims
                                       : claimant.claims == nullptr;
}

}  // namespace stentor::speaker
