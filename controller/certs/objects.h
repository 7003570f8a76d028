// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The Kubernetes objects around the webhooks' certificates: what is read of them, and the requests
/// that write them. The Secret is the one that MetalLB's cert-controller keeps: the same four keys,
/// so that either program goes on with what the other left.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/kube/transport.h"
#include "common/model/objects.h"

namespace stentor::controller {

/// What counts of the Secret: its data, base64 taken off. Absent keys are empty.
struct WebhookSecret {
  std::string uid;
  std::string resource_version;
  std::string ca_crt;   ///< The CA that signs, then older ones that are still to be trusted.
  std::string ca_key;   ///< The first one's.
  std::string tls_crt;  ///< The serving certificate.
  std::string tls_key;
};

/// New values; what is absent stays as it is, as do all other keys and the metadata.
struct SecretChange {
  std::optional<std::string> ca_crt;
  std::optional<std::string> ca_key;
  std::string tls_crt;
  std::string tls_key;
};

/// Where the CA bundle goes.
enum class TargetKind : std::uint8_t {
  kValidatingWebhooks,  ///< webhooks[*].clientConfig.caBundle of a ValidatingWebhookConfiguration
  kConversion,  ///< spec.conversion.webhook.clientConfig.caBundle of a CustomResourceDefinition
};

struct BundleTarget {
  TargetKind kind = TargetKind::kValidatingWebhooks;
  std::string name;
};

/// What counts of a target: each place for a bundle, and what it holds.
struct TargetObject {
  struct Place {
    std::string webhook;  ///< Its name; empty in a CustomResourceDefinition.
    std::string bundle;   ///< PEM, as the API server has it, base64 taken off.
  };
  std::string uid;
  std::string resource_version;
  /// Of a CustomResourceDefinition: none, unless it is converted by a webhook.
  std::vector<Place> places;
};

/// Errors: InvalidArgument where the object has no uid or resourceVersion. Data that is no base64
/// reads as absent, and so is replaced.
[[nodiscard]] absl::StatusOr<WebhookSecret> DecodeWebhookSecret(const nlohmann::json& json);
[[nodiscard]] absl::StatusOr<TargetObject> DecodeTarget(TargetKind kind,
                                                        const nlohmann::json& json);

/// `POST`: a new Secret. AlreadyExists where somebody else was first.
[[nodiscard]] kube::Request CreateSecretRequest(const model::ObjectKey& key,
                                                const SecretChange& content);

/// `PATCH` (merge) of `current`, which fails with Aborted where the Secret has changed since.
[[nodiscard]] kube::Request PatchSecretRequest(const model::ObjectKey& key,
                                               const WebhookSecret& current,
                                               const SecretChange& change);

/// Server-side apply of the caBundle fields and nothing else, forced, since kubectl, Helm or
/// MetalLB may own them. Webhooks are a list keyed by name, so each is named; required fields are
/// demanded of the merged object only. uid and resourceVersion are those of `current`: apply would
/// otherwise create what does not exist, or complete a webhook that was just taken away. Both fail
/// with Aborted (seen in apiserver 0.34, endpoints/handlers/patch.go: "uid mismatch").
/// Precondition: `current` has places.
[[nodiscard]] kube::Request InjectRequest(const BundleTarget& target, const TargetObject& current,
                                          std::string_view bundle);

/// `/apis/…/NAME` of the object, without a query.
[[nodiscard]] std::string TargetPath(const BundleTarget& target);

}  // namespace stentor::controller
