// SPDX-License-Identifier: Apache-2.0
#include "controller/certs/objects.h"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "test/support/catch.h"

namespace stentor::controller {
namespace {

using nlohmann::json;

const json kIdentity = {{"name", "x"}, {"uid", "u"}, {"resourceVersion", "7"}};

std::vector<std::string> PlacesOf(TargetKind kind, const std::string& spec) {
  json object = json::parse(spec);
  object["metadata"] = kIdentity;
  const auto target = DecodeTarget(kind, object);
  REQUIRE(target.ok());
  std::vector<std::string> out;
  for (const auto& place : target->places) {
    out.push_back(place.webhook + "=" + place.bundle);
  }
  return out;
}

}  // namespace

TEST_CASE("DecodeWebhookSecret reads the four keys", "[certs]") {
  struct Case {
    const char* name;
    const char* data;
    WebhookSecret want;
  };
  const auto c = GENERATE(values<Case>({
      {"no data", R"(null)", {}},
      {"empty data", R"({})", {}},
      {"all four and another",
       R"({"ca.crt":"YQ==","ca.key":"Yg==","tls.crt":"Yw==","tls.key":"ZA==","other":"ZQ=="})",
       {.ca_crt = "a", .ca_key = "b", .tls_crt = "c", .tls_key = "d"}},
      {"one is null", R"({"ca.crt":null,"tls.crt":"Yw=="})", {.tls_crt = "c"}},
      {"one is no base64", R"({"ca.crt":"!","tls.crt":"Yw=="})", {.tls_crt = "c"}},
      {"one is a number", R"({"ca.crt":1,"tls.crt":"Yw=="})", {.tls_crt = "c"}},
      {"data is a list", R"(["ca.crt"])", {}},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto secret =
        DecodeWebhookSecret({{"metadata", kIdentity}, {"data", json::parse(c.data)}});
    REQUIRE(secret.ok());
    CHECK(secret->uid == "u");
    CHECK(secret->resource_version == "7");
    CHECK(secret->ca_crt == c.want.ca_crt);
    CHECK(secret->ca_key == c.want.ca_key);
    CHECK(secret->tls_crt == c.want.tls_crt);
    CHECK(secret->tls_key == c.want.tls_key);
  }
}

TEST_CASE("Objects without identity are refused", "[certs]") {
  const auto text = GENERATE(values<const char*>(
      {"null", "[]", "1", "{}", R"({"metadata":1})", R"({"metadata":{"uid":"u"}})",
       R"({"metadata":{"uid":"","resourceVersion":"1"}})",
       R"({"metadata":{"uid":1,"resourceVersion":2}})"}));
  CHECK(absl::IsInvalidArgument(DecodeWebhookSecret(json::parse(text)).status()));
  CHECK(absl::IsInvalidArgument(DecodeTarget(TargetKind::kConversion, json::parse(text)).status()));
}

TEST_CASE("DecodeTarget finds the places for a bundle", "[certs]") {
  using enum TargetKind;
  struct Case {
    const char* name;
    TargetKind kind;
    const char* spec;
    std::vector<std::string> want;
  };
  const auto c = GENERATE(values<Case>({
      {"no webhooks", kValidatingWebhooks, R"({})", {}},
      {"webhooks is null", kValidatingWebhooks, R"({"webhooks":null})", {}},
      {"webhooks is text", kValidatingWebhooks, R"({"webhooks":"a"})", {}},
      {"two, one with a bundle",
       kValidatingWebhooks,
       R"({"webhooks":[{"name":"a","clientConfig":{"caBundle":"YQ=="}},{"name":"b"}]})",
       {"a=a", "b="}},
      {"one without a name", kValidatingWebhooks, R"({"webhooks":[{},{"name":"b"}]})", {"b="}},
      {"one name twice",
       kValidatingWebhooks,
       R"({"webhooks":[{"name":"b"},{"name":"b"}]})",
       {"b="}},
      {"elements of wrong types", kValidatingWebhooks, R"({"webhooks":[1,null,{"name":2}]})", {}},
      {"a CRD without conversion", kConversion, R"({"spec":{}})", {}},
      {"a CRD that needs none", kConversion, R"({"spec":{"conversion":{"strategy":"None"}}})", {}},
      {"a CRD with a webhook",
       kConversion,
       R"({"spec":{"conversion":{"strategy":"Webhook","webhook":{"clientConfig":{"caBundle":"YQ=="}}}}})",
       {"=a"}},
      {"a CRD whose webhook has no bundle",
       kConversion,
       R"({"spec":{"conversion":{"strategy":"Webhook","webhook":{}}}})",
       {"="}},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(PlacesOf(c.kind, c.spec) == c.want); }
}

TEST_CASE("At most 100 webhooks get a bundle", "[certs]") {
  json object = {{"metadata", kIdentity}};
  for (int i = 0; i < 150; ++i) {
    object["webhooks"].push_back({{"name", std::to_string(i)}});
  }
  CHECK(DecodeTarget(TargetKind::kValidatingWebhooks, object)->places.size() == 100);
}

TEST_CASE("The requests name what they change, and nothing else", "[certs]") {
  const model::ObjectKey key{.name_space = "ns", .name = "s"};
  const TargetObject object{
      .uid = "u", .resource_version = "7", .places = {{.webhook = "a"}, {.webhook = "b"}}};
  struct Case {
    const char* name;
    kube::Request request;
    const char* method;
    const char* path;
    const char* content_type;
    const char* body;
  };
  const std::vector<Case> cases = {
      {"create the Secret",
       CreateSecretRequest(key, {.ca_crt = "a", .ca_key = "b", .tls_crt = "c", .tls_key = "d"}),
       "POST", "/api/v1/namespaces/ns/secrets", "application/json",
       R"({"apiVersion":"v1","kind":"Secret","type":"Opaque",
           "metadata":{"name":"s","namespace":"ns"},
           "data":{"ca.crt":"YQ==","ca.key":"Yg==","tls.crt":"Yw==","tls.key":"ZA=="}})"},
      {"a new serving certificate",
       PatchSecretRequest(key, {.uid = "u", .resource_version = "7", .ca_key = "secret"},
                          {.tls_crt = "c", .tls_key = "d"}),
       "PATCH", "/api/v1/namespaces/ns/secrets/s", "application/merge-patch+json",
       R"({"metadata":{"uid":"u","resourceVersion":"7"},
           "data":{"tls.crt":"Yw==","tls.key":"ZA=="}})"},
      {"bundle of the webhooks",
       InjectRequest({.kind = TargetKind::kValidatingWebhooks, .name = "w"}, object, "a"), "PATCH",
       "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/"
       "w?fieldManager=stentor-controller&force=true",
       "application/apply-patch+yaml",
       R"({"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration",
           "metadata":{"name":"w","uid":"u","resourceVersion":"7"},
           "webhooks":[{"name":"a","clientConfig":{"caBundle":"YQ=="}},
                       {"name":"b","clientConfig":{"caBundle":"YQ=="}}]})"},
      {"bundle of a conversion",
       InjectRequest({.kind = TargetKind::kConversion, .name = "c"}, object, "a"), "PATCH",
       "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
       "c?fieldManager=stentor-controller&force=true",
       "application/apply-patch+yaml",
       R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
           "metadata":{"name":"c","uid":"u","resourceVersion":"7"},
           "spec":{"conversion":{"webhook":{"clientConfig":{"caBundle":"YQ=="}}}}})"},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      CHECK(c.request.method == c.method);
      CHECK(c.request.path == c.path);
      CHECK(c.request.content_type == c.content_type);
      CHECK(json::parse(c.request.body) == json::parse(c.body));
    }
  }
}

}  // namespace stentor::controller
