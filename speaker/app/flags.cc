// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/flags.h"

#include <CLI/CLI.hpp>
#include <cstdio>

namespace stentor::speaker {

io::ParseOutcome ParseFlags(int argc, char** argv, Flags& flags) {
  using io::AddIgnoredFlag;
  using io::IgnoredFlag;

  CLI::App app("Answers ARP for the addresses of Services whose election this node wins.",
               "stentor-speaker");
  io::AddCommonFlags(app, flags.common, STENTOR_VERSION);
  app.add_option("--node-name", flags.node_name, "Name of the node this runs on (required)")
      ->envname("METALLB_NODE_NAME");
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
               "Slower membership, for speakers on a wide area network");
  app.add_flag("--ignore-exclude-lb", flags.ignore_exclude_label,
               "Announce also from nodes with the label "
               "node.kubernetes.io/exclude-from-external-load-balancers");
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
  if (flags.common.name_space.empty()) {
    flags.common.name_space = flags.member_namespace;
  }
  return outcome;
}

}  // namespace stentor::speaker
