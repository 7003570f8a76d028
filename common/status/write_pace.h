// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// When something may be written again: the rules that all writers of status share. Pure.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/kube/backoff.h"

namespace stentor::status {

/// Something for the log, once for each change.
struct Notice {
  enum class Kind : std::uint8_t {
    kRefused,   ///< What is written is not taken; it is tried again, minutes apart.
    kAccepted,  ///< It is taken again.
  };
  Kind kind = Kind::kRefused;
  std::string message;  ///< Why; of kRefused only.
};

struct PaceOptions {
  Duration interval;  ///< Between the beginnings of two writes; the first one is never late.
  kube::BackoffOptions backoff{std::chrono::milliseconds(250), std::chrono::seconds(30)};
};

/// The pace of writes to one place. A write that only restores what was written before, because
/// somebody else has changed it, waits twice as long each time, up to kMaxRestoreWait: it may be
/// another program that insists likewise.
class WritePace {
 public:
  static constexpr Duration kMaxRestoreWait = std::chrono::minutes(5);

  explicit WritePace(const PaceOptions& options) : options_(options) {}

  /// When the next write may begin.
  [[nodiscard]] TimePoint NotBefore(bool restores) const;
  void Sent(TimePoint now, bool restores);
  /// Whether a new one would do as well: nothing waits, failed, or was restored.
  [[nodiscard]] bool IsIdle(TimePoint now) const;
  /// Failures are forgotten, and what they made wait for.
  void Succeeded();
  /// `retry_after`: what the server asked for.
  void Failed(TimePoint now, std::optional<Duration> retry_after, const kube::Uniform& uniform);

 private:
  [[nodiscard]] Duration RestoreWait() const;

  PaceOptions options_;
  std::optional<TimePoint> sent_;
  std::optional<TimePoint> restored_;
  int restores_ = 0;  // in succession
  int failures_ = 0;  // in succession
  std::optional<TimePoint> not_before_;
};

/// Who has just been given something asks for it now, and is answered first: writes that only tell
/// of it wait until nothing was given for 30 ms, but no longer than 100 ms.
class WriteHold {
 public:
  /// Something was given.
  void Hold(TimePoint now);
  /// When writes may begin.
  [[nodiscard]] TimePoint Until() const { return until_; }
  /// To be called where writes would begin: what is given later makes them wait anew.
  void EndIfOver(TimePoint now);
  /// When to call EndIfOver() at the latest, whether or not there is something to write.
  [[nodiscard]] std::optional<TimePoint> Deadline() const {
    return since_ ? std::optional(until_) : std::nullopt;
  }

 private:
  std::optional<TimePoint> since_;
  TimePoint until_ = TimePoint::min();
};

/// Whether the HTTP answer `code` is one of a server that won't do it until somebody changes rights
/// or kinds, rather than one that can't do it now (5xx, 401, 408, 409, 429).
[[nodiscard]] bool IsRefusal(int code);

/// Refusals, which last until somebody changes rights or kinds: the second one in
/// succession is believed and told, and from then on it is tried every few minutes. Of requests
/// that are under way together, one refusal counts.
class RefusalGate {
 public:
  /// When the next request may be sent.
  [[nodiscard]] std::optional<TimePoint> NotBefore() const { return not_before_; }
  [[nodiscard]] bool IsOpen(TimePoint now) const { return !not_before_ || now >= *not_before_; }
  /// Whether the last answer was a refusal.
  [[nodiscard]] bool refused() const { return refusals_ > 0; }

  [[nodiscard]] std::optional<Notice> Refused(TimePoint now, const absl::Status& why,
                                              const kube::Uniform& uniform);
  [[nodiscard]] std::optional<Notice> Accepted();

 private:
  int refusals_ = 0;  // in succession
  bool told_ = false;
  std::optional<TimePoint> not_before_;
};

}  // namespace stentor::status
