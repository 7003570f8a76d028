// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What of the conflicts is told to humans: little enough that no stranger on the segment can fill
/// a log. Pure.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "common/base/time.h"
#include "speaker/announce/conflict.h"

namespace stentor::speaker {

/// Not thread-safe. Memory is bounded by the cap: what it doesn't tell it doesn't remember.
class ConflictNotices {
 public:
  explicit ConflictNotices(const ConflictOptions& options);

  /// Keeps `notice` for Take(), unless the same address, MAC and kind were told less than an
  /// interval ago, or too much has been told of late. True if it was kept.
  bool Add(ConflictNotice notice, TimePoint now);

  /// What was kept since the last call, in order.
  [[nodiscard]] std::vector<ConflictNotice> Take();

 private:
  using Key = std::tuple<net::IpAddress, net::MacAddress, ConflictKind>;

  Duration interval_;
  std::uint32_t burst_;
  Duration refill_;
  std::map<Key, TimePoint> told_;
  double credit_;
  std::optional<TimePoint> refilled_;
  std::vector<ConflictNotice> pending_;
};

}  // namespace stentor::speaker
