// SPDX-License-Identifier: Apache-2.0

/// \file
/// stentor-controller: gives addresses of pools to Services of type LoadBalancer.

#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "common/io/admin.h"
#include "common/io/client_config.h"
#include "common/io/cpprest_transport.h"
#include "common/io/event_loop.h"
#include "common/io/json_log.h"
#include "common/io/kube_client.h"
#include "common/io/memory.h"
#include "controller/app/controller.h"
#include "controller/app/flags.h"
#include "controller/app/validate_command.h"

int main(int argc, char** argv) {
  using namespace stentor;  // NOLINT(google-build-using-namespace): the composition root

  if (argc > 1 && std::string_view(argv[1]) == "validate") {
    return controller::RunValidate(argc - 1, argv + 1);
  }
  io::GiveMemoryBack();
  io::InitializeTransportThreads();
  controller::Flags flags;
  const io::ParseOutcome outcome = controller::ParseFlags(argc, argv, flags);
  if (!outcome.go_on) {
    return outcome.exit_status;
  }
  flags.common.name_space = io::ResolveNamespace(flags.common);
  flags.webhooks.name_space = flags.common.name_space;
  flags.webhooks.tls = flags.common.admin.tls;

  io::JsonLog sink("stentor-controller");
  const obs::Logger log(sink, flags.common.log_level);
  const auto config = io::LoadClientConfig(flags.common.kubeconfig);
  if (!config.ok()) {
    log.Log(obs::Event::kStartFailed, std::string(config.status().message()));
    return 1;
  }
  log.Log(obs::Event::kStarting, "stentor-controller starts",
          {{"server", config->server}, {"namespace", flags.common.name_space}});
  io::ReportIgnored(flags.common, log);

  io::EventLoop loop;
  const auto client = io::KubeClient::Connect(loop, *config);
  if (!client.ok()) {
    log.Log(obs::Event::kStartFailed, std::string(client.status().message()));
    return 1;
  }
  io::Admin admin(loop, **client, log, flags.common.admin);
  controller::Controller controller(flags, loop, **client, log, admin.health());
  bool stopping = false;
  loop.HandleSignals([&](int signal) {
    log.Log(obs::Event::kStopping, StrCat("signal ", signal));
    if (std::exchange(stopping, true)) {
      loop.Stop();  // asked twice: at once
    } else {
      controller.Stop([&loop] { loop.Stop(); });
    }
  });
  const absl::Status served =
      admin.Start([&controller](obs::MetricSet& metrics) { controller.Collect(metrics); });
  if (!served.ok()) {
    log.Log(obs::Event::kStartFailed, std::string(served.message()));
    return 1;
  }
  if (const absl::Status started = controller.Start(); !started.ok()) {
    log.Log(obs::Event::kStartFailed, std::string(started.message()));
    return 1;
  }
  const io::MemoryKeeper memory(loop);
  loop.Run();
  return 0;
}
