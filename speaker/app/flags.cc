// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/flags.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/time/time.h"
#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

// Go's spelling of times, as MetalLB's flags have it; empty and 0 mean never.
bool ParseInterval(const std::string& text, Duration& interval) {
  absl::Duration parsed;
  if (text.empty()) {
    return true;
  }
  if (!absl::ParseDuration(AbslView(text), &parsed) ||
      (parsed != absl::ZeroDuration() && parsed < absl::Seconds(1)) || parsed > absl::Hours(24)) {
    return false;
  }
  interval = absl::ToChronoNanoseconds(parsed);
  return true;
}

}  // namespace

io::ParseOutcome ParseFlags(int argc, char** argv, Flags& flags) {
  using io::AddIgnoredFlag;
  using io::IgnoredFlag;

  CLI::App app("Answers ARP and NDP for the addresses of Services whose election this node wins.",
               "stentor-speaker");
  io::AddCommonFlags(app, flags.common, STENTOR_VERSION);
  app.add_option("--node-name", flags.node_name, "Name of the node this runs on (required)")
      ->envname("METALLB_NODE_NAME");
  app.add_option("--pod-uid", flags.pod_uid, "UID of this pod")->envname("STENTOR_POD_UID");
  app.add_option("--ml-bindaddr", flags.member_bind_address,
                 "Address for the datagrams between speakers; without it there is no membership")
      ->envname("METALLB_ML_BIND_ADDR");
  app.add_option("--ml-bindport", flags.member_bind_port, "UDP port for the same")
      ->envname("METALLB_ML_BIND_PORT")
      ->capture_default_str();
  app.add_option("--ml-labels", flags.member_labels, "Label selector of the speakers' pods")
      ->envname("METALLB_ML_LABELS");
  app.add_option("--ml-secret-key-path", flags.member_key_path,
                 "Folder whose file \"secretkey\" is the key that the speakers share; without it "
                 "METALLB_ML_SECRET_KEY")
      ->envname("METALLB_ML_SECRET_KEY_PATH");
  app.add_option("--ml-namespace", flags.member_namespace,
                 "Namespace of the speakers' pods, where --namespace does not say it")
      ->envname("METALLB_ML_NAMESPACE");
  app.add_option("--ml-secret-key", flags.member_key,
                 "The key itself, as MetalLB 0.9 took it; better from METALLB_ML_SECRET_KEY")
      ->envname("METALLB_ML_SECRET_KEY");
  app.add_flag("--ml-wan-config", flags.wan_profile,
               "Slower membership, for speakers on a wide area network: as --ml-profile=wan");
  app.add_option(
         "--ml-profile", flags.member_profile,
         "How soon a silent speaker is given up: lan (0.3 s; the default), fast (0.1 s, for "
         "machines with time to spare), wan (6.5 s). The same on all nodes")
      ->envname("STENTOR_ML_PROFILE")
      ->check(CLI::IsMember({"lan", "fast", "wan"}));
  app.add_option(
         "--ml-config-file", flags.memberlist_file,
         "MetalLB's configuration of its memberlist, where there is one and no --ml-profile: "
         "ProbeInterval, SuspicionMult and IndirectChecks decide how soon a silent speaker is "
         "given up")
      ->envname("STENTOR_ML_CONFIG_FILE")
      ->capture_default_str();
  app.add_flag("--ignore-exclude-lb", flags.ignore_exclude_label,
               "Announce also from nodes with the label "
               "node.kubernetes.io/exclude-from-external-load-balancers");
  app.add_option(
         "--proxy-health", flags.proxy_health,
         "Where this node's service proxy tells how it is, as kube-proxy does; while it was "
         "healthy and is not any more, addresses are left to other nodes. \"off\": nobody is "
         "asked")
      ->envname("STENTOR_PROXY_HEALTH")
      ->capture_default_str();
  app.add_option("--state-dir", flags.state_folder,
                 "Folder in which to keep what the API said last, for a restart while it does not "
                 "answer; without it nothing is kept")
      ->envname("STENTOR_STATE_DIR");
  std::string interval;
  app.add_option("--gratuitous-arp-interval", interval,
                 "Repeat gratuitous ARP and unsolicited neighbour advertisements at this interval "
                 "(30s, 5m); without it they are sent when something changes")
      ->envname("METALLB_GRATUITOUS_ARP_INTERVAL");
  app.add_option("--gratuitous-arp-rate", flags.gratuitous_rate,
                 "Frames a second that tell of addresses, at most")
      ->envname("STENTOR_GRATUITOUS_ARP_RATE")
      ->check(CLI::Range(10, 1'000'000))
      ->capture_default_str();
  AddIgnoredFlag(app, flags.common, "--host", IgnoredFlag::kText, "Address of this host");
  AddIgnoredFlag(app, flags.common, "--bgp-debounce-timeout", IgnoredFlag::kText,
                 "Milliseconds between BGP configurations");
  AddIgnoredFlag(app, flags.common, "--frrk8s-namespace", IgnoredFlag::kText,
                 "Namespace of frr-k8s");
  AddIgnoredFlag(app, flags.common, "--frrk8s-secret-passthrough", IgnoredFlag::kSwitch,
                 "How BGP passwords reach frr-k8s");

  const io::ParseOutcome outcome = io::Parse(app, argc, argv);
  if (outcome.go_on && flags.node_name.empty()) {
    std::fprintf(stderr,
                 "stentor-speaker: the node's name is missing: set --node-name or "
                 "METALLB_NODE_NAME (spec.nodeName of the pod)\n");
    return {.go_on = false, .exit_status = 2};
  }
  if (outcome.go_on && !ParseInterval(interval, flags.gratuitous_interval)) {
    std::fprintf(stderr,
                 "stentor-speaker: --gratuitous-arp-interval (METALLB_GRATUITOUS_ARP_INTERVAL): "
                 "\"%s\" is no time between 1s and 24h, as 30s or 5m\n",
                 interval.c_str());
    return {.go_on = false, .exit_status = 2};
  }
  if (flags.proxy_health == "off") {
    flags.proxy_health.clear();
  }
  if (flags.common.name_space.empty()) {
    flags.common.name_space = flags.member_namespace;
  }
  return outcome;
}

}  // namespace stentor::speaker
