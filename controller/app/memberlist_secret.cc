// SPDX-License-Identifier: Apache-2.0
#include "controller/app/memberlist_secret.h"

#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"

namespace stentor::controller {
namespace {

constexpr std::size_t kKeyOctets = 16;

// The value of the key itself, before the API's own base64: MetalLB's speakers take it as text.
std::string NewKey() {
  std::string octets(kKeyOctets, '\0');
  io::FillRandom(std::as_writable_bytes(std::span(octets)));
  std::string text;
  absl::Base64Escape(octets, &text);
  while (!text.empty() && text.back() == '=') {
    text.pop_back();
  }
  return text;
}

std::string SecretBody(const MemberlistSecret& secret, const std::string& owner_uid) {
  nlohmann::json body = {{"apiVersion", "v1"},
                         {"kind", "Secret"},
                         {"metadata", {{"name", secret.name}, {"namespace", secret.name_space}}},
                         {"stringData", {{"secretkey", NewKey()}}}};
  if (!owner_uid.empty()) {
    body["metadata"]["ownerReferences"] = {{{"apiVersion", "apps/v1"},
                                            {"kind", "Deployment"},
                                            {"name", secret.deployment},
                                            {"uid", owner_uid}}};
  }
  return body.dump();
}

void Create(io::KubeClient& client, const obs::Logger& log, const MemberlistSecret& secret,
            const std::string& owner_uid, const std::function<void(const absl::Status&)>& failed) {
  const std::string name = secret.name_space + "/" + secret.name;
  client.Request({.method = "POST",
                  .path = StrCat("/api/v1/namespaces/", secret.name_space, "/secrets"),
                  .body = SecretBody(secret, owner_uid)},
                 [&log, name, failed](const absl::StatusOr<kube::Response>& response) {
                   const absl::Status status = kube::StatusOf(response);
                   if (status.ok()) {
                     log.Log(obs::Event::kMemberlistSecretCreated,
                             StrCat("Secret ", name, " did not exist and has been created"));
                   } else if (!absl::IsAlreadyExists(status)) {
                     failed(Annotate(status, StrCat("Secret ", name, " could not be created")));
                   }
                 });
}

}  // namespace

void CreateMemberlistSecret(io::KubeClient& client, const obs::Logger& log,
                            const MemberlistSecret& secret,
                            std::function<void(const absl::Status& why)> failed) {
  if (secret.deployment.empty()) {
    Create(client, log, secret, "", failed);
    return;
  }
  client.Request({.path = StrCat("/apis/apps/v1/namespaces/", secret.name_space, "/deployments/",
                                 secret.deployment)},
                 [&client, &log, secret,
                  failed = std::move(failed)](const absl::StatusOr<kube::Response>& response) {
                   const absl::Status status = kube::StatusOf(response);
                   if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
                     // not without an owner that may well be there
                     failed(Annotate(status, StrCat("Deployment ", secret.deployment)));
                     return;
                   }
                   const auto object = status.ok() ? kube::ParseApiJson(response->body)
                                                   : absl::StatusOr<nlohmann::json>(status);
                   Create(client, log, secret, object.ok() ? kube::UidOf(*object) : "", failed);
                 });
}

}  // namespace stentor::controller
