// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// As much of an API server as the certificates' requests need: one Secret, a
/// ValidatingWebhookConfiguration and a CustomResourceDefinition; uid and resourceVersion are
/// checked as the real one does (test/kubernetes has the real one).

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "controller/certs/objects.h"
#include "controller/certs/policy.h"
#include "test/support/catch.h"

namespace stentor::controller {

inline const BundleTarget kWebhooks{.kind = TargetKind::kValidatingWebhooks,
                                    .name = "metallb-webhook-configuration"};
inline const BundleTarget kPeers{.kind = TargetKind::kConversion, .name = "bgppeers.metallb.io"};
inline const model::ObjectKey kSecretKey{.name_space = "metallb-system",
                                         .name = "metallb-webhook-cert"};
inline const WebhookService kService{.name = "metallb-webhook-service",
                                     .name_space = "metallb-system"};

class FakeCluster {
 public:
  using Json = nlohmann::json;

  FakeCluster() {
    MakeSecret();
    MakeWebhooks();
    peers_ = {{"metadata", Identity("bgppeers.metallb.io")},
              {"spec",
               {{"conversion",
                 {{"strategy", "Webhook"},
                  {"webhook",
                   {{"clientConfig", {{"service", {{"name", "x"}}}}},
                    {"conversionReviewVersions", {"v1"}}}}}}}}};
  }

  /// As shipped: without data.
  void MakeSecret() {
    secret_ = Json{{"metadata", Identity("metallb-webhook-cert")}, {"type", "Opaque"}};
  }
  void MakeWebhooks() {
    webhooks_ = Json{{"metadata", Identity("metallb-webhook-configuration")}};
    for (const char* name : {"a.metallb.io", "b.metallb.io"}) {
      (*webhooks_)["webhooks"].push_back({{"name", name},
                                          {"sideEffects", "None"},
                                          {"clientConfig", {{"service", {{"name", "x"}}}}}});
    }
  }
  void DeleteSecret() { secret_.reset(); }
  void DeleteWebhooks() { webhooks_.reset(); }
  void WipeBundles() {
    if (webhooks_) {
      for (Json& webhook : (*webhooks_)["webhooks"]) {
        webhook["clientConfig"].erase("caBundle");
      }
      Touch(*webhooks_);
    }
  }
  void EditSecret(const char* key, const std::string& base64) {
    if (secret_) {
      (*secret_)["data"][key] = base64;
      Touch(*secret_);
    }
  }
  void PutSecret(const WebhookSecret& content) {
    DeleteSecret();
    const absl::Status status =
        Apply(CreateSecretRequest(kSecretKey, {.ca_crt = content.ca_crt,
                                               .ca_key = content.ca_key,
                                               .tls_crt = content.tls_crt,
                                               .tls_key = content.tls_key}));
    REQUIRE(status.ok());
  }

  [[nodiscard]] std::optional<WebhookSecret> Secret() const {
    return secret_ ? std::optional(DecodeWebhookSecret(*secret_).value()) : std::nullopt;
  }
  [[nodiscard]] std::optional<TargetObject> Target(std::size_t index) const {
    if (index == 0) {
      return webhooks_ ? std::optional(DecodeTarget(kWebhooks.kind, *webhooks_).value())
                       : std::nullopt;
    }
    return DecodeTarget(kPeers.kind, peers_).value();
  }
  /// Grows with each change.
  [[nodiscard]] int version() const { return version_; }
  [[nodiscard]] int secret_writes() const { return secret_writes_; }
  [[nodiscard]] int injections() const { return injections_; }

  absl::Status Apply(const kube::Request& request) {
    const Json body = Json::parse(request.body);
    const bool is_secret = request.path.find("/secrets") != std::string::npos;
    if (request.method == "POST") {
      if (secret_) {
        return absl::AlreadyExistsError("exists");
      }
      MakeSecret();
      (*secret_)["data"] = body["data"];
      ++secret_writes_;
      return absl::OkStatus();
    }
    REQUIRE(request.method == "PATCH");
    const bool is_peers = request.path.find("customresource") != std::string::npos;
    Json* const object = is_peers                  ? &peers_
                         : is_secret && secret_    ? &*secret_
                         : !is_secret && webhooks_ ? &*webhooks_
                                                   : nullptr;
    if (object == nullptr) {
      return is_secret ? absl::NotFoundError("gone") : absl::AbortedError("uid mismatch");
    }
    for (const char* key : {"uid", "resourceVersion"}) {
      if (body["metadata"][key] != (*object)["metadata"][key]) {
        return absl::AbortedError("conflict");
      }
    }
    if (is_secret) {
      REQUIRE(request.content_type == "application/merge-patch+json");
      object->merge_patch(body);
      ++secret_writes_;
    } else {
      REQUIRE(request.content_type == "application/apply-patch+yaml");
      REQUIRE(request.path.find("?fieldManager=stentor-controller&force=true") !=
              std::string::npos);
      ++injections_;
      ServerSideApply(*object, body);
    }
    Touch(*object);
    return absl::OkStatus();
  }

 private:
  void Touch(Json& object) { object["metadata"]["resourceVersion"] = std::to_string(++version_); }
  Json Identity(const std::string& name) {
    ++version_;
    return {{"name", name},
            {"uid", "uid-" + std::to_string(version_)},
            {"resourceVersion", std::to_string(version_)}};
  }
  static void ServerSideApply(Json& object, const Json& body) {
    if (body.contains("spec")) {
      object.merge_patch({{"spec", body["spec"]}});
      return;
    }
    for (const Json& webhook : body["webhooks"]) {
      bool found = false;
      for (Json& own : object["webhooks"]) {
        if (own["name"] == webhook["name"]) {
          own.merge_patch(webhook);
          found = true;
        }
      }
      REQUIRE(found);  // the real one would make a webhook without its required fields, and refuse
    }
  }

  int version_ = 0;
  int secret_writes_ = 0;
  int injections_ = 0;
  std::optional<Json> secret_;
  std::optional<Json> webhooks_;
  Json peers_;
};

}  // namespace stentor::controller
