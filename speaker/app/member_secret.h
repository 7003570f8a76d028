// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/event_loop.h"
#include "common/obs/log.h"
#include "speaker/membership/rotation.h"

namespace stentor::speaker {

/// The secret that the speakers share, followed while it is replaced: the folder is read again
/// every few seconds, since a kubelet exchanges the files of a Secret. Lives on the event loop's
/// thread; loop and log must outlive it.
class MemberSecret {
 public:
  /// `folder` has a file `secretkey`, and `secretkey.previous` where somebody wants the former one
  /// to be accepted for longer; empty: `fixed` is all there is.
  MemberSecret(io::EventLoop& loop, const obs::Logger& log, std::string folder, std::string fixed);

  /// Reads it for the first time. Errors: what can't be read, with a remedy.
  [[nodiscard]] absl::Status Start();

  /// Begins to look for another one; `on_change` when secrets() has changed. `all_hold_newest` says
  /// whether the former one is still needed.
  void Follow(std::function<void()> on_change, std::function<bool()> all_hold_newest);

  /// Those in force, the one that seals first.
  [[nodiscard]] std::vector<std::string> secrets() const { return rotation_->secrets(); }

 private:
  struct Content {
    std::string secret;
    std::string former;
  };
  [[nodiscard]] absl::StatusOr<Content> Read() const;
  void Look();

  io::EventLoop& loop_;
  const obs::Logger& log_;
  const std::string folder_;
  std::optional<SecretRotation> rotation_;
  std::function<void()> on_change_;
  std::function<bool()> all_hold_newest_;
  bool unreadable_ = false;
  io::Timer timer_;
};

}  // namespace stentor::speaker
