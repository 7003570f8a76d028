// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"

namespace stentor::speaker {

/// Which secrets are in force while the shared one is replaced: kubelets bring a changed Secret to
/// their nodes one after the other, within a minute or two, and speakers have to understand each
/// other meanwhile. The former one goes when all living members have held the new one for a minute,
/// so that who starts just then is not shut out.
class SecretRotation {
 public:
  /// `former` opens what those seal who don't have `secret` yet; empty for none.
  explicit SecretRotation(std::string secret, std::string former = {});

  /// What the Secret says now. True where secrets() changed. An empty secret is not taken: what
  /// is sealed today must not be in clear tomorrow because of a slip.
  bool Update(TimePoint now, const std::string& secret, const std::string& former = {});

  /// Lets go of the former secret where it is time. True where secrets() changed.
  bool Poll(TimePoint now, bool all_hold_newest);

  /// For Membership::SetSecrets(): at most two.
  [[nodiscard]] std::vector<std::string> secrets() const;

  /// Whether the former one has been needed for so long that somebody should look why. True once.
  [[nodiscard]] bool TakeOverdue(TimePoint now);

 private:
  std::string secret_;
  std::string former_;
  bool former_is_given_ = false;    // by the Secret itself: it stays as long as it says so
  std::optional<TimePoint> since_;  // when the former one became that
  std::optional<TimePoint> all_since_;
  bool overdue_told_ = false;
};

}  // namespace stentor::speaker
