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

TEST_CASE("An event", "[bodies]") {
  ServiceEvent event{.type = EventType::kWarning,
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
  CHECK(json::parse(BuildEventBody(Decoded(Object()), event))["message"] == std::string(1023, 'x'));
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
