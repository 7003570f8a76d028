// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/io/event_loop.h"
#include "common/io/kube_client.h"
#include "common/obs/log.h"

namespace stentor::controller {

/// What every part of this room works with. All of it outlives them.
struct Context {
  io::EventLoop& loop;
  io::KubeClient& client;
  const obs::Logger& log;
};

/// What a watch of `resource` has in common with all others: trouble is logged once, and its end
/// too.
[[nodiscard]] io::WatchHandlers LoggingHandlers(const obs::Logger& log,
                                                const std::string& resource);

}  // namespace stentor::controller
