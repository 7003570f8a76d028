// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "common/io/context.h"
#include "common/io/lifetime.h"
#include "common/status/configuration_state_keeper.h"

namespace stentor::io {

struct ConfigurationStateWriterOptions {
  status::ConfigurationStateOptions state;
  /// Whether this program may write now; asked right before each request.
  std::function<bool()> may_write = [] { return true; };
  /// What the API server has recorded may be known now, or be something else.
  std::function<void()> on_recorded = [] {};
};

/// Keeps the ConfigurationState of this program instance at the API server: the watch, the requests
/// and the timer of a status::ConfigurationStateKeeper. Lives on the event loop's thread.
class ConfigurationStateWriter {
 public:
  ConfigurationStateWriter(const Context& context, ConfigurationStateWriterOptions options);
  ~ConfigurationStateWriter();
  ConfigurationStateWriter(const ConfigurationStateWriter&) = delete;
  ConfigurationStateWriter& operator=(const ConfigurationStateWriter&) = delete;

  /// Begins to watch the object, and to write.
  void Start();

  /// As those of the keeper. A condition has its time from now.
  void SetActive(bool active);
  void SetOwner(status::OwnerPod owner);
  void SetCondition(status::Condition condition);
  void RemoveCondition(std::string_view type);
  [[nodiscard]] std::optional<bool> Recorded(std::string_view type) const {
    return keeper_.Recorded(type);
  }

 private:
  void Schedule();
  void Poll();
  void Send(status::StatusRequest request);

  const Context context_;
  const ConfigurationStateWriterOptions options_;
  status::ConfigurationStateKeeper keeper_;
  bool seen_ = false;
  bool scheduled_ = false;
  Timer timer_;
  std::unique_ptr<WatchHandle> watch_;
  Lifetime lifetime_;
};

/// One log line for what a keeper of a status tells: `what` cannot be written, or can be again.
void LogStatusNotice(const obs::Logger& log, const status::Notice& notice, std::string_view what);

}  // namespace stentor::io
