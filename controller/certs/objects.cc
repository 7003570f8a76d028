// SPDX-License-Identifier: Apache-2.0
#include "controller/certs/objects.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"

namespace stentor::controller {
namespace {

using kube::Member;
using kube::TextMember;
using nlohmann::json;

constexpr std::size_t kMaxPlaces = 100;
constexpr std::string_view kFieldManager = "stentor-controller";

// What base64 stands for; nothing where it is none.
std::string Octets(const json& object, const char* key) {
  std::string out;
  return absl::Base64Unescape(TextMember(object, key), &out) ? out : std::string();
}

std::string Base64(std::string_view octets) {
  std::string out;
  absl::Base64Escape(AbslView(octets), &out);
  return out;
}

absl::Status ReadIdentity(const json& object, std::string* uid, std::string* resource_version) {
  *uid = kube::UidOf(object);
  *resource_version = TextMember(Member(object, "metadata"), "resourceVersion");
  if (uid->empty() || resource_version->empty()) {
    return absl::InvalidArgumentError("an object without metadata.uid or resourceVersion");
  }
  return absl::OkStatus();
}

json DataOf(const SecretChange& change) {
  json data = {{"tls.crt", Base64(change.tls_crt)}, {"tls.key", Base64(change.tls_key)}};
  if (change.ca_crt) {
    data["ca.crt"] = Base64(*change.ca_crt);
  }
  if (change.ca_key) {
    data["ca.key"] = Base64(*change.ca_key);
  }
  return data;
}

std::string SecretsPath(const model::ObjectKey& key) {
  return StrCat("/api/v1/namespaces/", key.name_space, "/secrets");
}

}  // namespace

absl::StatusOr<WebhookSecret> DecodeWebhookSecret(const json& json_object) {
  WebhookSecret secret;
  if (const absl::Status status = ReadIdentity(json_object, &secret.uid, &secret.resource_version);
      !status.ok()) {
    return status;
  }
  const json& data = Member(json_object, "data");
  secret.ca_crt = Octets(data, "ca.crt");
  secret.ca_key = Octets(data, "ca.key");
  secret.tls_crt = Octets(data, "tls.crt");
  secret.tls_key = Octets(data, "tls.key");
  return secret;
}

absl::StatusOr<TargetObject> DecodeTarget(TargetKind kind, const json& json_object) {
  TargetObject target;
  if (const absl::Status status = ReadIdentity(json_object, &target.uid, &target.resource_version);
      !status.ok()) {
    return status;
  }
  if (kind == TargetKind::kConversion) {
    const json& conversion = Member(Member(json_object, "spec"), "conversion");
    const json& client = Member(Member(conversion, "webhook"), "clientConfig");
    if (TextMember(conversion, "strategy") == "Webhook") {
      target.places.push_back({.bundle = Octets(client, "caBundle")});
    }
    return target;
  }
  const json& webhooks = Member(json_object, "webhooks");
  if (!webhooks.is_array()) {
    return target;
  }
  for (const json& webhook : webhooks) {
    std::string name = TextMember(webhook, "name");
    const bool is_new = std::none_of(target.places.begin(), target.places.end(),
                                     [&name](const auto& place) { return place.webhook == name; });
    if (!name.empty() && is_new && target.places.size() < kMaxPlaces) {
      target.places.push_back({.webhook = std::move(name),
                               .bundle = Octets(Member(webhook, "clientConfig"), "caBundle")});
    }
  }
  return target;
}

kube::Request CreateSecretRequest(const model::ObjectKey& key, const SecretChange& content) {
  return {.method = "POST",
          .path = SecretsPath(key),
          .body = kube::DumpJson({{"apiVersion", "v1"},
                                  {"kind", "Secret"},
                                  {"metadata", {{"name", key.name}, {"namespace", key.name_space}}},
                                  {"type", "Opaque"},
                                  {"data", DataOf(content)}})};
}

kube::Request PatchSecretRequest(const model::ObjectKey& key, const WebhookSecret& current,
                                 const SecretChange& change) {
  return {.method = "PATCH",
          .path = StrCat(SecretsPath(key), "/", key.name),
          .content_type = "application/merge-patch+json",
          .body = kube::DumpJson(
              {{"metadata", {{"uid", current.uid}, {"resourceVersion", current.resource_version}}},
               {"data", DataOf(change)}})};
}

std::string TargetPath(const BundleTarget& target) {
  return StrCat(target.kind == TargetKind::kConversion
                    ? "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
                    : "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/",
                target.name);
}

kube::Request InjectRequest(const BundleTarget& target, const TargetObject& current,
                            std::string_view bundle) {
  STENTOR_CHECK(!current.places.empty()) << target.name << " has no place for a bundle";
  const json client = {{"clientConfig", {{"caBundle", Base64(bundle)}}}};
  json body = {{"metadata",
                {{"name", target.name},
                 {"uid", current.uid},
                 {"resourceVersion", current.resource_version}}}};
  if (target.kind == TargetKind::kConversion) {
    body["apiVersion"] = "apiextensions.k8s.io/v1";
    body["kind"] = "CustomResourceDefinition";
    body["spec"] = {{"conversion", {{"webhook", client}}}};
  } else {
    body["apiVersion"] = "admissionregistration.k8s.io/v1";
    body["kind"] = "ValidatingWebhookConfiguration";
    body["webhooks"] = json::array();
    for (const TargetObject::Place& place : current.places) {
      json webhook = client;
      webhook["name"] = place.webhook;
      body["webhooks"].push_back(std::move(webhook));
    }
  }
  return {.method = "PATCH",
          .path = StrCat(TargetPath(target), "?fieldManager=", kFieldManager, "&force=true"),
          .content_type = "application/apply-patch+yaml",  // JSON is YAML
          .body = kube::DumpJson(body)};
}

}  // namespace stentor::controller
