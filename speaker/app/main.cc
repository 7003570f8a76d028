// SPDX-License-Identifier: Apache-2.0

/// \file
/// stentor-speaker: answers ARP for the addresses whose election this node wins.

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/yaml.h"
#include "common/io/admin.h"
#include "common/io/client_config.h"
#include "common/io/cpprest_transport.h"
#include "common/io/event_loop.h"
#include "common/io/json_log.h"
#include "common/io/kube_client.h"
#include "speaker/app/flags.h"
#include "speaker/app/speaker.h"

namespace stentor::speaker {
namespace {

// Where MetalLB's manifests mount the ConfigMap metallb-excludel2.
constexpr const char* kExcludeFile = "/etc/metallb/excludel2.yaml";
constexpr const char* kExcludeKey = "announcedInterfacesToExclude";

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return std::nullopt;
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

absl::StatusOr<NameFilter> LoadExcludedInterfaces() {
  const auto text = ReadFile(kExcludeFile);
  if (!text) {
    return NameFilter::Compile(DefaultExcludedInterfaces());
  }
  const auto fail = [](std::string_view why) {
    return absl::InvalidArgumentError(StrCat(kExcludeFile, ": ", why));
  };
  const auto yaml = config::ParseYaml(*text);
  if (!yaml.ok()) {
    return fail(std::string(yaml.status().message()));
  }
  std::vector<std::string> patterns;
  if (yaml->is_object() && yaml->contains(kExcludeKey)) {
    const nlohmann::json& list = (*yaml)[kExcludeKey];
    if (!list.is_array()) {
      return fail(StrCat(kExcludeKey, " is not a list"));
    }
    for (const nlohmann::json& item : list) {
      if (!item.is_string()) {
        return fail(StrCat(kExcludeKey, " has an item that is not text"));
      }
      patterns.push_back(item.get<std::string>());
    }
  }
  auto filter = NameFilter::Compile(patterns);
  return filter.ok() ? std::move(filter) : fail(std::string(filter.status().message()));
}

absl::StatusOr<std::string> LoadMemberKey(const Flags& flags) {
  if (flags.member_key_path.empty()) {
    return flags.member_key;
  }
  const std::string path = flags.member_key_path + "/secretkey";
  const auto key = ReadFile(path);
  if (!key) {
    return absl::NotFoundError(
        StrCat(path,
               " cannot be read: mount the Secret that --ml-secret-name of the controller "
               "names, or leave --ml-secret-key-path away"));
  }
  return *key;
}

absl::Status Run(Flags flags, const obs::Logger& log) {
  STENTOR_ASSIGN_OR_RETURN(const config::ClientConfig config,
                           io::LoadClientConfig(flags.common.kubeconfig));
  STENTOR_ASSIGN_OR_RETURN(NameFilter excluded, LoadExcludedInterfaces());
  STENTOR_ASSIGN_OR_RETURN(std::string key, LoadMemberKey(flags));
  log.Log(obs::Event::kStarting, "stentor-speaker starts",
          {{"server", config.server},
           {"namespace", flags.common.name_space},
           {"node", flags.node_name}});
  io::ReportIgnored(flags.common, log);

  io::EventLoop loop;
  STENTOR_ASSIGN_OR_RETURN(const auto client, io::KubeClient::Connect(loop, config));
  // Probes come from the kubelet of this node.
  flags.common.admin.probe_address = "127.0.0.1";
  io::Admin admin(loop, *client, log, flags.common.admin);
  SpeakerApp app({.flags = std::move(flags),
                  .excluded_interfaces = std::move(excluded),
                  .member_key = std::move(key)},
                 loop, *client, log, admin.health());
  STENTOR_RETURN_IF_ERROR(admin.Start([&app](obs::MetricSet& metrics) { app.Collect(metrics); }));
  STENTOR_RETURN_IF_ERROR(app.Start());
  loop.HandleSignals([&app, &log](int signal) {
    log.Log(obs::Event::kStopping, StrCat("signal ", signal));
    app.Stop();
  });
  loop.Run();
  return absl::OkStatus();
}

}  // namespace
}  // namespace stentor::speaker

int main(int argc, char** argv) {
  using namespace stentor;  // NOLINT(google-build-using-namespace): the composition root

  io::InitializeTransportThreads();
  speaker::Flags flags;
  const io::ParseOutcome outcome = speaker::ParseFlags(argc, argv, flags);
  if (!outcome.go_on) {
    return outcome.exit_status;
  }
  flags.common.name_space = io::ResolveNamespace(flags.common);

  io::JsonLog sink("stentor-speaker");
  const obs::Logger log(sink, flags.common.log_level);
  if (const absl::Status status = speaker::Run(std::move(flags), log); !status.ok()) {
    log.Log(obs::Event::kStartFailed, std::string(status.message()));
    return 1;
  }
  return 0;
}
