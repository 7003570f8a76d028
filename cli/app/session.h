// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/app/options.h"
#include "cli/app/reader.h"
#include "common/base/time.h"
#include "common/io/event_loop.h"
#include "common/io/kube_client.h"

namespace stentor::cli {

/// A connection to the API server, for the length of a command.
class Session {
 public:
  /// Errors: what in kubeconfig or flags can't be used.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Session>> Open(const ClusterOptions& options);

  [[nodiscard]] Reader& reader() { return reader_; }
  [[nodiscard]] io::EventLoop& loop() { return *loop_; }
  /// Namespace of Services where none is given: -n, else the context's.
  [[nodiscard]] const std::string& service_namespace() const { return service_namespace_; }

 private:
  Session(std::unique_ptr<io::EventLoop> loop, std::unique_ptr<io::KubeClient> client,
          std::string service_namespace, Duration limit)
      : loop_(std::move(loop)),
        client_(std::move(client)),
        reader_(*loop_, *client_, limit),
        service_namespace_(std::move(service_namespace)) {}

  std::unique_ptr<io::EventLoop> loop_;
  std::unique_ptr<io::KubeClient> client_;
  Reader reader_;
  std::string service_namespace_;
};

/// One line on standard error.
void PrintError(std::string_view message);

/// What could not be read, likewise.
void PrintProblems(const Snapshot& snapshot);

/// A report, in the format that was asked for; `another`: one follows another. False where standard
/// output can't be written to, which has been told then.
[[nodiscard]] bool Print(Format format, const std::string& text, const nlohmann::ordered_json& json,
                         bool another = false);

/// How long --watch waits after a look that took `took`: 2 s, but never more than a fifth of the
/// time is spent looking.
[[nodiscard]] Duration WatchPause(Duration took);

}  // namespace stentor::cli
