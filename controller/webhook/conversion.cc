// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/conversion.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_cursor.h"

namespace stentor::controller {
namespace {

using nlohmann::json;

constexpr std::string_view kOld = "metallb.io/v1beta1";
constexpr std::string_view kNew = "metallb.io/v1beta2";

// Fields of spec that v1beta1 does not have.
constexpr std::array<const char*, 9> kNewFields = {"localASN",
                                                   "dynamicASN",
                                                   "interface",
                                                   "connectTime",
                                                   "passwordSecret",
                                                   "vrf",
                                                   "disableMP",
                                                   "enableGracefulRestart",
                                                   "dualStackAddressFamily"};

constexpr std::size_t kMaxUid = 256;
constexpr std::size_t kMaxReasons = 10;        // as many objects are named; a list has hundreds
constexpr std::size_t kMaxAnnotation = 65536;  // all annotations may have 256 KiB

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

bool IsVersion(std::string_view version) { return version == kOld || version == kNew; }

// An object's member that is an object itself, made where it is absent; null where it is something
// else, which the API server will refuse.
json* Object(json& parent, const char* key) {
  json& member = parent[key];
  if (member.is_null()) {
    member = json::object();
  }
  return member.is_object() ? &member : nullptr;
}

void SetAsideNewFields(json& object) {
  json* spec = Object(object, "spec");
  json* metadata = Object(object, "metadata");
  if (spec == nullptr || metadata == nullptr) {
    return;
  }
  json aside = json::object();
  for (const char* field : kNewFields) {
    const auto member = spec->find(field);
    if (member == spec->end()) {
      continue;
    }
    if (!member->is_null() && *member != false) {
      aside[field] = std::move(*member);
    }
    spec->erase(member);
  }
  if (aside.empty()) {
    return;
  }
  if (json* annotations = Object(*metadata, "annotations"); annotations != nullptr) {
    (*annotations)[kNewFieldsAnnotation] = kube::DumpJson(aside);
  }
}

// What the annotation says was written by users, perhaps; what it can't mean is passed over: an
// error would keep clients from reading any of the objects.
void TakeBackNewFields(json& object) {
  json* spec = Object(object, "spec");
  const auto metadata = object.find("metadata");
  if (spec == nullptr || metadata == object.end() || !metadata->is_object()) {
    return;
  }
  if (const auto port = spec->find("peerPort"); port != spec->end() && *port == 0) {
    spec->erase(port);
  }
  const auto annotations = metadata->find("annotations");
  if (annotations == metadata->end() || !annotations->is_object()) {
    return;
  }
  const auto annotation = annotations->find(kNewFieldsAnnotation);
  if (annotation == annotations->end()) {
    return;
  }
  if (annotation->is_string()) {
    const auto aside = kube::ParseJson(annotation->get_ref<const std::string&>(),
                                       {.max_bytes = kMaxAnnotation, .max_depth = 16});
    for (const char* field : kNewFields) {
      if (aside.ok() && aside->is_object() && aside->contains(field) && !spec->contains(field)) {
        (*spec)[field] = aside->at(field);
      }
    }
  }
  annotations->erase(annotation);
  if (annotations->empty()) {
    metadata->erase("annotations");
  }
}

std::string NameOf(const json& object) {
  const auto key = kube::DecodeKey(object);
  return key.ok() ? key->ToString() : "without a name";
}

}  // namespace

absl::StatusOr<json> ConvertBgpPeer(json object, std::string_view api_version) {
  if (!IsVersion(api_version)) {
    return Invalid(StrCat("BGPPeer has no version ", api_version));
  }
  absl::Status error;
  const kube::JsonCursor root(object, &error);
  const std::string from = root.At("apiVersion").String();
  const std::string kind = root.At("kind").String();
  STENTOR_RETURN_IF_ERROR(error);
  if (!object.is_object() || kind != "BGPPeer") {
    return Invalid(StrCat("only BGPPeer is converted, not ", kind.empty() ? "this" : kind));
  }
  if (!IsVersion(from)) {
    return Invalid(StrCat("BGPPeer has no version ", from));
  }
  if (from == api_version) {
    return object;
  }
  if (api_version == kOld) {
    SetAsideNewFields(object);
  } else {
    TakeBackNewFields(object);
  }
  object["apiVersion"] = std::string(api_version);
  return object;
}

absl::StatusOr<std::string> AnswerConversionReview(json review) {
  absl::Status error;
  const kube::JsonCursor root(review, &error);
  const std::string api_version = root.At("apiVersion").String();
  const std::string kind = root.At("kind").String();
  const kube::JsonCursor request = root.At("request");
  const std::string uid = request.At("uid").String();
  const std::string wanted = request.At("desiredAPIVersion").String();
  STENTOR_RETURN_IF_ERROR(error);
  if (kind != "ConversionReview" ||
      (api_version != "apiextensions.k8s.io/v1" && api_version != "apiextensions.k8s.io/v1beta1")) {
    return Invalid(
        "expected kind ConversionReview of apiextensions.k8s.io/v1 or "
        "apiextensions.k8s.io/v1beta1");
  }
  if (uid.empty() || uid.size() > kMaxUid) {
    return Invalid(StrCat("request.uid: expected 1 to ", kMaxUid, " octets"));
  }
  json objects = std::move(review["request"]["objects"]);
  if (!objects.is_array()) {
    return Invalid("request.objects: expected a list");
  }
  json converted = json::array();
  std::string reasons;
  std::size_t failures = 0;
  for (json& object : objects) {
    const std::string name = NameOf(object);
    auto result = ConvertBgpPeer(std::move(object), wanted);
    if (result.ok()) {
      converted.push_back(*std::move(result));
    } else if (++failures <= kMaxReasons) {
      StrAppend(&reasons, reasons.empty() ? "" : "; ", "BGPPeer ", name, ": ",
                std::string(result.status().message()));
    }
  }
  json result = {{"status", "Success"}};
  if (failures > 0) {
    if (failures > kMaxReasons) {
      StrAppend(&reasons, "; and ", failures - kMaxReasons, " more");
    }
    result = {{"status", "Failed"}, {"message", reasons}};
    converted = json::array();
  }
  return kube::DumpJson({{"apiVersion", api_version},
                         {"kind", "ConversionReview"},
                         {"response",
                          {{"uid", uid},
                           {"convertedObjects", std::move(converted)},
                           {"result", std::move(result)}}}});
}

}  // namespace stentor::controller
