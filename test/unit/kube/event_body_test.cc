// SPDX-License-Identifier: Apache-2.0
#include "common/kube/event_body.h"

#include <string>

#include <nlohmann/json.hpp>

#include "common/kube/codec.h"
#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

const EventContent kEvent = {.type = EventType::kWarning,
                             .reason = "LayerTwoOnly",
                             .message = "words",
                             .component = "metallb-controller",
                             .host = "node-1",
                             .time = WallTime(std::chrono::seconds(1)),
                             .suffix = 0xab};

json Body(const EventObject& about, const EventContent& event) {
  const auto body = ParseJson(BuildEventBody(about, event));
  REQUIRE(body.ok());
  return *body;
}

}  // namespace

TEST_CASE("BuildEventBody names any object", "[kube]") {
  const json body = Body({.api_version = "metallb.io/v1beta2",
                          .kind = "BGPPeer",
                          .key = {"metallb-system", "peer"},
                          .uid = "u",
                          .resource_version = "7"},
                         kEvent);
  CHECK(body == json::parse(R"({
    "apiVersion": "v1", "kind": "Event",
    "metadata": {"name": "peer.00000000000000ab", "namespace": "metallb-system"},
    "involvedObject": {"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer",
                       "namespace": "metallb-system", "name": "peer", "uid": "u",
                       "resourceVersion": "7"},
    "type": "Warning", "reason": "LayerTwoOnly", "message": "words",
    "source": {"component": "metallb-controller", "host": "node-1"},
    "reportingComponent": "metallb-controller", "reportingInstance": "node-1",
    "firstTimestamp": "1970-01-01T00:00:01Z", "lastTimestamp": "1970-01-01T00:00:01Z",
    "count": 1})"));
}

TEST_CASE("BuildEventBody leaves out what is not known", "[kube]") {
  EventContent event = kEvent;
  event.host.clear();
  event.type = EventType::kNormal;
  const json body =
      Body({.api_version = "v1", .kind = "Pod", .key = {"ns", "p"}, .uid = "u"}, event);
  CHECK_FALSE(body["involvedObject"].contains("resourceVersion"));
  CHECK_FALSE(body["source"].contains("host"));
  CHECK(body["type"] == "Normal");
}

TEST_CASE("BuildEventBody keeps within the API's bounds", "[kube]") {
  struct Case {
    const char* name;
    std::string object;
    std::string event;
  };
  const auto c = GENERATE(values<Case>({
      {"the longest name that fits", std::string(236, 'a'),
       std::string(236, 'a') + ".00000000000000ab"},
      {"a longer one is cut", std::string(253, 'a'), std::string(236, 'a') + ".00000000000000ab"},
      {"not after a dot", std::string(235, 'a') + "." + std::string(17, 'b'),
       std::string(235, 'a') + ".00000000000000ab"},
      {"nor after a dash", std::string(234, 'a') + "--" + std::string(17, 'b'),
       std::string(234, 'a') + ".00000000000000ab"},
  }));
  DYNAMIC_SECTION(c.name) {
    EventContent event = kEvent;
    event.message = std::string(2000, 'm');
    const json body =
        Body({.api_version = "v1", .kind = "Pod", .key = {"ns", c.object}, .uid = "u"}, event);
    CHECK(body["metadata"]["name"] == c.event);
    CHECK(body["involvedObject"]["name"] == c.object);
    CHECK(body["message"].get<std::string>().size() == 1024);
  }
}

}  // namespace stentor::kube
