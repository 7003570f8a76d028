// SPDX-License-Identifier: Apache-2.0
#include "speaker/status/l2_status.h"

#include <string>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using nlohmann::json;

const char* const kWhole = R"({
  "apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status",
  "metadata": {"name": "l2-abcde", "generateName": "l2-", "namespace": "ns", "uid": "u",
               "resourceVersion": "7",
               "labels": {"metallb.io/node": "n1", "metallb.io/service-name": "web",
                          "metallb.io/service-namespace": "default", "other": "x"},
               "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "pu"}]},
  "spec": {},
  "status": {"node": "n1", "serviceName": "web", "serviceNamespace": "default",
             "interfaces": [{"name": "eth1"}, {"name": "eth0"}, {"name": "eth1"}]}})";

json Edited(const std::string& pointer, const json& value) {
  json object = json::parse(kWhole);
  const json::json_pointer place(pointer);
  if (value.is_null()) {
    object.at(place.parent_pointer()).erase(place.back());
  } else {
    object[place] = value;
  }
  return object;
}

}  // namespace

TEST_CASE("A ServiceL2Status is read", "[l2_status]") {
  const auto seen = DecodeL2Status(json::parse(kWhole));
  REQUIRE(seen.ok());
  CHECK(seen->key == model::ObjectKey{"ns", "l2-abcde"});
  CHECK(seen->uid == "u");
  CHECK(seen->resource_version == "7");
  CHECK(seen->labels.size() == 3);
  CHECK(seen->content.interfaces == std::vector<std::string>{"eth0", "eth1"});
  CHECK_FALSE(seen->deleting);
  CHECK(seen->Service() == model::ServiceKey{"default", "web"});
  CHECK(seen->Node() == "n1");
  CHECK(IsOwnedBy(seen->owners, {"p", "pu"}));
  CHECK_FALSE(IsOwnedBy(seen->owners, {"p", "other"}));
}

TEST_CASE("What of a ServiceL2Status tells whose it is", "[l2_status]") {
  struct Case {
    const char* name;
    const char* pointer;
    json value;
    const char* service;
    const char* node;
  };
  const auto c = GENERATE(values<Case>({
      {"labels count more than the status", "/status/serviceName", "dns", "default/web", "n1"},
      {"and so for the node", "/status/node", "n2", "default/web", "n1"},
      {"without labels the status tells", "/metadata/labels", nullptr, "default/web", "n1"},
      {"half a label is none", "/metadata/labels/metallb.io~1service-name", nullptr, "default/web",
       "n1"},
      {"without a label of the node its status tells", "/metadata/labels/metallb.io~1node", nullptr,
       "default/web", "n1"},
      {"new, without status", "/status", nullptr, "default/web", "n1"},
      {"the status is a text", "/status", "x", "default/web", "n1"},
      {"labels are a list", "/metadata/labels", json::array(), "default/web", "n1"},
      {"the interfaces are no list", "/status/interfaces", 7, "default/web", "n1"},
      {"an interface is no object", "/status/interfaces/0", "eth0", "default/web", "n1"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto seen = DecodeL2Status(Edited(c.pointer, c.value));
    REQUIRE(seen.ok());
    REQUIRE(seen->Service());
    CHECK(seen->Service()->ToString() == c.service);
    CHECK(seen->Node() == c.node);
  }
}

TEST_CASE("A ServiceL2Status of no Service", "[l2_status]") {
  json object = Edited("/metadata/labels", nullptr);
  object.erase("status");
  const auto seen = DecodeL2Status(object);
  REQUIRE(seen.ok());
  CHECK_FALSE(seen->Service());
  CHECK(seen->Node().empty());
}

TEST_CASE("What can't be a ServiceL2Status", "[l2_status]") {
  struct Case {
    const char* name;
    json object;
  };
  const auto c = GENERATE(values<Case>({
      {"null", json()},
      {"a list", json::array({1})},
      {"without a name", Edited("/metadata/name", nullptr)},
      {"the name is a number", Edited("/metadata/name", 7)},
      {"without uid", Edited("/metadata/uid", nullptr)},
      {"without resourceVersion", Edited("/metadata/resourceVersion", "")},
      {"metadata is a text", Edited("/metadata", "x")},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(DecodeL2Status(c.object).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("Labels that are too long for the API are left out", "[l2_status]") {
  const std::string longest(63, 'n');
  CHECK(L2StatusLabels({"default", "web"}, longest).at("metallb.io/node") == longest);
  const model::Labels labels = L2StatusLabels({"default", "web"}, longest + "n");
  CHECK(labels == model::Labels{{"metallb.io/service-name", "web"},
                                {"metallb.io/service-namespace", "default"}});
}

TEST_CASE("The requests for a ServiceL2Status", "[l2_status]") {
  const model::ObjectKey key{"ns", "l2-x"};
  const model::Labels labels = L2StatusLabels({"default", "web"}, "n1");
  const json owner = {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", "p"}, {"uid", "pu"}};
  SECTION("create") {
    const kube::Request request = CreateL2Status(key, labels, status::OwnerPod{"p", "pu"});
    CHECK(request.method == "POST");
    CHECK(request.path ==
          "/apis/metallb.io/v1beta1/namespaces/ns/servicel2statuses?fieldManager=stentor");
    const json body = json::parse(request.body);
    CHECK(body["metadata"]["generateName"] == "l2-");
    CHECK(body["metadata"]["name"] == "l2-x");
    CHECK(body["metadata"]["labels"]["metallb.io/node"] == "n1");
    CHECK(body["metadata"]["ownerReferences"] == json::array({owner}));
    CHECK(body["spec"] == json::object());
  }
  SECTION("create without an owner") {
    const json body = json::parse(CreateL2Status(key, labels, std::nullopt).body);
    CHECK_FALSE(body["metadata"].contains("ownerReferences"));
  }
  SECTION("the owner becomes the only pod") {
    auto seen = *DecodeL2Status(json::parse(kWhole));
    seen.owners.push_back({{"apiVersion", "apps/v1"}, {"kind", "DaemonSet"}, {"name", "d"}});
    const json body =
        json::parse(PatchL2StatusMetadata(seen.key, seen.resource_version, seen.owners, labels,
                                          status::OwnerPod{"p", "pu"})
                        .body);
    CHECK(body["metadata"]["ownerReferences"].size() == 2);
    CHECK(body["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet");
    CHECK(body["metadata"]["ownerReferences"][1] == owner);
    CHECK(body["metadata"]["resourceVersion"] == "7");
  }
  SECTION("the status") {
    const kube::Request request =
        PatchL2Status(key, "9", {{"default", "web"}, "n1", {"eth0", "eth1"}});
    CHECK(request.method == "PATCH");
    CHECK(request.content_type == "application/merge-patch+json");
    CHECK(request.path ==
          "/apis/metallb.io/v1beta1/namespaces/ns/servicel2statuses/l2-x/"
          "status?fieldManager=stentor");
    CHECK(json::parse(request.body) == json::parse(R"({
        "metadata": {"resourceVersion": "9"},
        "status": {"node": "n1", "serviceName": "web", "serviceNamespace": "default",
                   "interfaces": [{"name": "eth0"}, {"name": "eth1"}]}})"));
  }
  SECTION("the status with all interfaces names none") {
    const json body = json::parse(PatchL2Status(key, "9", {{"default", "web"}, "n1", {}}).body);
    CHECK(body["status"]["interfaces"].is_null());
  }
  SECTION("delete that one, not another of its name") {
    const kube::Request request = DeleteL2Status(key, "u");
    CHECK(request.method == "DELETE");
    CHECK(json::parse(request.body)["preconditions"]["uid"] == "u");
  }
}

}  // namespace stentor::speaker
