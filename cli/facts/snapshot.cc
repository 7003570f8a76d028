// SPDX-License-Identifier: Apache-2.0
#include "cli/facts/snapshot.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/config/legacy.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"
#include "common/kube/url.h"

namespace stentor::cli {
namespace {

using kube::Member;
using kube::TextMember;
using nlohmann::json;

constexpr std::string_view kGroup = "/apis/metallb.io/v1beta1/namespaces/";
// The ConfigMap of MetalLB 0.12 and before, where --config names no other.
constexpr const char* kConfigMap = "config";

// Names of MetalLB's manifests and of its chart.
std::string ComponentOf(const json& pod) {
  const json& labels = Member(Member(pod, "metadata"), "labels");
  const std::string component = TextMember(labels, "app.kubernetes.io/component");
  return component.empty() ? TextMember(labels, "component") : component;
}

bool IsReady(const json& status) {
  for (const json& condition : Member(status, "conditions")) {
    if (TextMember(condition, "type") == "Ready") {
      return TextMember(condition, "status") == "True";
    }
  }
  return true;
}

// The words of all containers' command lines.
std::vector<std::string> ArgumentsOf(const json& pod) {
  std::vector<std::string> words;
  for (const json& container : Member(Member(pod, "spec"), "containers")) {
    for (const char* list : {"command", "args"}) {
      for (const json& word : Member(container, list)) {
        if (word.is_string()) {
          words.push_back(word.get<std::string>());
        }
      }
    }
  }
  return words;
}

// The value of `--flag=value` or `--flag value`, with one dash or two.
std::optional<std::string> FlagValue(const std::vector<std::string>& words, std::string_view flag) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (!word.starts_with('-')) {
      continue;
    }
    word.remove_prefix(word.starts_with("--") ? 2 : 1);
    if (word == flag) {
      return i + 1 < words.size() && !words[i + 1].starts_with('-') ? words[i + 1] : "true";
    }
    if (word.starts_with(flag) && word.substr(flag.size()).starts_with('=')) {
      return std::string(word.substr(flag.size() + 1));
    }
  }
  return std::nullopt;
}

template <typename T>
void Keep(absl::StatusOr<T> decoded, std::vector<T>& into, std::vector<std::string>& problems) {
  if (decoded.ok()) {
    into.push_back(*std::move(decoded));
  } else {
    problems.emplace_back(decoded.status().message());
  }
}

}  // namespace

std::string_view ResourceName(Resource resource) {
  switch (resource) {
    case Resource::kServices:
      return "services";
    case Resource::kNodes:
      return "nodes";
    case Resource::kNamespaces:
      return "namespaces";
    case Resource::kPools:
      return "ipaddresspools.metallb.io";
    case Resource::kAdvertisements:
      return "l2advertisements.metallb.io";
    case Resource::kAddressPools:
      return "addresspools.metallb.io";
    case Resource::kConfigMap:
      return "the ConfigMap config";
    case Resource::kPods:
      return "pods";
    case Resource::kStatuses:
      return "servicel2statuses.metallb.io";
    case Resource::kStates:
      return "configurationstates.metallb.io";
    case Resource::kSlices:
      return "endpointslices.discovery.k8s.io";
    case Resource::kEvents:
      return "events";
  }
  return "";
}

std::string_view RoleName(Role role) {
  return role == Role::kController ? "controller" : "speaker";
}

ResourceRequest RequestFor(Resource resource, std::string_view name_space,
                           const std::optional<model::ServiceKey>& service) {
  const auto of_group = [name_space](std::string_view plural, bool may_be_absent) {
    return ResourceRequest{.path = StrCat(kGroup, name_space, "/", plural),
                           .may_be_absent = may_be_absent};
  };
  const auto core = [name_space](std::string_view plural) {
    return StrCat("/api/v1/namespaces/", name_space, "/", plural);
  };
  switch (resource) {
    case Resource::kServices:
      return {.path = "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer"};
    case Resource::kNodes:
      return {.path = "/api/v1/nodes"};
    case Resource::kNamespaces:
      return {.path = "/api/v1/namespaces"};
    case Resource::kPools:
      return of_group("ipaddresspools", true);
    case Resource::kAdvertisements:
      return of_group("l2advertisements", true);
    case Resource::kAddressPools:
      return of_group("addresspools", true);
    case Resource::kConfigMap:
      return {.path = StrCat(core("configmaps"), "/", kConfigMap),
              .single = true,
              .may_be_absent = true};
    case Resource::kPods:
      return {.path = core("pods")};
    case Resource::kStatuses:
      return of_group("servicel2statuses", true);
    case Resource::kStates:
      return of_group("configurationstates", true);
    case Resource::kSlices:
      if (!service) {
        return {.path = "/apis/discovery.k8s.io/v1/endpointslices"};
      }
      return {.path = StrCat(
                  "/apis/discovery.k8s.io/v1/namespaces/", service->name_space,
                  "/endpointslices?labelSelector=",
                  kube::PercentEncode(StrCat("kubernetes.io/service-name=", service->name)))};
    case Resource::kEvents: {
      const model::ServiceKey key = service.value_or(model::ServiceKey{});
      return {.path = StrCat("/api/v1/namespaces/", key.name_space, "/events?fieldSelector=",
                             kube::PercentEncode(StrCat(
                                 "involvedObject.kind=Service,involvedObject.name=", key.name)))};
    }
  }
  return {};
}

void Snapshot::Add(Resource resource, const json& object) {
  switch (resource) {
    case Resource::kServices: {
      auto service = kube::DecodeService(object, kube::Verbatim::kKeep);
      if (service.ok()) {
        const model::ServiceKey key = service->key;
        services.insert_or_assign(key, *std::move(service));
      } else {
        problems.emplace_back(service.status().message());
      }
      return;
    }
    case Resource::kNodes:
      return Keep(kube::DecodeNode(object), nodes, problems);
    case Resource::kNamespaces:
      return AddNamespace(object);
    case Resource::kPools:
      return Keep(kube::DecodeIpAddressPool(object), resources.pools, problems);
    case Resource::kAdvertisements:
      return Keep(kube::DecodeL2Advertisement(object), resources.l2_advertisements, problems);
    case Resource::kAddressPools:
      return Keep(kube::DecodeAddressPool(object), resources.address_pools, problems);
    case Resource::kConfigMap:
      return AddConfigMap(object);
    case Resource::kPods:
      return AddPod(object);
    case Resource::kStatuses:
      return AddStatus(object);
    case Resource::kStates:
      return Keep(status::DecodeConfigurationState(object), states, problems);
    case Resource::kSlices:
      return Keep(kube::DecodeEndpointSlice(object), slices, problems);
    case Resource::kEvents:
      return AddEvent(object);
  }
}

void Snapshot::Refuse(Resource resource, const absl::Status& why) {
  if (absl::IsNotFound(why) && RequestFor(resource, name_space, std::nullopt).may_be_absent) {
    return;
  }
  refused.push_back(resource);
  problems.push_back(
      StrCat("cannot read ", ResourceName(resource), ": ", std::string(why.message())));
}

void Snapshot::Finish() {
  config = config::Parse(resources);
  std::ranges::sort(programs, {}, [](const Program& p) { return std::pair(p.role, p.name); });
  std::ranges::sort(announcers, {},
                    [](const Announcer& a) { return std::pair(a.service, a.node); });
  std::ranges::sort(states, {}, &status::ConfigurationState::key);
  std::ranges::sort(nodes, {}, &model::Node::name);
}

void Snapshot::AddPod(const json& object) {
  const std::string component = ComponentOf(object);
  if (component != "controller" && component != "speaker") {
    return;
  }
  const json& pod_status = Member(object, "status");
  const json& metadata = Member(object, "metadata");
  Program program{.role = component == "controller" ? Role::kController : Role::kSpeaker,
                  .name = TextMember(metadata, "name"),
                  .node = TextMember(Member(object, "spec"), "nodeName"),
                  .phase = TextMember(pod_status, "phase")};
  program.runs = program.phase == "Running" && IsReady(pod_status) &&
                 TextMember(metadata, "deletionTimestamp").empty();
  programs.push_back(std::move(program));
  const std::vector<std::string> words = ArgumentsOf(object);
  if (auto value = FlagValue(words, "lb-class")) {
    load_balancer_class = *std::move(value);
  }
  if (const auto value = FlagValue(words, "ignore-exclude-lb")) {
    ignore_exclude_label = *value == "true";
  }
}

void Snapshot::AddStatus(const json& object) {
  const json& metadata = Member(object, "metadata");
  const json& labels = Member(metadata, "labels");
  const json& content = Member(object, "status");
  const auto either = [&](const char* label, const char* field) {
    const std::string text = TextMember(content, field);
    return text.empty() ? TextMember(labels, label) : text;
  };
  Announcer announcer{.service = {either("metallb.io/service-namespace", "serviceNamespace"),
                                  either("metallb.io/service-name", "serviceName")},
                      .node = either("metallb.io/node", "node"),
                      .since = TextMember(metadata, "creationTimestamp")};
  for (const json& interface : Member(content, "interfaces")) {
    announcer.interfaces.push_back(TextMember(interface, "name"));
  }
  if (!announcer.node.empty()) {
    announcers.push_back(std::move(announcer));
  }
}

void Snapshot::AddEvent(const json& object) {
  const json& about = Member(object, "involvedObject");
  EventFact event{.about = {TextMember(about, "namespace"), TextMember(about, "name")},
                  .reason = TextMember(object, "reason"),
                  .message = TextMember(object, "message"),
                  .last_seen = TextMember(object, "lastTimestamp")};
  if (event.last_seen.empty()) {
    event.last_seen = TextMember(object, "eventTime");
  }
  events.push_back(std::move(event));
}

void Snapshot::AddConfigMap(const json& object) {
  const auto entry = kube::DecodeConfigMapEntry(object, config::kLegacyEntry);
  if (!entry.ok()) {
    problems.emplace_back(entry.status().message());
    return;
  }
  if (!entry->text) {
    return;
  }
  auto legacy = config::ParseLegacyConfig(*entry->text, entry->key);
  if (legacy.ok()) {
    resources.legacy = *std::move(legacy);
  } else {
    problems.emplace_back(legacy.status().message());
  }
}

void Snapshot::AddNamespace(const json& object) {
  const auto key = kube::DecodeKey(object);
  auto labels = kube::DecodeLabels(object);
  if (key.ok() && labels.ok()) {
    namespaces.insert_or_assign(key->name, *std::move(labels));
  }
}

bool Snapshot::IsOurs(const model::Service& service) const {
  return service.IsLoadBalancer() &&
         (load_balancer_class.empty() ? !service.load_balancer_class.has_value()
                                      : service.load_balancer_class == load_balancer_class);
}

const model::Service* Snapshot::Find(const model::ServiceKey& key) const {
  const auto it = services.find(key);
  return it == services.end() ? nullptr : &it->second;
}

const model::Service* Snapshot::FindByAddress(const net::IpAddress& address) const {
  const model::Service* found = nullptr;
  for (const auto& [key, service] : services) {
    const std::vector<net::IpAddress> addresses = AddressesOf(service);
    if (std::ranges::find(addresses, address) == addresses.end()) {
      continue;
    }
    if (IsOurs(service)) {
      return &service;
    }
    found = found == nullptr ? &service : found;
  }
  return found;
}

bool Snapshot::HasSpeaker(std::string_view node) const {
  return std::ranges::any_of(programs, [node](const Program& program) {
    return program.role == Role::kSpeaker && program.node == node && program.runs;
  });
}

const model::Labels* Snapshot::LabelsOf(std::string_view service_namespace) const {
  const auto it = namespaces.find(service_namespace);
  return it == namespaces.end() ? nullptr : &it->second;
}

std::vector<model::Endpoint> Snapshot::EndpointsOf(const model::ServiceKey& service) const {
  std::vector<model::Endpoint> endpoints;
  for (const model::EndpointSlice& slice : slices) {
    if (slice.key.name_space == service.name_space && slice.service_name == service.name) {
      endpoints.insert(endpoints.end(), slice.endpoints.begin(), slice.endpoints.end());
    }
  }
  return endpoints;
}

std::vector<Announcer> Snapshot::AnnouncersOf(const model::ServiceKey& service) const {
  std::vector<Announcer> found;
  std::ranges::copy_if(announcers, std::back_inserter(found),
                       [&service](const Announcer& a) { return a.service == service; });
  return found;
}

const status::ConfigurationState* Snapshot::StateOf(std::string_view node) const {
  const auto it = std::ranges::find(states, StrCat("speaker-", node),
                                    [](const auto& state) { return state.key.name; });
  return it == states.end() ? nullptr : &*it;
}

bool Snapshot::WasRefused(Resource resource) const {
  return std::ranges::find(refused, resource) != refused.end();
}

std::vector<net::IpAddress> AddressesOf(const model::Service& service) {
  std::vector<net::IpAddress> addresses;
  for (const std::string& text : service.ingress_ips) {
    if (const auto address = net::IpAddress::Parse(text)) {
      addresses.push_back(*address);
    }
  }
  return addresses;
}

}  // namespace stentor::cli
