// SPDX-License-Identifier: Apache-2.0
#include "common/kube/bodies.h"

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/kube/codec.h"
#include "common/kube/transport.h"
#include "common/kube/url.h"
#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

model::Service Decoded(const json& object) { return *DecodeService(object, Verbatim::kKeep); }

json Object() {
  return json::parse(R"({
    "metadata": {"namespace": "default", "name": "web", "uid": "u1", "resourceVersion": "17",
      "labels": {"a": "1"}, "annotations": {"mine": "x"}, "finalizers": ["f"], "generation": 3,
      "ownerReferences": [{"uid": "o"}], "managedFields": [{"manager": "m"}]},
    "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    "status": {"conditions": [{"type": "Foreign", "status": "True"}],
      "loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "Proxy", "ports": [{"port": 80}]},
      {"hostname": "example"}, {"ip": "192.0.2.2"}]}}})");
}

}  // namespace

TEST_CASE("A status write carries all that it does not change", "[bodies]") {
  const json object = Object();
  const std::vector<std::string> ips = {"192.0.2.9", "192.0.2.1"};
  const std::vector<AnnotationChange> changes = {{"pool", "p"}, {"absent", std::nullopt}};
  const json body = json::parse(BuildServiceStatusBody(Decoded(object), ips, changes));

  json metadata = object["metadata"];
  metadata.erase("managedFields");
  metadata["annotations"]["pool"] = "p";
  CHECK(body["metadata"] == metadata);
  CHECK(body["spec"] == json{{"type", "LoadBalancer"}});
  CHECK(body["apiVersion"] == "v1");
  CHECK(body["kind"] == "Service");
  CHECK(body["status"]["conditions"] == object["status"]["conditions"]);
  const json& former = object["status"]["loadBalancer"]["ingress"];
  CHECK(body["status"]["loadBalancer"]["ingress"] ==
        json::array({{{"ip", "192.0.2.9"}}, former[0], former[1]}));
}

TEST_CASE("A cleared status and a removed annotation leave nothing behind", "[bodies]") {
  json object = Object();
  object["status"]["loadBalancer"]["ingress"].erase(1);  // the hostname
  const std::vector<AnnotationChange> changes = {{"mine", std::nullopt}};
  const json body = json::parse(BuildServiceStatusBody(Decoded(object), {}, changes));
  CHECK(body["status"]["loadBalancer"] == json::object());
  CHECK_FALSE(body["metadata"].contains("annotations"));
  object.erase("status");
  CHECK(json::parse(BuildServiceStatusBody(Decoded(object), {}, {}))["status"] ==
        json{{"loadBalancer", json::object()}});
}

TEST_CASE("A condition is set, changed and removed among those of others", "[bodies]") {
  const std::string type(model::kAddressAllocated);
  const json foreign = {{"type", "Foreign"}, {"status", "True"}, {"anything", {1, "x", nullptr}}};
  const json ours = {{"type", type},
                     {"status", "False"},
                     {"reason", "NoPools"},
                     {"message", "old"},
                     {"lastTransitionTime", "2025-01-01T00:00:00Z"},
                     {"observedGeneration", 2}};
  const WallTime now = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 2 / 28));
  const model::Condition full{.status = "False",
                              .reason = "NoAvailableAddress",
                              .message = "full",
                              .observed_generation = 3};
  const auto entry = [&](const char* since) {
    return json{
        {"type", type},      {"status", "False"},           {"reason", "NoAvailableAddress"},
        {"message", "full"}, {"lastTransitionTime", since}, {"observedGeneration", 3}};
  };
  const auto with = [](json object, const char* key, const json& value) {
    object[key] = value;
    return object;
  };
  struct Case {
    const char* name;
    json before;  // status.conditions; null: absent
    std::optional<model::Condition> value;
    json after;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"new, the first", nullptr, full, json::array({entry("2026-02-28T00:00:00Z")})},
      {"new, beside another", json::array({foreign}), full,
       json::array({foreign, entry("2026-02-28T00:00:00Z")})},
      {"the status stays: so does the time, and the place", json::array({ours, foreign}), full,
       json::array({entry("2025-01-01T00:00:00Z"), foreign})},
      {"the status changes", json::array({foreign, with(ours, "status", "True")}), full,
       json::array({foreign, entry("2026-02-28T00:00:00Z")})},
      {"its time was no text", json::array({with(ours, "lastTransitionTime", nullptr)}), full,
       json::array({entry("2026-02-28T00:00:00Z")})},
      {"a duplicate goes", json::array({ours, foreign, ours}), full,
       json::array({entry("2025-01-01T00:00:00Z"), foreign})},
      {"removed", json::array({foreign, ours}), std::nullopt, json::array({foreign})},
      {"removed, all of them", json::array({ours, ours}), std::nullopt, nullptr},
      {"nothing to remove", json::array({foreign}), std::nullopt, json::array({foreign})},
      {"none at all", nullptr, std::nullopt, nullptr},
      {"what is there is no list", "text", full, json::array({entry("2026-02-28T00:00:00Z")})},
      {"what is there is no condition", json::array({7, nullptr, "x"}), full,
       json::array({7, nullptr, "x", entry("2026-02-28T00:00:00Z")})},
  }));
  DYNAMIC_SECTION(c.name) {
    json object = Object();
    object["status"]["conditions"] = c.before;
    if (c.before.is_null()) {
      object["status"].erase("conditions");
    }
    const std::vector<ConditionChange> changes = {{.type = type, .value = c.value, .now = now}};
    const json body = json::parse(BuildServiceStatusBody(Decoded(object), {}, {}, changes));
    CHECK(body["status"].value("conditions", json()) == c.after);
    if (c.value) {  // and it reads back as it was meant
      CHECK(Decoded(body).address_allocated == c.value);
    }
  }
}

TEST_CASE("A writer knows its own condition and the generation", "[bodies]") {
  json object = Object();
  CHECK(Decoded(object).generation == 3);
  CHECK_FALSE(Decoded(object).address_allocated.has_value());
  object["status"]["conditions"].push_back({{"type", "stentor.io/AddressAllocated"},
                                            {"status", "False"},
                                            {"reason", "NoPools"},
                                            {"message", "m"}});
  CHECK(Decoded(object).address_allocated ==
        model::Condition{.status = "False", .reason = "NoPools", .message = "m"});
  CHECK_FALSE(DecodeService(object, Verbatim::kDrop)->address_allocated.has_value());
  // What can't be read is no reason to refuse the Service.
  for (const json& bad :
       {json(7), json(nullptr), json::array({7, {{"type", 7}}}),
        json::array({{{"type", "stentor.io/AddressAllocated"}, {"status", {}}}})}) {
    object["status"]["conditions"] = bad;
    object["metadata"]["generation"] = "x";
    REQUIRE(DecodeService(object, Verbatim::kKeep).ok());
    CHECK(Decoded(object).generation == 0);
  }
}

TEST_CASE("An event", "[bodies]") {
  EventContent event{.type = EventType::kWarning,
                     .reason = "AllocationFailed",
                     .message = "why",
                     .component = "metallb-controller",
                     .host = "",
                     .time = {},
                     .suffix = 0xabc};
  event.time = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 2 / 28)) +
               std::chrono::seconds(86399);
  const json body = json::parse(BuildEventBody(Decoded(Object()), event));
  CHECK(body["metadata"]["name"] == "web.0000000000000abc");
  CHECK(body["metadata"]["namespace"] == "default");
  CHECK(body["involvedObject"]["uid"] == "u1");
  CHECK(body["involvedObject"]["resourceVersion"] == "17");
  CHECK(body["type"] == "Warning");
  CHECK(body["firstTimestamp"] == "2026-02-28T23:59:59Z");
  CHECK(body["source"] == json{{"component", "metallb-controller"}});
  CHECK(body["reportingComponent"] == "metallb-controller");
  CHECK(body["count"] == 1);

  event.message = std::string(1023, 'x') + "\xC3\xBC";
  CHECK(json::parse(BuildEventBody(Decoded(Object()), event))["message"] ==
        std::string(1021, 'x') + "...");
}

TEST_CASE("HTTP codes become status codes", "[bodies]") {
  struct Case {
    int code;
    const char* body;
    absl::StatusCode want;
    const char* message;
  };
  const auto c = GENERATE(values<Case>({
      {201, "", absl::StatusCode::kOk, ""},
      {400, "{}", absl::StatusCode::kInvalidArgument, "HTTP status 400"},
      {401, "", absl::StatusCode::kPermissionDenied, "HTTP status 401"},
      {403, R"({"message":"no"})", absl::StatusCode::kPermissionDenied, "HTTP status 403: no"},
      {404, "page\nnot found\n", absl::StatusCode::kNotFound, "HTTP status 404: page not found"},
      {409, R"({"reason":"Conflict"})", absl::StatusCode::kAborted, "HTTP status 409"},
      {409, R"({"reason":"AlreadyExists"})", absl::StatusCode::kAlreadyExists, "HTTP status 409"},
      {410, "", absl::StatusCode::kOutOfRange, "HTTP status 410"},
      {422, "", absl::StatusCode::kInvalidArgument, "HTTP status 422"},
      {429, "", absl::StatusCode::kUnavailable, "HTTP status 429"},
      {500, "[]", absl::StatusCode::kUnavailable, "HTTP status 500: []"},
      {302, "", absl::StatusCode::kUnavailable, "HTTP status 302"},
  }));
  DYNAMIC_SECTION(c.code << " " << c.body) {
    const absl::Status status = StatusFromHttp(c.code, c.body);
    CHECK(status.code() == c.want);
    CHECK(std::string(status.message()) == c.message);
  }
}

TEST_CASE("Query values are percent-encoded", "[bodies]") {
  CHECK(PercentEncode("spec.type=LoadBalancer") == "spec.type%3DLoadBalancer");
  CHECK(PercentEncode("a b/c&\xC3\xBC~-_.") == "a%20b%2Fc%26%C3%BC~-_.");
}

}  // namespace stentor::kube
