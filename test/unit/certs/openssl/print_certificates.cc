// SPDX-License-Identifier: Apache-2.0

/// \file
/// Prints, as JSON, what the webhooks' Secret holds when it is made, and after its CA was renewed
/// in time; openssl_test.py has openssl(1) judge it. Argument: seconds since 1970 of the first.

#include <cstdlib>
#include <iostream>
#include <random>

#include <nlohmann/json.hpp>

#include "controller/certs/policy.h"

namespace {

using namespace stentor::controller;

nlohmann::json Print(const WebhookSecret& secret, std::chrono::sys_seconds at) {
  return {{"at", at.time_since_epoch().count()},
          {"ca.crt", secret.ca_crt},
          {"ca.key", secret.ca_key},
          {"tls.crt", secret.tls_crt},
          {"tls.key", secret.tls_key}};
}

WebhookSecret Make(const WebhookSecret& before, std::chrono::sys_seconds at) {
  static std::random_device device;
  const auto change = Issue(Renewal::What::kAll, ReadMaterial(before), {},
                            {.name = "metallb-webhook-service", .name_space = "metallb-system"}, at,
                            [](std::span<std::byte> out) {
                              for (std::byte& octet : out) {
                                octet = static_cast<std::byte>(device());
                              }
                            });
  return {.ca_crt = change.value().ca_crt.value(),
          .ca_key = change->ca_key.value(),
          .tls_crt = change->tls_crt,
          .tls_key = change->tls_key};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    return 2;
  }
  const std::chrono::sys_seconds first_at(std::chrono::seconds(std::strtoll(argv[1], nullptr, 10)));
  const std::chrono::sys_seconds second_at = first_at + kCaLifetime - std::chrono::days(89);
  const WebhookSecret first = Make({}, first_at);
  const WebhookSecret second = Make(first, second_at);
  std::cout << nlohmann::json::array({Print(first, first_at), Print(second, second_at)}) << "\n";
  return 0;
}
