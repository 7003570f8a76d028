// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Who claims an address, for many addresses. Internal to speaker/election.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "speaker/claims/claims.h"

namespace stentor::speaker {

/// The claims of all speakers, by address. Nodes are numbers.
class ClaimIndex {
 public:
  struct Claimant {
    std::uint32_t node = 0;
    std::shared_ptr<const Claims> claims;  ///< Null: none.
  };

  /// What is claimed from now on. What nodes claimed that are not among `claimants` may still be
  /// found: their death, when an election has to be fast, is no reason to make all of it anew, and
  /// who is dead is no candidate anyway. All candidates must be among them.
  void Set(const std::vector<Claimant>& claimants);
  void Clear();

  [[nodiscard]] bool empty() const noexcept { return links_.empty(); }

  /// Calls `function(node, epoch)` for each claim of `address`.
  template <typename Function>
  void ForEach(AddressKey address, Function function) const {
    const auto it = first_.find(address);
    for (std::uint32_t at = it == first_.end() ? kEnd : it->second; at != kEnd;
         at = links_[at].next) {
      function(links_[at].node, links_[at].epoch);
    }
  }

 private:
  static constexpr std::uint32_t kEnd = ~std::uint32_t{0};
  struct Link {
    std::uint32_t node = 0;
    std::uint32_t epoch = 0;
    std::uint32_t next = kEnd;  // claim of the same address
  };

  [[nodiscard]] bool Knows(const Claimant& claimant) const;

  std::vector<std::shared_ptr<const Claims>> known_;  // by node
  absl::flat_hash_map<AddressKey, std::uint32_t> first_;
  std::vector<Link> links_;
};

}  // namespace stentor::speaker
