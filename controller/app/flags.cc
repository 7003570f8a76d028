// SPDX-License-Identifier: Apache-2.0
#include "controller/app/flags.h"

#include <CLI/CLI.hpp>

namespace stentor::controller {
namespace {

void AddWebhookFlags(CLI::App& app, Flags& flags) {
  using io::AddIgnoredFlag;
  using io::IgnoredFlag;

  WebhookSettings& webhooks = flags.webhooks;
  app.add_option_function<std::string>(
         "--webhook-mode",
         [&flags](const std::string& text) {
           if (text == "enabled") {
             flags.webhook_mode = WebhookMode::kEnabled;
           } else if (text == "disabled") {
             flags.webhook_mode = WebhookMode::kDisabled;
           } else if (text == "onlywebhook") {
             flags.webhook_mode = WebhookMode::kOnly;
           } else {
             throw CLI::ValidationError("--webhook-mode",
                                        "must be enabled, disabled or onlywebhook, not " + text);
           }
         },
         "Whether the webhooks are served: enabled (default), disabled, or onlywebhook, which "
         "serves them and does nothing else")
      ->type_name("MODE");
  app.add_option("--webhook-port", webhooks.port, "Port on which the webhooks are served")
      ->capture_default_str();
  app.add_option("--webhook-secret", webhooks.secret_name,
                 "Secret of the webhooks' certificates; made and renewed")
      ->capture_default_str();
  app.add_option("--cert-service-name", webhooks.service_name,
                 "Service that leads to the webhooks; their certificate is for it")
      ->capture_default_str();
  app.add_flag("--disable-cert-rotation", webhooks.external_certificates,
               "Use the certificate in --cert-dir, which somebody else keeps and the API server is "
               "told of; read again when it changes");
  app.add_option("--cert-dir", webhooks.certificate_folder,
                 "Folder with tls.crt and tls.key of the webhooks, with --disable-cert-rotation")
      ->capture_default_str();
  AddIgnoredFlag(app, flags.common, "--webhook-http2", IgnoredFlag::kSwitch,
                 "Serve the webhooks over HTTP/2");
  // Each of MetalLB's implementations of BGP refuses what only another one can do. Where none is
  // named, nothing is refused for that.
  app.add_option_function<std::string>(
         "--bgp-type",
         [&webhooks](const std::string& text) {
           if (text == "native") {
             webhooks.bgp_mode = BgpMode::kNative;
           } else if (text == "frr" || text == "frr-k8s") {
             webhooks.bgp_mode = BgpMode::kFrr;
           } else if (!text.empty()) {
             throw CLI::ValidationError("METALLB_BGP_TYPE",
                                        "must be native, frr or frr-k8s, not " + text);
           }
         },
         "Which of MetalLB's implementations of BGP the objects have to suit: native, frr or "
         "frr-k8s; default: any of them. BGP itself is not spoken")
      ->envname("METALLB_BGP_TYPE")
      ->type_name("TYPE");
}

}  // namespace

io::ParseOutcome ParseFlags(int argc, char** argv, Flags& flags) {
  CLI::App app(
      "Gives addresses of IPAddressPools to Services of type LoadBalancer.\n"
      "stentor-controller validate -f FILE...: checks manifests without a cluster.",
      "stentor-controller");
  io::AddCommonFlags(app, flags.common, STENTOR_VERSION);
  app.add_option("--ml-secret-name", flags.memberlist_secret,
                 "Secret with the key of the speakers' membership; made where it is missing")
      ->envname("METALLB_ML_SECRET_NAME");
  app.add_option("--deployment", flags.deployment,
                 "Deployment of this controller, which becomes the owner of that Secret")
      ->envname("METALLB_DEPLOYMENT");
  AddWebhookFlags(app, flags);
  return io::Parse(app, argc, argv);
}

}  // namespace stentor::controller
