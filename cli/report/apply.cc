// SPDX-License-Identifier: Apache-2.0
#include "cli/report/apply.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"

namespace stentor::cli {
namespace {

using kube::Member;
using kube::TextMember;
using nlohmann::json;

// The resource of a kind that apply can be foretold of.
struct Kind {
  const char* name;
  Resource resource;
  bool namespaced = true;
};
constexpr Kind kKinds[] = {
    {"IPAddressPool", Resource::kPools},      {"L2Advertisement", Resource::kAdvertisements},
    {"AddressPool", Resource::kAddressPools}, {"Service", Resource::kServices},
    {"Node", Resource::kNodes, false},        {"Namespace", Resource::kNamespaces, false}};

// Calls `visit(document, kind)` for each object; kind is null where it is none of the above.
template <typename Visit>
void ForEachObject(const json& document, const Visit& visit) {
  const std::string kind = TextMember(document, "kind");
  if (kind.ends_with("List") && Member(document, "items").is_array()) {
    for (const json& item : document["items"]) {
      ForEachObject(item, visit);
    }
    return;
  }
  const auto known =
      std::ranges::find_if(kKinds, [&kind](const Kind& k) { return k.name == kind; });
  visit(document, known == std::end(kKinds) ? nullptr : &*known);
}

json Placed(json document, const Kind& kind, std::string_view name_space) {
  if (kind.namespaced && document.is_object() && document["metadata"].is_object() &&
      TextMember(document["metadata"], "namespace").empty()) {
    document["metadata"]["namespace"] = name_space;
  }
  return document;
}

// Members of `last` that `wanted` doesn't have, as a merge patch that takes them away.
void AddRemovals(const json& last, const json& wanted, json& patch) {
  if (!last.is_object() || !wanted.is_object() || !patch.is_object()) {
    return;
  }
  for (const auto& [name, value] : last.items()) {
    if (!wanted.contains(name)) {
      patch[name] = nullptr;
    } else {
      AddRemovals(value, wanted[name], patch[name]);
    }
  }
}

// https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/: lists are
// replaced as a whole, as of custom resources they are.
json Applied(const json& live, const json& document) {
  constexpr const char* kLast = "kubectl.kubernetes.io/last-applied-configuration";
  json wanted = document;
  wanted.erase("status");
  // kubectl always finds annotations in it, its own: only those that are named go.
  if (const auto metadata = wanted.find("metadata");
      metadata != wanted.end() && metadata->is_object() &&
      !Member(*metadata, "annotations").is_object()) {
    (*metadata)["annotations"] = json::object();
  }
  json patch = wanted;
  const json& annotations = Member(Member(live, "metadata"), "annotations");
  if (auto last = kube::ParseJson(TextMember(annotations, kLast)); last.ok() && last->is_object()) {
    last->erase("status");
    AddRemovals(*last, wanted, patch);
  }
  json merged = live;
  merged.merge_patch(patch);
  return merged;
}

// What files hold, taken into a snapshot.
class Applier {
 public:
  Applier(Snapshot& snapshot, std::string_view name_space, WhatIfReport& report)
      : snapshot_(snapshot), name_space_(name_space), report_(report) {
    for (const auto& [key, service] : snapshot.services) {
      for (const std::string& text : service.cluster_ips) {
        if (const auto address = net::IpAddress::Parse(text)) {
          (address->IsIpv4() ? cluster_has_ipv4_ : cluster_has_ipv6_) = true;
        }
      }
    }
  }

  void Apply(const json& list) {
    ForEachObject(list, [this](const json& document, const Kind* kind) {
      if (kind == nullptr) {
        const std::string name = TextMember(document, "kind");
        report_.notes.push_back(StrCat(name.empty() ? "a document without a kind" : name, " ",
                                       TextMember(Member(document, "metadata"), "name"),
                                       ": left out, since it says nothing about addresses"));
        return;
      }
      ApplyObject(Placed(document, *kind, name_space_), *kind);
    });
  }

 private:
  void ApplyObject(json object, const Kind& kind) {
    const auto key = kube::DecodeKey(object);
    if (!key.ok()) {
      return Fail(key.status());
    }
    if (const auto live = snapshot_.live.find({kind.resource, *key});
        live != snapshot_.live.end()) {
      object = Applied(live->second, object);
    } else {
      object.erase("status");  // what is new has none
    }
    switch (kind.resource) {
      case Resource::kPools:
        return Replace(*key, kube::DecodeIpAddressPool(object), snapshot_.resources.pools, kind);
      case Resource::kAdvertisements:
        return Replace(*key, kube::DecodeL2Advertisement(object),
                       snapshot_.resources.l2_advertisements, kind);
      case Resource::kAddressPools:
        return Replace(*key, kube::DecodeAddressPool(object), snapshot_.resources.address_pools,
                       kind);
      case Resource::kServices:
        return ReplaceService(object);
      case Resource::kNodes:
        return ReplaceNode(object);
      default:
        return snapshot_.Add(kind.resource, object);
    }
  }

  void Fail(const absl::Status& status) {
    if (report_.error.empty()) {
      report_.error = std::string(status.message());
    }
  }

  template <typename T>
  void Replace(const model::ObjectKey& key, absl::StatusOr<T> object, ConfigFacts::Objects<T>& into,
               const Kind& kind) {
    if (!object.ok()) {
      return Fail(object.status());
    }
    if (key.name_space != snapshot_.name_space) {
      report_.notes.push_back(StrCat(kind.name, " ", key.ToString(),
                                     ": of no effect outside of namespace ", snapshot_.name_space));
      return;
    }
    into.insert_or_assign(key, std::move(object));
  }

  void ReplaceService(const json& document) {
    auto service = kube::DecodeService(document, kube::Verbatim::kDrop);
    if (!service.ok()) {
      return Fail(service.status());
    }
    SettleFamilies(*service, TextMember(Member(document, "spec"), "clusterIP") == "None");
    const model::ServiceKey key = service->key;
    snapshot_.services.insert_or_assign(key, *std::move(service));
  }

  // The API server gives a Service a cluster address of each family that it asks for; which one
  // does not matter. https://kubernetes.io/docs/concepts/services-networking/dual-stack/
  void SettleFamilies(model::Service& service, bool headless) const {
    if (headless || !service.IsLoadBalancer()) {
      return;
    }
    std::vector<net::IpFamily> families = service.ip_families;
    for (const std::string& text : service.cluster_ips) {
      const auto address = net::IpAddress::Parse(text);
      if (families.empty() && address) {
        families.push_back(address->IsIpv4() ? net::IpFamily::kIpv4 : net::IpFamily::kIpv6);
      }
    }
    if (families.empty()) {
      families.push_back(cluster_has_ipv6_ && !cluster_has_ipv4_ ? net::IpFamily::kIpv6
                                                                 : net::IpFamily::kIpv4);
    }
    const bool wants_both =
        service.ip_family_policy == "RequireDualStack" ||
        (service.ip_family_policy == "PreferDualStack" && cluster_has_ipv4_ && cluster_has_ipv6_);
    if (wants_both && families.size() == 1) {
      families.push_back(families.front() == net::IpFamily::kIpv4 ? net::IpFamily::kIpv6
                                                                  : net::IpFamily::kIpv4);
    }
    if (service.ip_family_policy == "SingleStack") {
      families.resize(1);
    }
    std::vector<std::string> addresses;
    for (const net::IpFamily family : families) {
      const auto known = std::ranges::find_if(service.cluster_ips, [family](const auto& text) {
        const auto address = net::IpAddress::Parse(text);
        return address && address->IsIpv4() == (family == net::IpFamily::kIpv4);
      });
      addresses.push_back(known != service.cluster_ips.end()
                              ? *known
                              : net::IpAddress::FromNumber(family, 0, 1).ToString());
    }
    service.ip_families = std::move(families);
    service.cluster_ips = std::move(addresses);
  }

  void ReplaceNode(const json& document) {
    auto node = kube::DecodeNode(document);
    if (!node.ok()) {
      return Fail(node.status());
    }
    std::erase_if(snapshot_.nodes,
                  [&node](const model::Node& known) { return known.name == node->name; });
    snapshot_.nodes.push_back(*std::move(node));
  }

  Snapshot& snapshot_;
  const std::string_view name_space_;
  WhatIfReport& report_;
  bool cluster_has_ipv4_ = false;
  bool cluster_has_ipv6_ = false;
};

}  // namespace

void ApplyTo(Snapshot& snapshot, const std::vector<json>& documents, std::string_view name_space,
             WhatIfReport& report) {
  Applier applier(snapshot, name_space, report);
  for (const json& document : documents) {
    applier.Apply(document);
  }
}

std::set<Snapshot::ObjectId> ObjectsIn(const std::vector<json>& documents,
                                       std::string_view name_space) {
  std::set<Snapshot::ObjectId> objects;
  for (const json& list : documents) {
    ForEachObject(list, [&](const json& document, const Kind* kind) {
      if (kind == nullptr) {
        return;
      }
      if (auto key = kube::DecodeKey(Placed(document, *kind, name_space)); key.ok()) {
        objects.insert({kind->resource, *std::move(key)});
      }
    });
  }
  return objects;
}

}  // namespace stentor::cli
