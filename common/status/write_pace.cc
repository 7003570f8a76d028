// SPDX-License-Identifier: Apache-2.0
#include "common/status/write_pace.h"

#include <algorithm>

namespace stentor::status {
namespace {

// Rights and kinds change seldom. The first refusal may be that of a server that is just starting.
constexpr Duration kRefusalCheck = std::chrono::seconds(1);
constexpr kube::BackoffOptions kRefusedBackoff{std::chrono::minutes(1), std::chrono::minutes(5)};
constexpr int kRefusalsBelieved = 2;
// WriteHold: after the last call, and after the first one.
constexpr Duration kAnswersFirst = std::chrono::milliseconds(30);
constexpr Duration kMostHeld = std::chrono::milliseconds(100);
// A server that asks for more is not obeyed: it may have meant seconds, and nobody would know.
constexpr Duration kMaxRetryAfter = std::chrono::minutes(5);

}  // namespace

Duration WritePace::RestoreWait() const {
  Duration wait = options_.interval;
  for (int i = 1; i < restores_ && wait < kMaxRestoreWait; ++i) {
    wait *= 2;
  }
  return std::max(options_.interval, std::min(wait, kMaxRestoreWait));
}

TimePoint WritePace::NotBefore(bool restores) const {
  TimePoint time = not_before_.value_or(TimePoint::min());
  if (sent_) {
    time = std::max(time, *sent_ + options_.interval);
  }
  if (restores && restored_) {
    time = std::max(time, *restored_ + RestoreWait());
  }
  return time;
}

void WritePace::Sent(TimePoint now, bool restores) {
  sent_ = now;
  if (restores) {
    // Whoever waited that long for the next one has stopped.
    const bool quiet = !restored_ || now - *restored_ > 2 * kMaxRestoreWait;
    restores_ = quiet ? 1 : restores_ + 1;
    restored_ = now;
  }
}

bool WritePace::IsIdle(TimePoint now) const {
  return failures_ == 0 && !restored_ && NotBefore(false) <= now;
}

void WritePace::Succeeded() {
  failures_ = 0;
  not_before_.reset();
}

void WritePace::Failed(TimePoint now, std::optional<Duration> retry_after,
                       const kube::Uniform& uniform) {
  ++failures_;
  const Duration asked = std::min(retry_after.value_or(Duration(0)), kMaxRetryAfter);
  not_before_ = now + std::max(asked, kube::Backoff(options_.backoff, failures_, uniform));
}

void WriteHold::Hold(TimePoint now) {
  since_ = since_.value_or(now);
  until_ = std::min(now + kAnswersFirst, *since_ + kMostHeld);
}

void WriteHold::EndIfOver(TimePoint now) {
  if (now >= until_) {
    since_.reset();
  }
}

bool IsRefusal(int code) {
  return code >= 400 && code < 500 && code != 401 && code != 408 && code != 409 && code != 429;
}

std::optional<Notice> RefusalGate::Refused(TimePoint now, const absl::Status& why,
                                           const kube::Uniform& uniform) {
  if (!IsOpen(now)) {
    return std::nullopt;
  }
  ++refusals_;
  if (refusals_ < kRefusalsBelieved) {
    not_before_ = now + kRefusalCheck;
    return std::nullopt;
  }
  not_before_ = now + kube::Backoff(kRefusedBackoff, refusals_ - kRefusalsBelieved + 1, uniform);
  if (told_) {
    return std::nullopt;
  }
  told_ = true;
  return Notice{.kind = Notice::Kind::kRefused, .message = std::string(why.message())};
}

std::optional<Notice> RefusalGate::Accepted() {
  refusals_ = 0;
  not_before_.reset();
  if (!told_) {
    return std::nullopt;
  }
  told_ = false;
  return Notice{.kind = Notice::Kind::kAccepted, .message = ""};
}

}  // namespace stentor::status
