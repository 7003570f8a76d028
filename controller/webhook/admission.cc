// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/admission.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_cursor.h"

namespace stentor::controller {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxUid = 256;  // a UUID has 36 octets
// k8s.io/apiserver, pkg/warning: what is longer is cut off, or left out, there.
constexpr std::size_t kMaxWarning = 256;
constexpr std::size_t kMaxWarnings = 4096;
// A refusal may quote what it refuses, which may be as long as an object.
constexpr std::size_t kMaxMessage = 8192;

Operation OperationOf(std::string_view text) {
  if (text == "CREATE") {
    return Operation::kCreate;
  }
  if (text == "UPDATE") {
    return Operation::kUpdate;
  }
  return text == "DELETE" ? Operation::kDelete : Operation::kOther;
}

// Moves a member out; null where there is none.
json Take(json& object, const char* key) {
  const auto member = object.find(key);
  return member == object.end() ? json(nullptr) : std::move(*member);
}

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

}  // namespace

Verdict Denied(std::string message) {
  return {.allowed = false, .code = 403, .message = std::move(message)};
}

Verdict Unreadable(std::string message) {
  return {.allowed = false, .code = 400, .message = std::move(message)};
}

absl::StatusOr<AdmissionRequest> DecodeAdmissionReview(json review) {
  absl::Status error;
  AdmissionRequest request;
  {
    const kube::JsonCursor root(review, &error);
    if (!review.is_object()) {
      root.Fail("an AdmissionReview");
    }
    request.api_version = root.At("apiVersion").String();
    const std::string kind = root.At("kind").String();
    const kube::JsonCursor body = root.At("request");
    request.uid = body.At("uid").String();
    request.operation = OperationOf(body.At("operation").String());
    request.kind = body.At("kind").At("kind").String();
    request.name_space = body.At("namespace").String();
    request.name = body.At("name").String();
    STENTOR_RETURN_IF_ERROR(error);
    if (kind != "AdmissionReview" || (request.api_version != "admission.k8s.io/v1" &&
                                      request.api_version != "admission.k8s.io/v1beta1")) {
      return Invalid(
          "expected kind AdmissionReview of admission.k8s.io/v1 or admission.k8s.io/v1beta1");
    }
    if (!body.IsPresent()) {
      return Invalid("request: expected an object");
    }
  }
  if (request.uid.empty() || request.uid.size() > kMaxUid) {
    return Invalid(StrCat("request.uid: expected 1 to ", kMaxUid, " octets"));
  }
  json& body = review["request"];
  request.object = Take(body, "object");
  request.old_object = Take(body, "oldObject");
  return request;
}

std::string EncodeAdmissionReview(const AdmissionRequest& request, const Verdict& verdict) {
  json status = {{"code", verdict.code}};
  if (!verdict.allowed) {
    status["status"] = "Failure";
    status["reason"] = verdict.code == 403 ? "Forbidden" : "BadRequest";
    status["message"] = CutText(verdict.message, kMaxMessage);
  }
  json response = {
      {"uid", request.uid}, {"allowed", verdict.allowed}, {"status", std::move(status)}};
  std::size_t left = kMaxWarnings;
  for (const std::string& warning : verdict.warnings) {
    std::string text = CutText(warning, std::min(left, kMaxWarning));
    if (text.empty()) {
      continue;
    }
    left -= text.size();
    response["warnings"].push_back(std::move(text));
  }
  return kube::DumpJson({{"apiVersion", request.api_version},
                         {"kind", "AdmissionReview"},
                         {"response", std::move(response)}});
}

}  // namespace stentor::controller
