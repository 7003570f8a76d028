// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// How often speakers were lost lately, so that one that comes and goes has to stay for longer
/// before it is trusted with addresses again. Pure.

#include <chrono>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "speaker/election/election.h"

namespace stentor::speaker {

/// A speaker is lost when it dies, leaves, or begins to yield.
class Losses {
 public:
  static constexpr Duration kRemembered = std::chrono::hours(1);
  static constexpr std::size_t kMaxLosses = 4;  ///< More don't count: 1, 2, 4 and 8 times.

  /// Who is there from now on.
  void Note(std::span<const Speaker> speakers, TimePoint now);

  /// `node`, which is there, could not announce what it was elected for: as good as lost.
  void NoteFailure(std::string_view node, TimePoint now);

  /// `delay`, doubled for each loss of `node` but the first in the hour before `since`.
  [[nodiscard]] Duration Damped(std::string_view node, Duration delay, TimePoint since) const;

 private:
  struct Seen {
    bool there = false;
    std::vector<TimePoint> losses;  // the latest last
  };
  static void Add(Seen& seen, TimePoint now);

  std::map<std::string, Seen, std::less<>> by_node_;
};

}  // namespace stentor::speaker
