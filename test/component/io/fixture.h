// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the component tests of the Kubernetes client share: a loop that runs until a condition
/// holds, and a program's view of one resource.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/io/event_loop.h"
#include "common/io/kube_client.h"

namespace stentor::test {

inline constexpr Duration kDeadline = std::chrono::seconds(20);

/// Runs `loop` until `condition` holds; false where it does not within the deadline.
[[nodiscard]] bool RunUntil(io::EventLoop& loop, const std::function<bool()>& condition,
                            Duration deadline = kDeadline);

/// A transport that must be usable.
[[nodiscard]] std::unique_ptr<kube::KubeTransport> Transport(
    io::EventLoop& loop, const config::ClientConfig& config,
    const io::TransportLimits& limits = {});

/// Sends one request and waits for its answer.
[[nodiscard]] absl::StatusOr<kube::Response> Send(io::EventLoop& loop,
                                                  kube::KubeTransport& transport,
                                                  kube::Request request);

/// Mirrors a resource by its watch.
struct Mirror {
  std::map<model::ObjectKey, nlohmann::json> objects;
  int upserts = 0;
  int deletes = 0;
  int synced = 0;
  int recovered = 0;
  std::vector<absl::Status> troubles;

  [[nodiscard]] io::WatchHandlers Handlers();
};

}  // namespace stentor::test
