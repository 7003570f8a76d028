// SPDX-License-Identifier: Apache-2.0

/// \file
/// What goes into a snapshot, object by object.

#include <algorithm>
#include <utility>

#include "cli/facts/snapshot.h"
#include "common/base/strings.h"
#include "common/config/legacy.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"

namespace stentor::cli {
namespace {

using kube::Member;
using kube::TextMember;
using nlohmann::json;

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

// The variable of a pod's containers, if it has a value, or takes one from somewhere.
bool HasVariable(const json& pod, std::string_view name) {
  for (const json& container : Member(Member(pod, "spec"), "containers")) {
    for (const json& variable : Member(container, "env")) {
      if (TextMember(variable, "name") == name) {
        return !TextMember(variable, "value").empty() || Member(variable, "valueFrom").is_object();
      }
    }
  }
  return false;
}

// Whether the pod says all of how its program is started: a list of variables that are somewhere
// else says nothing, nor does a container without anything.
bool TellsItsFlags(const json& pod) {
  bool tells = false;
  for (const json& container : Member(Member(pod, "spec"), "containers")) {
    if (!Member(container, "envFrom").empty()) {
      return false;
    }
    tells = tells || !Member(container, "command").empty() || !Member(container, "args").empty() ||
            !Member(container, "env").empty();
  }
  return tells;
}

template <typename T>
void Keep(absl::StatusOr<T> decoded, std::vector<T>& into, std::vector<std::string>& problems) {
  if (decoded.ok()) {
    into.push_back(*std::move(decoded));
  } else {
    problems.emplace_back(decoded.status().message());
  }
}

// One that can't be decoded keeps its place: programs don't take a configuration with it.
template <typename T>
void KeepSource(const json& object, absl::StatusOr<T> decoded, ConfigFacts::Objects<T>& into,
                std::vector<std::string>& problems) {
  if (!decoded.ok()) {
    problems.emplace_back(decoded.status().message());
  }
  const auto key = kube::DecodeKey(object);
  into.insert_or_assign(key.ok() ? *key : model::ObjectKey{}, std::move(decoded));
}

}  // namespace

void Snapshot::Add(Resource resource, const json& object) {
  if (!wanted.empty()) {
    const auto key = kube::DecodeKey(object);
    if (key.ok() && wanted.contains({resource, *key})) {
      live.insert_or_assign({resource, *key}, object);
    }
  }
  switch (resource) {
    case Resource::kServices:
      return AddService(object);
    case Resource::kNodes:
      return Keep(kube::DecodeNode(object), nodes, problems);
    case Resource::kNamespaces:
      return AddNamespace(object);
    case Resource::kPools:
      return KeepSource(object, kube::DecodeIpAddressPool(object), resources.pools, problems);
    case Resource::kAdvertisements:
      return KeepSource(object, kube::DecodeL2Advertisement(object), resources.l2_advertisements,
                        problems);
    case Resource::kAddressPools:
      return KeepSource(object, kube::DecodeAddressPool(object), resources.address_pools, problems);
    case Resource::kConfigMap:
      return AddConfigMap(object);
    case Resource::kPods:
      return AddPod(object);
    case Resource::kStatuses:
      return AddStatus(object);
    case Resource::kStates:
      return Keep(status::DecodeConfigurationState(object), states, problems);
    case Resource::kSlices:
      return AddSlice(object);
    case Resource::kEvents:
      return AddEvent(object);
    case Resource::kWebhooks:
      return AddWebhooks(object);
  }
}

void Snapshot::AddService(const json& object) {
  auto service = kube::DecodeService(object, kube::Verbatim::kKeep);
  if (!service.ok()) {
    problems.emplace_back(service.status().message());
    return;
  }
  // Its condition is of use; the texts, most of its memory, only to writers.
  service->metadata_json = {};
  service->status_json = {};
  const model::ServiceKey key = service->key;
  services.insert_or_assign(key, *std::move(service));
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
  if (auto value = FlagValue(words, "config")) {
    config_map = *std::move(value);
    config_map_named = true;
  }
  if (component == "speaker" && TellsItsFlags(object)) {
    const auto given = [&](const char* flag, const char* variable) {
      const auto value = FlagValue(words, flag);
      return value ? !value->empty() : HasVariable(object, variable);
    };
    membership =
        given("ml-bindaddr", "METALLB_ML_BIND_ADDR") && given("ml-labels", "METALLB_ML_LABELS");
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
    announcers[announcer.service].push_back(std::move(announcer));
  }
}

void Snapshot::AddEvent(const json& object) {
  const json& about = Member(object, "involvedObject");
  EventFact event{.about = {TextMember(about, "namespace"), TextMember(about, "name")},
                  .reason = TextMember(object, "reason"),
                  .message = TextMember(object, "message"),
                  .host = TextMember(Member(object, "source"), "host"),
                  .last_seen = TextMember(object, "lastTimestamp")};
  if (event.last_seen.empty()) {
    event.last_seen = TextMember(object, "eventTime");
  }
  events.push_back(std::move(event));
}

void Snapshot::AddConfigMap(const json& object) {
  resources.config_map = kube::DecodeConfigMapEntry(object, config::kLegacyEntry);
  if (!resources.config_map->ok()) {
    problems.emplace_back(resources.config_map->status().message());
  }
}

void Snapshot::AddSlice(const json& object) {
  auto slice = kube::DecodeEndpointSlice(object);
  if (!slice.ok()) {
    problems.emplace_back(slice.status().message());
    return;
  }
  std::vector<model::EndpointSlice>& of_service =
      slices[{slice->key.name_space, slice->service_name}];
  of_service.push_back(*std::move(slice));
}

// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
void Snapshot::AddWebhooks(const json& object) {
  const std::string name = TextMember(Member(object, "metadata"), "name");
  for (const json& webhook : Member(object, "webhooks")) {
    const json& service = Member(Member(webhook, "clientConfig"), "service");
    WebhookFact fact{.name = StrCat(name, ": ", TextMember(webhook, "name")),
                     .service = {TextMember(service, "namespace"), TextMember(service, "name")},
                     .fails_closed = TextMember(webhook, "failurePolicy") != "Ignore"};
    for (const json& rule : Member(webhook, "rules")) {
      const json& groups = Member(rule, "apiGroups");
      const bool of_group = std::any_of(groups.begin(), groups.end(), [](const json& group) {
        return group == "metallb.io" || group == "*";
      });
      for (const json& kind : Member(rule, "resources")) {
        if (of_group && kind.is_string()) {
          fact.kinds.push_back(kind.get<std::string>());
        }
      }
    }
    webhooks.push_back(std::move(fact));
  }
}

void Snapshot::AddNamespace(const json& object) {
  const auto key = kube::DecodeKey(object);
  auto labels = kube::DecodeLabels(object);
  if (key.ok() && labels.ok()) {
    namespaces.insert_or_assign(key->name, *std::move(labels));
  }
}

}  // namespace stentor::cli
