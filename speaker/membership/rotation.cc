// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/rotation.h"

#include <chrono>
#include <utility>

namespace stentor::speaker {
namespace {

constexpr Duration kKeepAfterAllHold = std::chrono::minutes(1);
constexpr Duration kOverdueAfter = std::chrono::minutes(15);

}  // namespace

SecretRotation::SecretRotation(std::string secret, std::string former)
    : secret_(std::move(secret)),
      former_(former == secret_ ? std::string() : std::move(former)),
      former_is_given_(!former_.empty()) {}

bool SecretRotation::Update(TimePoint now, const std::string& secret, const std::string& former) {
  if (secret.empty()) {
    return false;
  }
  const std::vector<std::string> before = secrets();
  if (secret != secret_) {
    former_ = std::exchange(secret_, secret);
    since_ = now;
    all_since_.reset();
    overdue_told_ = false;
  }
  former_is_given_ = !former.empty() && former != secret_;
  if (former_is_given_) {
    former_ = former;
  } else if (!since_) {
    former_.clear();
  }
  return secrets() != before;
}

bool SecretRotation::Poll(TimePoint now, bool all_hold_newest) {
  if (former_.empty() || former_is_given_ || !since_) {
    return false;
  }
  if (!all_hold_newest) {
    all_since_.reset();
  } else if (!all_since_) {
    all_since_ = now;
  }
  if (!all_since_ || now - *all_since_ < kKeepAfterAllHold) {
    return false;
  }
  former_.clear();
  since_.reset();
  return true;
}

bool SecretRotation::TakeOverdue(TimePoint now) {
  const bool overdue = !former_.empty() && !former_is_given_ && since_ &&
                       now - *since_ >= kOverdueAfter && !all_since_;
  return overdue && !std::exchange(overdue_told_, true);
}

std::vector<std::string> SecretRotation::secrets() const {
  std::vector<std::string> all = {secret_};
  if (!former_.empty()) {
    all.push_back(former_);
  }
  return all;
}

}  // namespace stentor::speaker
