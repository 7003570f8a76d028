// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A set of small numbers. Internal to speaker/election.

#include <algorithm>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace stentor::speaker {

/// Numbers of nodes, one bit each. Equal sets have equal representations.
class NodeSet {
 public:
  void Insert(std::uint32_t id) {
    const std::size_t word = id / kBits;
    if (word >= words_.size()) {
      words_.resize(word + 1);
    }
    words_[word] |= std::uint64_t{1} << (id % kBits);
  }

  [[nodiscard]] bool Contains(std::uint32_t id) const noexcept {
    const std::size_t word = id / kBits;
    return word < words_.size() && ((words_[word] >> (id % kBits)) & 1U) != 0;
  }

  [[nodiscard]] bool empty() const noexcept { return words_.empty(); }

  void Unite(const NodeSet& other) {
    words_.resize(std::max(words_.size(), other.words_.size()));
    for (std::size_t i = 0; i < other.words_.size(); ++i) {
      words_[i] |= other.words_[i];
    }
  }

  void Intersect(const NodeSet& other) {
    words_.resize(std::min(words_.size(), other.words_.size()));
    for (std::size_t i = 0; i < words_.size(); ++i) {
      words_[i] &= other.words_[i];
    }
    Trim();
  }

  void Subtract(const NodeSet& other) {
    for (std::size_t i = 0; i < std::min(words_.size(), other.words_.size()); ++i) {
      words_[i] &= ~other.words_[i];
    }
    Trim();
  }

  /// Calls `function(id)` for each, ascending.
  template <typename Function>
  void ForEach(Function function) const {
    for (std::size_t word = 0; word < words_.size(); ++word) {
      for (std::uint64_t rest = words_[word]; rest != 0; rest &= rest - 1) {
        function(static_cast<std::uint32_t>(word * kBits) +
                 static_cast<std::uint32_t>(std::countr_zero(rest)));
      }
    }
  }

  friend auto operator<=>(const NodeSet&, const NodeSet&) = default;

 private:
  static constexpr std::size_t kBits = 64;

  void Trim() {
    while (!words_.empty() && words_.back() == 0) {
      words_.pop_back();
    }
  }

  std::vector<std::uint64_t> words_;  // the last one is not zero
};

}  // namespace stentor::speaker
