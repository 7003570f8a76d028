// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Objects and reviews as the API server sends them.

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/kube/codec.h"
#include "controller/webhook/admission.h"
#include "controller/webhook/facts.h"
#include "controller/webhook/router.h"
#include "test/support/catch.h"

namespace stentor::controller::testing {

using nlohmann::json;

inline constexpr const char* kNamespace = "metallb-system";
inline constexpr std::size_t kMaxBody = 1U << 20U;

inline json ObjectOf(std::string_view kind, std::string_view name, json spec) {
  return {{"apiVersion", kind == "BGPPeer" ? "metallb.io/v1beta2" : "metallb.io/v1beta1"},
          {"kind", std::string(kind)},
          {"metadata", {{"name", std::string(name)}, {"namespace", kNamespace}}},
          {"spec", std::move(spec)}};
}

inline json PoolObject(std::string_view name, std::vector<std::string> addresses) {
  return ObjectOf("IPAddressPool", name, {{"addresses", std::move(addresses)}});
}

inline json PeerObject(std::string_view name, std::string_view address,
                       json more = json::object()) {
  json spec = {{"myASN", 64512}, {"peerASN", 64513}, {"peerAddress", std::string(address)}};
  spec.update(more);
  return ObjectOf("BGPPeer", name, std::move(spec));
}

inline Kind KindOfObject(const json& object) {
  return *KindOf(object.at("kind").get<std::string>());
}

inline Facts FactsOf(const std::vector<json>& objects, BgpMode mode = BgpMode::kAny) {
  Facts facts{.name_space = kNamespace, .bgp_mode = mode};
  for (const json& object : objects) {
    const absl::Status put = facts.Put(KindOfObject(object), object);
    INFO(put);
    REQUIRE(put.ok());
  }
  return facts;
}

inline std::string PathOfKind(std::string_view kind) {
  std::string path =
      kind == "BGPPeer" ? "/validate-metallb-io-v1beta2-" : "/validate-metallb-io-v1beta1-";
  for (const char c : kind) {
    path += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return path;
}

inline json ReviewOf(std::string_view operation, const json& object, const json& old = nullptr) {
  const json& present = object.is_null() ? old : object;
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request",
           {{"uid", "705ab4f5-6393-11e8-b7cc-42010a800002"},
            {"kind", {{"group", "metallb.io"}, {"version", "v1"}, {"kind", present.at("kind")}}},
            {"name", present.at("metadata").value("name", "")},
            {"namespace", present.at("metadata").value("namespace", "")},
            {"operation", std::string(operation)},
            {"userInfo", {{"username", "admin"}}},
            {"object", object},
            {"oldObject", old}}}};
}

/// The "response" of the answer; requires that it is an answer to this review.
inline json Ask(const json& review, const Facts& facts) {
  const std::string kind = review.at("request").at("kind").at("kind");
  const HttpAnswer answer =
      AnswerWebhook(PathOfKind(kind) + "?timeout=10s", kube::DumpJson(review), facts, kMaxBody);
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  const json body = json::parse(answer.body);
  CHECK(body.at("apiVersion") == review.at("apiVersion"));
  CHECK(body.at("kind") == "AdmissionReview");
  CHECK(body.at("response").at("uid") == review.at("request").at("uid"));
  return body.at("response");
}

/// The refusal's text; empty where it is allowed.
inline std::string RefusalOf(const json& response) {
  if (response.at("allowed") == true) {
    CHECK(response.at("status").at("code") == 200);
    return "";
  }
  return response.at("status").at("message");
}

inline std::string WarningsOf(const json& response) {
  std::string text;
  for (const json& warning : response.value("warnings", json::array())) {
    text += warning.get<std::string>() + "\n";
  }
  return text;
}

}  // namespace stentor::controller::testing
