// SPDX-License-Identifier: Apache-2.0
#include "speaker/status/speaker_conditions.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/text.h"

namespace stentor::speaker {
namespace {

// Enough to act on; all are in the metrics. A status is for people.
constexpr const char* kComponent = "metallb-speaker";
constexpr std::size_t kMaxConflicts = 50;
constexpr std::size_t kMaxTraps = 50;
constexpr std::size_t kMaxTrapOctets = 1024;

template <typename T>
std::vector<T> SortedOnce(std::span<const T> values) {
  std::vector<T> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const auto repeated = std::ranges::unique(sorted);
  sorted.erase(repeated.begin(), repeated.end());
  return sorted;
}

std::string AndMore(std::size_t count, std::size_t told) {
  return count > told ? StrCat("; and ", count - told, " more") : std::string();
}

}  // namespace

status::ConfigurationStateOptions SpeakerStateOptions(std::string_view name_space,
                                                      std::string_view node) {
  status::ConfigurationStateOptions options = status::SpeakerState(name_space, node);
  options.types.emplace_back(kAddressConflictType);
  options.types.emplace_back(kNodeTrapsType);
  return options;
}

std::optional<status::Condition> AddressConflictCondition(std::span<const ConflictFact> conflicts) {
  if (conflicts.empty()) {
    return std::nullopt;
  }
  const std::vector<ConflictFact> sorted = SortedOnce(conflicts);
  const bool any_withheld = std::ranges::any_of(sorted, &ConflictFact::withheld);
  status::Condition condition{.type = std::string(kAddressConflictType),
                              .holds = true,
                              .reason = any_withheld ? "Withheld" : "AnnouncedNevertheless",
                              .is_verdict = false};
  const std::size_t told = std::min(sorted.size(), kMaxConflicts);
  for (std::size_t i = 0; i < told; ++i) {
    const ConflictFact& conflict = sorted[i];
    StrAppend(&condition.message, i == 0 ? "" : "; ", conflict.address.ToString(),
              " is also claimed by ", conflict.mac.ToString(), " on ", conflict.interface,
              conflict.withheld ? ", so it is not announced from here" : "");
  }
  condition.message += AndMore(sorted.size(), told);
  return condition;
}

std::optional<status::Condition> NodeTrapsCondition(std::span<const TrapFact> traps) {
  if (traps.empty()) {
    return std::nullopt;
  }
  const std::vector<TrapFact> sorted = SortedOnce(traps);
  const bool alike = sorted.front().reason == sorted.back().reason;
  status::Condition condition{.type = std::string(kNodeTrapsType),
                              .holds = true,
                              .reason = alike ? sorted.front().reason : "SeveralTraps",
                              .is_verdict = false};
  const std::size_t told = std::min(sorted.size(), kMaxTraps);
  for (std::size_t i = 0; i < told; ++i) {
    StrAppend(&condition.message, i == 0 ? "" : "\n",
              kube::FitText(sorted[i].message, kMaxTrapOctets));
  }
  condition.message += AndMore(sorted.size(), told);
  return condition;
}

kube::EventContent NodeAssignedEvent(std::string_view node, WallTime wall, std::uint64_t suffix) {
  return {.type = kube::EventType::kNormal,
          .reason = "nodeAssigned",
          .message = StrCat("announcing from node \"", node, "\" with protocol \"layer2\""),
          .component = kComponent,
          .host = std::string(node),
          .time = wall,
          .suffix = suffix};
}

kube::EventContent AnnounceFailedEvent(std::string_view node, std::string message, WallTime wall,
                                       std::uint64_t suffix) {
  return {.type = kube::EventType::kWarning,
          .reason = "announceFailed",
          .message = std::move(message),
          .component = kComponent,
          .host = std::string(node),
          .time = wall,
          .suffix = suffix};
}

}  // namespace stentor::speaker
