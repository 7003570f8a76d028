// SPDX-License-Identifier: Apache-2.0

/// \file
/// What the keeper of a ConfigurationState wants the object to say.

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/status/configuration_state_keeper.h"

namespace stentor::status {
namespace {

using nlohmann::json;

bool IsPod(const json& owner) {
  return owner.value("kind", json()) == "Pod" && owner.value("apiVersion", json()) == "v1";
}

json OwnerReference(const OwnerPod& pod) {
  return {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", pod.name}, {"uid", pod.uid}};
}

json ContentOfCondition(std::string_view type, std::string_view status, std::string_view reason,
                        std::string_view message) {
  return json::array({type, status, reason, message});
}

std::string Content(std::string_view result, std::string_view error_summary, json conditions) {
  return kube::DumpJson(json::array({result, error_summary, std::move(conditions)}));
}

}  // namespace

kube::Request ConfigurationStateKeeper::RequestFor(Verb verb) const {
  kube::Request request;
  request.path = ConfigurationStatePath(options_.object);
  request.time_limit = kRequestTimeout;
  if (verb == Verb::kGet) {
    return request;
  }
  json metadata = json::object();
  if (verb != Verb::kStatus) {
    metadata["labels"] = options_.labels;
    if (owner_) {
      metadata["ownerReferences"] = WantedOwners();
    }
  }
  if (verb == Verb::kCreate) {
    metadata["name"] = options_.object.name;
    metadata["namespace"] = options_.object.name_space;
    request.method = "POST";
    request.path =
        StrCat(ConfigurationStatesPath(options_.object.name_space), "?fieldManager=stentor");
    request.body = kube::DumpJson({{"apiVersion", "metallb.io/v1beta1"},
                                   {"kind", "ConfigurationState"},
                                   {"metadata", std::move(metadata)}});
    return request;
  }
  metadata["resourceVersion"] = observed_->resource_version;
  json body = {{"metadata", std::move(metadata)}};
  if (verb == Verb::kStatus) {
    body["status"] = WantedStatus();
    request.path.append("/status");
  }
  request.method = "PATCH";
  request.path.append("?fieldManager=stentor");
  request.content_type = "application/merge-patch+json";
  request.body = kube::DumpJson(body);
  return request;
}

json ConfigurationStateKeeper::WantedOwners() const {
  json owners = json::array();
  if (observed_) {
    for (const json& owner : observed_->owners) {
      if (!IsPod(owner)) {
        owners.push_back(owner);
      }
    }
  }
  owners.push_back(OwnerReference(*owner_));
  return owners;
}

json ConfigurationStateKeeper::WantedStatus() const {
  json conditions = json::array();
  for (const std::string& type : options_.types) {
    if (const auto it = conditions_.find(type); it != conditions_.end()) {
      const Condition& condition = it->second.condition;
      conditions.push_back({{"type", type},
                            {"status", StatusText(condition.holds)},
                            {"reason", condition.reason},
                            {"message", condition.message},
                            {"lastTransitionTime", it->second.since}});
    }
  }
  for (const SeenCondition& seen : observed_->conditions) {
    if (!without_others_ && std::find(options_.types.begin(), options_.types.end(), seen.type) ==
                                options_.types.end()) {
      conditions.push_back(seen.verbatim);
    }
  }
  Verdict verdict = WantedVerdict();
  return {{"result", std::move(verdict.result)},
          {"errorSummary", std::move(verdict.error_summary)},
          {"conditions", std::move(conditions)}};
}

bool ConfigurationStateKeeper::MetadataMatches() const {
  for (const auto& [key, value] : options_.labels) {
    const auto it = observed_->labels.find(key);
    if (it == observed_->labels.end() || it->second != value) {
      return false;
    }
  }
  if (!owner_) {
    return true;
  }
  int pods = 0;
  bool ours = false;
  for (const json& owner : observed_->owners) {
    if (IsPod(owner)) {
      ++pods;
      ours =
          owner.value("uid", json()) == owner_->uid && owner.value("name", json()) == owner_->name;
    }
  }
  return pods == 1 && ours;
}

std::string ConfigurationStateKeeper::ContentOf(const ConfigurationState& state) const {
  json conditions = json::array();
  for (const std::string& type : options_.types) {
    if (const SeenCondition* const seen = state.Find(type)) {
      conditions.push_back(ContentOfCondition(type, seen->status, seen->reason, seen->message));
    }
  }
  return Content(state.result, state.error_summary, std::move(conditions));
}

void ConfigurationStateKeeper::ConditionsChanged() {
  json conditions = json::array();
  for (const std::string& type : options_.types) {
    if (const auto it = conditions_.find(type); it != conditions_.end()) {
      const Condition& condition = it->second.condition;
      conditions.push_back(ContentOfCondition(type, StatusText(condition.holds), condition.reason,
                                              condition.message));
    }
  }
  const Verdict verdict = WantedVerdict();
  wanted_content_ = Content(verdict.result, verdict.error_summary, std::move(conditions));
}

Verdict ConfigurationStateKeeper::WantedVerdict() const {
  std::vector<Condition> conditions;
  for (const auto& [type, kept] : conditions_) {
    conditions.push_back(kept.condition);
  }
  return VerdictOf(conditions);
}

}  // namespace stentor::status
