// SPDX-License-Identifier: Apache-2.0

/// \file
/// Where Services have endpoints, and the nodes.

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/codec_parts.h"
#include "common/kube/json_cursor.h"

namespace stentor::kube {
namespace {

using nlohmann::json;
using parts::Finish;
using parts::Key;

constexpr const char* kManagedBy = "endpointslice.kubernetes.io/managed-by";
constexpr const char* kSliceController = "endpointslice-controller.k8s.io";

// A pod is listed once for each set of ports, and many pods are on one node; what counts is on
// which nodes somebody can serve.
void DropRepeated(std::vector<model::Endpoint>& endpoints) {
  std::ranges::sort(endpoints);
  const auto repeated = std::ranges::unique(endpoints);
  endpoints.erase(repeated.begin(), repeated.end());
  endpoints.shrink_to_fit();
}

const json* Member(const json* object, const char* key) {
  if (object == nullptr || !object->is_object()) {
    return nullptr;
  }
  const auto it = object->find(key);
  return it == object->end() ? nullptr : &*it;
}

std::string TextOf(const json* value) {
  return value == nullptr || !value->is_string() ? std::string()
                                                 : value->get_ref<const std::string&>();
}

SliceHeader Peek(const json* metadata) {
  return {.key = {TextOf(Member(metadata, "namespace")), TextOf(Member(metadata, "name"))},
          .service_name = {},
          .by_controller = false,
          .created = parts::ParseTime(TextOf(Member(metadata, "creationTimestamp")))};
}

}  // namespace

SliceHeader PeekEndpointSlice(const json& json) {
  const auto* metadata = Member(&json, "metadata");
  const auto* labels = Member(metadata, "labels");
  SliceHeader header = Peek(metadata);
  header.service_name = TextOf(Member(labels, "kubernetes.io/service-name"));
  header.by_controller = TextOf(Member(labels, kManagedBy)) == kSliceController;
  return header;
}

SliceHeader PeekEndpoints(const json& json) {
  SliceHeader header = Peek(Member(&json, "metadata"));
  header.service_name = header.key.name;
  header.key = EndpointsKey(header.key);
  return header;
}

absl::StatusOr<model::EndpointSlice> DecodeEndpointSlice(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  model::EndpointSlice slice;
  const JsonCursor metadata = root.At("metadata");
  slice.key = Key(metadata);
  slice.resource_version = metadata.At("resourceVersion").String();
  slice.created = parts::ParseTime(metadata.At("creationTimestamp").String());
  slice.service_name = metadata.At("labels").At("kubernetes.io/service-name").String();
  slice.by_controller = metadata.At("labels").At(kManagedBy).String() == kSliceController;
  root.At("endpoints").ForEach([&](const JsonCursor& cursor) {
    const JsonCursor conditions = cursor.At("conditions");
    model::Endpoint endpoint;
    endpoint.node = cursor.At("nodeName").String();
    // Absent "ready" means ready (EndpointConditions); a terminating endpoint may still serve.
    endpoint.can_serve = conditions.At("ready").Bool(true) || conditions.At("serving").Bool(false);
    slice.endpoints.push_back(std::move(endpoint));
  });
  DropRepeated(slice.endpoints);
  const model::ObjectKey key = slice.key;
  return Finish(std::move(slice), error, "EndpointSlice", key);
}

model::ObjectKey EndpointsKey(const model::ObjectKey& service) {
  return {service.name_space, StrCat("endpoints/", service.name)};
}

absl::StatusOr<model::EndpointSlice> DecodeEndpoints(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  model::EndpointSlice slice;
  const JsonCursor metadata = root.At("metadata");
  const model::ObjectKey key = Key(metadata);
  slice.key = EndpointsKey(key);
  slice.resource_version = metadata.At("resourceVersion").String();
  slice.created = parts::ParseTime(metadata.At("creationTimestamp").String());
  slice.service_name = key.name;
  const auto add = [&slice](const JsonCursor& list, bool can_serve) {
    list.ForEach([&](const JsonCursor& address) {
      slice.endpoints.push_back({.node = address.At("nodeName").String(), .can_serve = can_serve});
    });
  };
  root.At("subsets").ForEach([&](const JsonCursor& subset) {
    add(subset.At("addresses"), true);
    add(subset.At("notReadyAddresses"), false);
  });
  DropRepeated(slice.endpoints);
  return Finish(std::move(slice), error, "Endpoints", key);
}

absl::StatusOr<model::Node> DecodeNode(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  model::Node node;
  const JsonCursor metadata = root.At("metadata");
  node.name = metadata.At("name").String();
  node.labels = parts::StringMap(metadata.At("labels"));
  const JsonCursor status = root.At("status");
  status.At("conditions").ForEach([&](const JsonCursor& condition) {
    const std::string type = condition.At("type").String();
    if (type == "NetworkUnavailable") {
      node.network_unavailable = condition.At("status").String() == "True";
    } else if (type == "Ready") {
      node.ready = condition.At("status").String() == "True";
    }
  });
  status.At("addresses").ForEach([&](const JsonCursor& entry) {
    const std::string type = entry.At("type").String();
    if (node.addresses.size() >= kMaxNodeAddresses ||
        (type != "InternalIP" && type != "ExternalIP")) {
      return;
    }
    const auto address = net::IpAddress::Parse(entry.At("address").String());
    if (address && std::ranges::find(node.addresses, *address) == node.addresses.end()) {
      node.addresses.push_back(*address);
    }
  });
  const model::ObjectKey key{"", node.name};
  return Finish(std::move(node), error, "Node", key);
}

}  // namespace stentor::kube
