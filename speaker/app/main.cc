// SPDX-License-Identifier: Apache-2.0

/// \file
/// stentor-speaker: answers ARP and NDP for the addresses whose election this node wins.

#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/escaping.h"
#include "common/base/bytes.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/yaml.h"
#include "common/crypto/sha256.h"
#include "common/io/admin.h"
#include "common/io/client_config.h"
#include "common/io/cpprest_transport.h"
#include "common/io/event_loop.h"
#include "common/io/http_probe.h"
#include "common/io/json_log.h"
#include "common/io/kube_client.h"
#include "common/io/memory.h"
#include "common/io/read_file.h"
#include "speaker/app/flags.h"
#include "speaker/app/speaker.h"
#include "speaker/membership/memberlist_config.h"

namespace stentor::speaker {
namespace {

// Where MetalLB's manifests mount the ConfigMap metallb-excludel2.
constexpr const char* kExcludeFile = "/etc/metallb/excludel2.yaml";
constexpr const char* kExcludeKey = "announcedInterfacesToExclude";
constexpr std::size_t kMaxFileOctets = 1024 * 1024;

absl::StatusOr<NameFilter> LoadExcludedInterfaces() {
  const auto text = io::ReadFile(kExcludeFile, kMaxFileOctets);
  if (absl::IsNotFound(text.status())) {
    return NameFilter::Compile(DefaultExcludedInterfaces());
  }
  STENTOR_RETURN_IF_ERROR(text.status());
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

// What the flag says; else MetalLB's file, as there in place of --ml-wan-config; else that.
Profile LoadMemberProfile(const Flags& flags, const obs::Logger& log) {
  if (const auto named = ProfileNamed(flags.member_profile)) {
    return *named;
  }
  const Profile profile = flags.wan_profile ? WanProfile() : LanProfile();
  const auto text = io::ReadFile(flags.memberlist_file, kMaxFileOctets);
  if (absl::IsNotFound(text.status())) {
    return profile;
  }
  const auto parsed = text.ok() ? ParseMemberlistConfig(*text) : text.status();
  if (!parsed.ok()) {
    log.Log(obs::Event::kMembershipConfigRefused,
            StrCat(flags.memberlist_file, ": ", std::string(parsed.status().message())));
    return profile;
  }
  return *parsed;
}

absl::StatusOr<std::optional<io::HttpTarget>> LoadProxy(const Flags& flags) {
  if (flags.proxy_health.empty()) {
    return std::nullopt;
  }
  auto target = io::ParseHttpTarget(flags.proxy_health);
  if (!target.ok()) {
    return absl::InvalidArgumentError(
        StrCat("--proxy-health: ", std::string(target.status().message())));
  }
  return *std::move(target);
}

// What tells this cluster from others while its API does not answer: whom it is trusted by.
std::string ClusterOf(const config::ClientConfig& config) {
  std::string authority = config.certificate_authority.data;
  if (!config.certificate_authority.file.empty()) {
    authority = io::ReadFile(config.certificate_authority.file, kMaxFileOctets).value_or("");
  }
  const std::string& identity = authority.empty() ? config.server : authority;
  const crypto::Sha256Digest digest = crypto::Sha256(AsBytes(identity));
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

absl::Status Run(Flags flags, const obs::Logger& log) {
  STENTOR_ASSIGN_OR_RETURN(const config::ClientConfig config,
                           io::LoadClientConfig(flags.common.kubeconfig));
  STENTOR_ASSIGN_OR_RETURN(NameFilter excluded, LoadExcludedInterfaces());
  STENTOR_ASSIGN_OR_RETURN(auto proxy, LoadProxy(flags));
  log.Log(obs::Event::kStarting, "stentor-speaker starts",
          {{"server", config.server},
           {"namespace", flags.common.name_space},
           {"node", flags.node_name}});
  io::ReportIgnored(flags.common, log);
  const Profile profile = LoadMemberProfile(flags, log);

  io::EventLoop loop;
  STENTOR_ASSIGN_OR_RETURN(const auto client, io::KubeClient::Connect(loop, config));
  // Probes come from the kubelet of this node.
  flags.common.admin.probe_address = "127.0.0.1";
  io::Admin admin(loop, *client, log, flags.common.admin);
  SpeakerApp app({.flags = std::move(flags),
                  .excluded_interfaces = std::move(excluded),
                  .member_profile = profile,
                  .proxy = std::move(proxy),
                  .cluster = ClusterOf(config)},
                 {.loop = loop, .client = *client, .log = log}, admin.health());
  STENTOR_RETURN_IF_ERROR(admin.Start([&app](obs::MetricSet& metrics) { app.Collect(metrics); }));
  STENTOR_RETURN_IF_ERROR(app.Start());
  loop.HandleSignals([&app, &log](int signal) {
    log.Log(obs::Event::kStopping, StrCat("signal ", signal));
    app.Stop();
  });
  const io::MemoryKeeper memory(loop);
  loop.Run();
  return absl::OkStatus();
}

}  // namespace
}  // namespace stentor::speaker

int main(int argc, char** argv) {
  using namespace stentor;  // NOLINT(google-build-using-namespace): the composition root

  io::GiveMemoryBack();
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
