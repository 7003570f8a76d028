// SPDX-License-Identifier: Apache-2.0
#include "controller/app/flags.h"

#include <CLI/CLI.hpp>

namespace stentor::controller {

io::ParseOutcome ParseFlags(int argc, char** argv, Flags& flags) {
  using io::AddIgnoredFlag;
  using io::IgnoredFlag;

  CLI::App app("Gives addresses of IPAddressPools to Services of type LoadBalancer.",
               "stentor-controller");
  io::AddCommonFlags(app, flags.common, STENTOR_VERSION);
  app.add_option("--ml-secret-name", flags.memberlist_secret,
                 "Secret with the key of the speakers' membership; made where it is missing")
      ->envname("METALLB_ML_SECRET_NAME");
  app.add_option("--deployment", flags.deployment,
                 "Deployment of this controller, which becomes the owner of that Secret")
      ->envname("METALLB_DEPLOYMENT");
  AddIgnoredFlag(app, flags.common, "--disable-cert-rotation", IgnoredFlag::kSwitch,
                 "Use certificates from elsewhere for the webhooks");
  AddIgnoredFlag(app, flags.common, "--cert-dir", IgnoredFlag::kText,
                 "Folder of the webhooks' certificate");
  AddIgnoredFlag(app, flags.common, "--cert-service-name", IgnoredFlag::kText,
                 "Service that leads to the webhooks");
  AddIgnoredFlag(app, flags.common, "--webhook-mode", IgnoredFlag::kText,
                 "enabled, disabled or onlywebhook");
  AddIgnoredFlag(app, flags.common, "--webhook-secret", IgnoredFlag::kText,
                 "Secret of the webhooks' certificate");
  AddIgnoredFlag(app, flags.common, "--webhook-http2", IgnoredFlag::kSwitch,
                 "Serve the webhooks over HTTP/2");
  return io::Parse(app, argc, argv);
}

}  // namespace stentor::controller
