// SPDX-License-Identifier: Apache-2.0
#include "common/status/configuration_state.h"

#include "absl/status/status.h"
#include "common/base/strings.h"
#include "common/kube/json_member.h"

namespace stentor::status {
namespace {

using kube::Member;
using kube::TextMember;
using nlohmann::json;

// Far beyond what anybody keeps there; what is beyond is not kept in memory, nor written back.
constexpr std::size_t kMaxConditions = 64;

}  // namespace

const SeenCondition* ConfigurationState::Find(std::string_view type) const {
  for (const SeenCondition& condition : conditions) {
    if (condition.type == type) {
      return &condition;
    }
  }
  return nullptr;
}

absl::StatusOr<ConfigurationState> DecodeConfigurationState(const json& json_object) {
  const json& metadata = Member(json_object, "metadata");
  ConfigurationState state;
  state.key = {TextMember(metadata, "namespace"), TextMember(metadata, "name")};
  state.uid = TextMember(metadata, "uid");
  state.resource_version = TextMember(metadata, "resourceVersion");
  if (state.key.name.empty() || state.resource_version.empty()) {
    return absl::InvalidArgumentError(
        "a ConfigurationState without metadata.name or resourceVersion");
  }
  if (const json& labels = Member(metadata, "labels"); labels.is_object()) {
    for (auto it = labels.begin(); it != labels.end(); ++it) {
      if (it->is_string()) {
        state.labels.emplace(it.key(), it->get<std::string>());
      }
    }
  }
  if (const json& owners = Member(metadata, "ownerReferences"); owners.is_array()) {
    for (const json& owner : owners) {
      if (owner.is_object()) {
        state.owners.push_back(owner);
      }
    }
  }
  const json& object_status = Member(json_object, "status");
  state.result = TextMember(object_status, "result");
  state.error_summary = TextMember(object_status, "errorSummary");
  if (const json& conditions = Member(object_status, "conditions"); conditions.is_array()) {
    for (const json& condition : conditions) {
      std::string type = TextMember(condition, "type");
      if (!type.empty() && state.Find(type) == nullptr &&
          state.conditions.size() < kMaxConditions) {
        state.conditions.push_back(
            {.type = std::move(type),
             .status = TextMember(condition, "status"),
             .reason = TextMember(condition, "reason"),
             .message = TextMember(condition, "message"),
             .last_transition_time = TextMember(condition, "lastTransitionTime"),
             .verbatim = condition});
      }
    }
  }
  return state;
}

std::string ConfigurationStatesPath(std::string_view name_space) {
  return StrCat("/apis/metallb.io/v1beta1/namespaces/", name_space, "/configurationstates");
}

std::string ConfigurationStatePath(const model::ObjectKey& key) {
  return StrCat(ConfigurationStatesPath(key.name_space), "/", key.name);
}

}  // namespace stentor::status
