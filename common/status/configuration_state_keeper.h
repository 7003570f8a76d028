// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Keeps the ConfigurationState of this program instance: makes it, writes its conditions, and
/// restores it where somebody deletes or edits it. Pure: requests come out, what the watch shows
/// goes in.
///
///   ConfigurationStateKeeper keeper(ControllerState("metallb-system"), io::RandomUniform);
///   keeper.SetOwner({pod_name, pod_uid});                        // where it is known
///   keeper.SetCondition(ReconcilerCondition(kPoolReconcilerValid, outcome), wall);
///   keeper.Seen(object) / keeper.Gone()                          // from a watch of that one
///   object StatusActions actions = keeper.Poll(now);                    // after each input or
///   batch of
///   ... send actions.requests -> keeper.OnAnswer(now, ticket, answer)  // them, and at
///   ... arm a timer for keeper.NextDeadline()                    // NextDeadline()
///
/// As in MetalLB: name, labels, owner, types, reasons, messages, result and errorSummary.
/// Otherwise: a time of transition changes with the status only, also across restarts; nothing is
/// written where nothing changes; at most one status write a second. Conditions of other types,
/// which somebody else keeps in the object, stay as they are and count for nothing.
///
/// Writes are merge patches under resourceVersion: with server-side apply, a condition of ours that
/// another field manager has touched could never be taken away.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/kube/backoff.h"
#include "common/kube/transport.h"
#include "common/model/types.h"
#include "common/status/condition.h"
#include "common/status/configuration_state.h"
#include "common/status/write_pace.h"

namespace stentor::status {

/// A request to send, once.
struct StatusRequest {
  std::uint64_t ticket = 0;  ///< For OnAnswer().
  kube::Request request;
};

/// What the caller has to do.
struct StatusActions {
  std::vector<StatusRequest> requests;
  std::optional<Notice> notice;
};

/// The Pod of this program instance: the object goes when it goes.
struct OwnerPod {
  std::string name;
  std::string uid;
  friend bool operator==(const OwnerPod&, const OwnerPod&) = default;
};

struct ConfigurationStateOptions {
  model::ObjectKey object;
  model::Labels labels;
  /// Types of the conditions that this program keeps in the object: one that is not set is taken
  /// away.
  std::vector<std::string> types;
};

/// The object of the controller (`controller`), and of the speaker of a node (`speaker-NODE`).
[[nodiscard]] ConfigurationStateOptions ControllerState(std::string_view name_space);
[[nodiscard]] ConfigurationStateOptions SpeakerState(std::string_view name_space,
                                                     std::string_view node);

/// Not thread-safe. Monotonic time must not go backwards. One request is under way at most.
class ConfigurationStateKeeper {
 public:
  /// Where nobody has said by Seen() or Gone() what there is, the object is asked for.
  static constexpr Duration kWatchGrace = std::chrono::seconds(2);
  /// Where no condition is set until then, `Unknown` is written.
  static constexpr Duration kUnknownAfter = std::chrono::seconds(10);
  static constexpr Duration kInterval = std::chrono::seconds(1);
  static constexpr Duration kRequestTimeout = std::chrono::seconds(30);

  ConfigurationStateKeeper(ConfigurationStateOptions options, kube::Uniform uniform);

  /// Of several replicas only the leader writes. A new one is active; one that is not asks for
  /// nothing, and has no deadline, but takes all inputs.
  void SetActive(bool active);
  /// Without it, owners are left as they are.
  void SetOwner(OwnerPod owner);
  /// Sets the condition of its type. Preconditions: the type is one of the options', the reason is
  /// one (IsConditionReason). The message is cut where it is too long.
  void SetCondition(Condition condition, WallTime wall);
  void RemoveCondition(std::string_view type);

  /// A watch, which may be late, shows the object. What can't be read is ignored.
  void Seen(const nlohmann::json& object);
  /// A watch shows that it is deleted, or its first list that it does not exist.
  void Gone();
  /// The answer to the request with `ticket`, or why there is none. Any bytes are allowed.
  void OnAnswer(TimePoint now, std::uint64_t ticket, const absl::StatusOr<kube::Response>& answer);

  /// What is to be done at `now`.
  [[nodiscard]] StatusActions Poll(TimePoint now);
  /// When to call Poll() at the latest.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const { return deadline_; }

  /// Whether the object, as last seen, has a condition of this type; nothing where it has not been
  /// seen. A refusal counts as an object without conditions.
  [[nodiscard]] std::optional<bool> Recorded(std::string_view type) const;

 private:
  enum class Verb : std::uint8_t { kGet, kCreate, kMetadata, kStatus };
  struct Kept {
    Condition condition;
    std::string since;  // lastTransitionTime
  };
  struct Flight {
    std::uint64_t ticket = 0;
    Verb verb = Verb::kGet;
    TimePoint sent{};
    std::string resource_version;  // of what it changes
    std::string content;           // of kStatus: what is written
  };
  struct Step {
    Verb verb = Verb::kGet;
    TimePoint due{};
    bool restores = false;
  };

  // What is to be done
  [[nodiscard]] std::optional<Step> NextStep() const;
  void Send(TimePoint now, const Step& step, StatusActions* actions);
  [[nodiscard]] kube::Request RequestFor(Verb verb) const;
  [[nodiscard]] nlohmann::json WantedOwners() const;
  [[nodiscard]] nlohmann::json WantedStatus() const;
  [[nodiscard]] bool MetadataMatches() const;

  // What came of it
  void Adopt(ConfigurationState state);
  void OnObject(TimePoint now, const Flight& flight, const std::string& body);
  void OnConflict(TimePoint now, const Flight& flight);
  void Refuse(TimePoint now, const absl::Status& why);
  [[nodiscard]] WritePace& PaceOf(Verb verb);

  // What status says, without times and without the conditions of others; to be compared only.
  [[nodiscard]] std::string ContentOf(const ConfigurationState& state) const;
  void ConditionsChanged();
  [[nodiscard]] Verdict WantedVerdict() const;

  const ConfigurationStateOptions options_;
  const kube::Uniform uniform_;
  std::optional<OwnerPod> owner_;
  std::map<std::string, Kept, std::less<>> conditions_;
  bool active_ = true;

  bool known_ = false;  // what there is
  std::optional<ConfigurationState> observed_;
  std::string observed_content_;
  std::string wanted_content_;
  std::string written_content_;    // by the last status write that succeeded
  bool metadata_written_ = false;  // as it is wanted now
  bool without_others_ = false;    // conditions of others may be what was refused
  std::optional<TimePoint> started_;
  std::optional<TimePoint> read_due_;  // while not known_
  std::optional<Flight> flight_;
  std::uint64_t tickets_ = 0;
  WritePace reads_;
  WritePace object_writes_;
  WritePace status_writes_;
  RefusalGate refusals_;
  std::optional<Notice> notice_;
  std::optional<TimePoint> deadline_;
};

}  // namespace stentor::status
