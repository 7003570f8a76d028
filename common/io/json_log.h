// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "common/obs/log.h"

namespace stentor::io {

/// Writes each event as one line of JSON to standard output, with MetalLB's keys: ts (RFC 3339,
/// UTC, milliseconds), level, caller (here: the program's name), event, msg, and the event's
/// fields.
class JsonLog final : public obs::LogSink {
 public:
  explicit JsonLog(std::string caller);
  ~JsonLog() override;

  void Write(obs::Level level, std::string_view event_id, std::string_view message,
             std::span<const obs::Field> fields) override;

 private:
  struct Impl;  // hides spdlog
  std::unique_ptr<Impl> impl_;
};

}  // namespace stentor::io
