// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/port_progress.h"

#include <utility>

namespace stentor::speaker {

bool PortProgress::Look(TimePoint now, std::uint64_t offered, std::uint64_t taken) noexcept {
  const bool some_came = std::exchange(offered_, offered) != offered;
  const bool some_read = std::exchange(taken_, taken) != taken;
  if (some_read) {
    waiting_since_.reset();
  }
  if (waiting_since_) {
    return now - *waiting_since_ >= kGrace;
  }
  if (some_came && !some_read) {
    waiting_since_ = now;
  }
  return false;
}

}  // namespace stentor::speaker
