// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "cli/facts/snapshot.h"
#include "common/io/event_loop.h"
#include "common/io/kube_client.h"

namespace stentor::cli {

/// Reads resources into a snapshot, page by page, all at the same time; of one that can't be read
/// to its end nothing goes in. Runs the loop until it is done, so that callers read like a script.
class Reader {
 public:
  /// Both must outlive it. `limit`: for each request.
  Reader(io::EventLoop& loop, io::KubeClient& client, Duration limit)
      : loop_(loop), client_(client), limit_(limit) {}

  /// Adds the resources to `snapshot`; what can't be read is told there. An error only where the
  /// API server can't be reached, or lets nothing be read: then there is nothing to say.
  [[nodiscard]] absl::Status Read(Snapshot& snapshot, std::span<const Resource> resources,
                                  const std::optional<model::ServiceKey>& service = std::nullopt);

  /// kAlways and `more`, and then the ConfigMap that the pods name.
  [[nodiscard]] absl::Status ReadAll(Snapshot& snapshot, std::span<const Resource> more = {});

  /// One object; NotFound where there is none.
  [[nodiscard]] absl::StatusOr<nlohmann::json> Get(const std::string& path);

 private:
  // A list on its way, page by page.
  struct Pages {
    Resource resource{};
    ResourceRequest request;
    std::string next;
    std::vector<nlohmann::json> items;
    bool again = false;  // begun anew, since the first attempt took too long
  };
  void ReadPage(Snapshot& snapshot, const std::shared_ptr<Pages>& pages);
  void Finish(Snapshot& snapshot, Resource resource, const absl::Status& status);

  io::EventLoop& loop_;
  io::KubeClient& client_;
  const Duration limit_;
  std::size_t outstanding_ = 0;
  std::size_t readable_ = 0;
  absl::Status first_error_;
};

}  // namespace stentor::cli
