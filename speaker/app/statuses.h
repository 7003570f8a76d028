// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/io/configuration_state_writer.h"
#include "common/io/context.h"
#include "common/io/lifetime.h"
#include "common/kube/event_body.h"
#include "speaker/node/traps.h"
#include "speaker/status/l2_status_keeper.h"
#include "speaker/status/speaker_conditions.h"

namespace stentor::speaker {

struct StatusesOptions {
  model::NodeName node;
  std::string name_space;
  std::string pod_name;  ///< Owner of what is created; empty: nobody.
};

struct StatusesHandlers {
  /// Whether a ServiceL2Status exists for a Service may be otherwise than before.
  std::function<void(const model::ServiceKey& service, bool exists)> on_status;
  /// All of them are known, or will not be for now.
  std::function<void(bool known)> on_settled;
};

/// Carries what the speaker says to the API server: a ServiceL2Status for each Service that it
/// announces, its ConfigurationState, and events. Lives on the event loop's thread.
class Statuses {
 public:
  Statuses(const io::Context& context, StatusesOptions options, StatusesHandlers handlers);
  ~Statuses();
  Statuses(const Statuses&) = delete;
  Statuses& operator=(const Statuses&) = delete;

  void Start();
  void SetOwner(const std::string& pod_uid);

  /// All Services that are announced from here; not before the first elections.
  void SetAnnounced(const ServiceInterfaces& announced);
  void ConfigOutcome(const absl::StatusOr<config::Config>& outcome);
  void SetConflicts(const std::vector<ConflictFact>& conflicts);
  void SetTraps(const std::vector<TrapFact>& traps);

  void EmitNodeAssigned(const model::ServiceKey& service, const std::string& uid);
  void EmitAnnounceFailed(const model::ServiceKey& service, const std::string& uid,
                          const std::string& message);
  void EmitAbout(const model::ServiceKey& service, const std::string& uid, kube::EventType type,
                 std::string_view reason, std::string message);
  void EmitAboutNode(kube::EventType type, std::string_view reason, std::string message);

  /// ServiceL2Status objects that are not yet what they should be.
  [[nodiscard]] std::size_t pending() const { return l2_statuses_.pending(); }

 private:
  void WatchL2Statuses();
  void Settle(bool known);
  void Schedule();
  void Poll();
  void SetOrRemove(std::string_view type, std::optional<status::Condition> condition);
  [[nodiscard]] kube::EventContent Content(kube::EventType type, std::string_view reason,
                                           std::string message) const;
  void Emit(const kube::EventObject& about, const kube::EventContent& event);

  const io::Context context_;
  const StatusesOptions options_;
  const StatusesHandlers handlers_;
  ServiceL2StatusKeeper l2_statuses_;
  io::ConfigurationStateWriter state_;
  bool settled_ = false;
  bool owned_ = false;
  bool scheduled_ = false;
  io::Timer patience_;
  io::Timer timer_;
  std::unique_ptr<io::WatchHandle> watch_;
  io::Lifetime lifetime_;
};

}  // namespace stentor::speaker
