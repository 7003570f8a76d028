// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/io/kube_client.h"
#include "common/obs/log.h"

namespace stentor::io {

/// What the watches of all resources have in common: trouble with `resource` is logged once, and
/// its end too (on_polling, on_trouble, on_recovered). `log` must outlive the watch.
///
///   io::WatchHandlers handlers = io::LoggingHandlers(log, "services");
///   handlers.on_upsert = ...
[[nodiscard]] WatchHandlers LoggingHandlers(const obs::Logger& log, const std::string& resource);

}  // namespace stentor::io
