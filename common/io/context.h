// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "common/io/event_loop.h"
#include "common/io/kube_client.h"
#include "common/obs/log.h"

namespace stentor::io {

/// What the parts of a program that talk to the API server work with. All of it outlives them.
struct Context {
  EventLoop& loop;
  KubeClient& client;
  const obs::Logger& log;
};

}  // namespace stentor::io
