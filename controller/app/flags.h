// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/io/flags.h"
#include "controller/app/webhooks.h"

namespace stentor::controller {

/// --webhook-mode
enum class WebhookMode : std::uint8_t {
  kEnabled,   ///< Webhooks and Services.
  kDisabled,  ///< Services alone.
  kOnly,      ///< Webhooks alone.
};

/// Command line and environment of the controller.
struct Flags {
  io::CommonFlags common;
  std::string memberlist_secret;  ///< --ml-secret-name; empty: no Secret is made.
  std::string deployment;         ///< --deployment: becomes the owner of that Secret.
  WebhookMode webhook_mode = WebhookMode::kEnabled;
  /// `name_space` and `tls` are not flags of its own: main() fills them from `common`.
  WebhookSettings webhooks = {.service_name = "metallb-webhook-service",
                              .secret_name = "metallb-webhook-cert",
                              .certificate_folder = "/tmp/k8s-webhook-server/serving-certs"};
};

/// Parses into `flags`; see io::Parse() for the outcome.
[[nodiscard]] io::ParseOutcome ParseFlags(int argc, char** argv, Flags& flags);

}  // namespace stentor::controller
