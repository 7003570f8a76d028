// SPDX-License-Identifier: Apache-2.0
#include "speaker/status/l2_status.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"

namespace stentor::speaker {
namespace {

using kube::Member;
using kube::TextMember;
using nlohmann::json;

constexpr std::size_t kMaxLabelValue = 63;
constexpr const char* kApiVersion = "metallb.io/v1beta1";
// Far beyond what a node has; what is beyond is not kept in memory, and so differs from what is
// wanted.
constexpr std::size_t kMaxInterfaces = 4096;

bool IsPod(const json& owner) {
  return TextMember(owner, "kind") == "Pod" && TextMember(owner, "apiVersion") == "v1";
}

json OwnerReference(const status::OwnerPod& pod) {
  return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", pod.name}, {"uid", pod.uid}};
}

std::string TextOf(const model::Labels& labels, std::string_view key) {
  const auto it = labels.find(key);
  return it == labels.end() ? std::string() : it->second;
}

std::vector<std::string> InterfacesOf(const json& list) {
  std::vector<std::string> names;
  if (list.is_array()) {
    for (const json& entry : list) {
      if (std::string name = TextMember(entry, "name");
          !name.empty() && names.size() <= kMaxInterfaces) {
        names.push_back(std::move(name));
      }
    }
  }
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return names;
}

kube::Request MergePatch(std::string path, const json& body) {
  return {.method = "PATCH",
          .path = std::move(path),
          .content_type = "application/merge-patch+json",
          .body = kube::DumpJson(body)};
}

}  // namespace

std::optional<model::ServiceKey> SeenL2Status::Service() const {
  model::ServiceKey service{TextOf(labels, kLabelServiceNamespace),
                            TextOf(labels, kLabelServiceName)};
  if (service.name_space.empty() || service.name.empty()) {
    service = content.service;
  }
  if (service.name_space.empty() || service.name.empty()) {
    return std::nullopt;
  }
  return service;
}

const model::NodeName& SeenL2Status::Node() const {
  const auto it = labels.find(kLabelNode);
  return it == labels.end() || it->second.empty() ? content.node : it->second;
}

absl::StatusOr<SeenL2Status> DecodeL2Status(const json& json_object) {
  const json& metadata = Member(json_object, "metadata");
  SeenL2Status seen;
  seen.key = {TextMember(metadata, "namespace"), TextMember(metadata, "name")};
  seen.uid = TextMember(metadata, "uid");
  seen.resource_version = TextMember(metadata, "resourceVersion");
  if (seen.key.name.empty() || seen.uid.empty() || seen.resource_version.empty()) {
    return absl::InvalidArgumentError(
        "a ServiceL2Status without metadata.name, uid or resourceVersion");
  }
  const json& labels = Member(metadata, "labels");
  for (const std::string_view key : {kLabelNode, kLabelServiceName, kLabelServiceNamespace}) {
    if (std::string text = TextMember(labels, key.data()); !text.empty()) {
      seen.labels.emplace(key, std::move(text));
    }
  }
  if (const json& owners = Member(metadata, "ownerReferences"); owners.is_array()) {
    std::ranges::copy_if(owners, std::back_inserter(seen.owners),
                         [](const json& owner) { return owner.is_object(); });
  }
  seen.deleting = !TextMember(metadata, "deletionTimestamp").empty();
  const json& object_status = Member(json_object, "status");
  seen.content = {.service = {TextMember(object_status, "serviceNamespace"),
                              TextMember(object_status, "serviceName")},
                  .node = TextMember(object_status, "node"),
                  .interfaces = InterfacesOf(Member(object_status, "interfaces"))};
  return seen;
}

std::string L2StatusesPath(std::string_view name_space) {
  return StrCat("/apis/metallb.io/v1beta1/namespaces/", name_space, "/servicel2statuses");
}

std::string L2StatusPath(const model::ObjectKey& key) {
  return StrCat(L2StatusesPath(key.name_space), "/", key.name);
}

model::Labels L2StatusLabels(const model::ServiceKey& service, std::string_view node) {
  model::Labels labels;
  for (const auto& [key, value] : {std::pair<std::string_view, std::string_view>{kLabelNode, node},
                                   {kLabelServiceName, service.name},
                                   {kLabelServiceNamespace, service.name_space}}) {
    if (value.size() <= kMaxLabelValue) {
      labels.emplace(key, value);
    }
  }
  return labels;
}

json OwnersWith(const json& owners, const status::OwnerPod& owner) {
  json with = json::array();
  std::ranges::copy_if(owners, std::back_inserter(with),
                       [](const json& other) { return !IsPod(other); });
  with.push_back(OwnerReference(owner));
  return with;
}

bool IsOwnedBy(const json& owners, const status::OwnerPod& owner) {
  return std::ranges::any_of(owners, [&](const json& other) {
    return IsPod(other) && TextMember(other, "uid") == owner.uid &&
           TextMember(other, "name") == owner.name;
  });
}

bool IsOwnedOnlyBy(const json& owners, const status::OwnerPod& owner) {
  return IsOwnedBy(owners, owner) && std::ranges::count_if(owners, IsPod) == 1;
}

kube::Request CreateL2Status(const model::ObjectKey& key, const model::Labels& labels,
                             const std::optional<status::OwnerPod>& owner) {
  json metadata = {{"name", key.name},
                   {"generateName", kL2StatusPrefix},
                   {"namespace", key.name_space},
                   {"labels", labels}};
  if (owner) {
    metadata["ownerReferences"] = json::array({OwnerReference(*owner)});
  }
  return {.method = "POST",
          .path = StrCat(L2StatusesPath(key.name_space), "?fieldManager=stentor"),
          .body = kube::DumpJson({{"apiVersion", kApiVersion},
                                  {"kind", "ServiceL2Status"},
                                  {"metadata", std::move(metadata)},
                                  {"spec", json::object()}})};
}

kube::Request PatchL2StatusMetadata(const model::ObjectKey& key, std::string_view resource_version,
                                    const json& owners, const model::Labels& labels,
                                    const std::optional<status::OwnerPod>& owner) {
  json metadata = {{"resourceVersion", resource_version}, {"labels", labels}};
  if (owner) {
    metadata["ownerReferences"] = OwnersWith(owners, *owner);
  }
  return MergePatch(StrCat(L2StatusPath(key), "?fieldManager=stentor"),
                    {{"metadata", std::move(metadata)}});
}

kube::Request PatchL2Status(const model::ObjectKey& key, std::string_view resource_version,
                            const L2StatusContent& content) {
  json interfaces;  // null removes the list: MetalLB writes none either where it is all
  for (const std::string& name : content.interfaces) {
    interfaces.push_back({{"name", name}});
  }
  return MergePatch(StrCat(L2StatusPath(key), "/status?fieldManager=stentor"),
                    {{"metadata", {{"resourceVersion", resource_version}}},
                     {"status",
                      {{"node", content.node},
                       {"serviceName", content.service.name},
                       {"serviceNamespace", content.service.name_space},
                       {"interfaces", std::move(interfaces)}}}});
}

kube::Request DeleteL2Status(const model::ObjectKey& key, std::string_view uid) {
  return {
      .method = "DELETE",
      .path = L2StatusPath(key),
      .body = kube::DumpJson(
          {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", {{"uid", uid}}}})};
}

kube::Request GetL2Status(const model::ObjectKey& key) { return {.path = L2StatusPath(key)}; }

}  // namespace stentor::speaker
