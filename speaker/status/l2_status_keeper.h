// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Keeps the ServiceL2Status of each Service that this node announces, and takes away what is left
/// of others. Pure: requests come out, what the watch shows and the answers go in.
///
///   ServiceL2StatusKeeper keeper({.name_space = ns, .node = node}, io::RandomUniform);
///   keeper.SetOwner({pod_name, pod_uid});            // where it is known
///   keeper.Seen(object) / keeper.Gone(key)           // from a watch of all servicel2statuses of
///   keeper.Synced() / keeper.WatchRefused(now, why)  // the namespace
///   keeper.SetAnnounced(all);                        // after the first elections; then that, or
///   keeper.Announce(service, interfaces) / keeper.Withdraw(service)          // single changes
///   status::StatusActions actions = keeper.Poll(now);    // after each input or batch of them, and
///   ... send actions.requests -> keeper.OnAnswer(now, ticket, answer)        // at NextDeadline()
///
/// As in MetalLB: one object a Service, of the node that announces it, which deletes all others of
/// that Service; who does not announce it deletes only its own. Otherwise: interfaces are sorted;
/// nothing is written where nothing changes; names are chosen here (`l2-` and a random part, as the
/// API server would from generateName), so that a creation whose answer was lost can be repeated.
///
/// Nothing is asked for before the watch has shown all objects and SetAnnounced() was called. For
/// a Service one request is under way at most, and `max_in_flight` for all; creations and
/// deletions take turns. While the API server can't be reached, one request at a time finds out
/// whether it is back.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/kube/backoff.h"
#include "common/kube/transport.h"
#include "common/model/types.h"
#include "common/status/configuration_state_keeper.h"
#include "common/status/write_pace.h"
#include "speaker/status/l2_status.h"

namespace stentor::speaker {

/// Services that this node announces, each with the interfaces, sorted; none: all.
using ServiceInterfaces = std::map<model::ServiceKey, std::vector<std::string>>;

struct L2StatusOptions {
  std::string name_space;  ///< MetalLB's; objects of others are not looked at.
  model::NodeName node;    ///< This one.
  std::size_t max_in_flight = 32;
  Duration interval = std::chrono::milliseconds(500);  ///< Between two writes of one status.
  Duration request_timeout = std::chrono::seconds(30);
};

/// Not thread-safe. Monotonic time must not go backwards. An input costs O(log n); SetAnnounced()
/// O(n). Memory follows the number of objects and of announced Services.
class ServiceL2StatusKeeper {
 public:
  ServiceL2StatusKeeper(L2StatusOptions options, kube::Uniform uniform);

  /// Name and uid of the speaker's Pod, both known. Without it, objects are made without an owner,
  /// and owners are left as they are.
  void SetOwner(status::OwnerPod owner);

  /// All Services that this node announces; others are withdrawn. Not before the first elections,
  /// or objects would go for a moment. True where one of them is new, or has other interfaces.
  bool SetAnnounced(const ServiceInterfaces& announced);
  /// One of them is new, or has other interfaces; or is announced no more.
  bool Announce(const model::ServiceKey& service, std::vector<std::string> interfaces);
  void Withdraw(const model::ServiceKey& service);

  /// New statuses wait, as WriteHold says. Deletions don't.
  void HoldWrites(TimePoint now) { write_hold_.Hold(now); }

  /// A watch, which may be late, shows an object. Returns the Service for which Known() may answer
  /// otherwise now; nothing where the object can't be read, or is not looked at.
  std::optional<model::ServiceKey> Seen(const nlohmann::json& object);
  /// A watch shows that it is deleted.
  std::optional<model::ServiceKey> Gone(const model::ObjectKey& key);
  /// A list is complete: all objects are known.
  void Synced();
  /// The list was refused (403; 404: manifests before MetalLB 0.14 know no such kind), and never
  /// was complete. Poll() then has a notice, once.
  void WatchRefused(TimePoint now, const absl::Status& why);
  /// The answer to the request with `ticket`, or why there is none. Any bytes are allowed.
  void OnAnswer(TimePoint now, std::uint64_t ticket, const absl::StatusOr<kube::Response>& answer);

  /// What is to be done at `now`.
  [[nodiscard]] status::StatusActions Poll(TimePoint now);
  /// When to call Poll() at the latest.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const { return deadline_; }

  /// Whether any speaker has announced the Service: an object exists for it. Nothing while that is
  /// not known (Synced).
  [[nodiscard]] std::optional<bool> Known(const model::ServiceKey& service) const;
  /// Services whose objects are not what they should be; those under way included.
  [[nodiscard]] std::size_t pending() const;

 private:
  enum class Verb : std::uint8_t { kCreate, kMetadata, kStatus, kDelete, kRead };
  enum class Lane : std::uint8_t { kWrites, kDeletions };
  // When, in which order, which Service.
  using Due = std::tuple<TimePoint, std::uint64_t, model::ServiceKey>;

  // What of an object of ours is otherwise than it should be: there are as many objects as
  // Services.
  struct Odd {
    model::Labels labels;
    nlohmann::json owners;
    L2StatusContent content;
  };
  struct Object {
    const std::string* name = nullptr;           // its key in objects_
    const model::ServiceKey* service = nullptr;  // that of its entry
    std::string uid;
    std::string resource_version;
    model::NodeName node;
    bool labelled = false;                // its labels are right
    bool owned = false;                   // our Pod is its only owner
    bool told = false;                    // its status says this Service and node, and
    std::vector<std::string> interfaces;  // these
    std::unique_ptr<Odd> odd;             // the rest; null where there is none, and for others'
    std::optional<TimePoint> read_due;    // unless the watch shows it until then
    bool deleting = false;                // it has a deletionTimestamp
    bool shown = false;                   // by the watch
    bool made_here = false;               // by this keeper
    bool frozen = false;                  // outdated: it is not changed before it is read
    bool deleted = false;                 // by us; the watch has not shown it yet
    bool status_missing = false;          // the server knows the object, but not its status
  };
  struct Paces {
    status::WritePace creations;  // and those of labels and owners
    status::WritePace statuses;
    status::WritePace deletions;
  };
  // What happened since the Service is announced from here.
  struct Tenure {
    std::string new_name;     // of an object that was asked for, and may or may not exist
    bool name_taken = false;  // there is one of that name: whose is it?
    bool created = false;     // or its labels and owners were written
    std::optional<std::vector<std::string>> written;  // interfaces, by the last status that was
    std::vector<model::NodeName> overruled;           // whose objects were deleted
    int invalid = 0;                                  // answers 400 and 422 in succession
  };
  struct Entry {
    std::optional<std::vector<std::string>> wanted;  // interfaces
    absl::InlinedVector<Object*, 1> objects;         // by name
    Tenure tenure;
    std::unique_ptr<Paces> paces;  // since something was sent, until nothing is left of it
    std::uint64_t ticket = 0;      // of what is under way; 0: nothing
    // Its place in a queue.
    bool queued = false;
    Lane lane = Lane::kWrites;
    TimePoint due{};
    std::uint64_t sequence = 0;
  };
  using Entries = std::map<model::ServiceKey, Entry>;
  struct Step {
    Verb verb = Verb::kRead;
    TimePoint due{};
    bool restores = false;
    const Object* object = nullptr;  // null: it is to be made, or one of its name is to be read
  };
  struct Flight {
    model::ServiceKey service;
    Verb verb = Verb::kRead;
    Lane lane = Lane::kWrites;
    std::string name;                     // of the object
    std::string uid;                      // empty where it is not known yet
    std::string resource_version;         // of what it changes
    std::vector<std::string> interfaces;  // of kStatus: what is written
    TimePoint sent{};
  };
  struct Queue {
    std::set<Due> due;
    std::size_t under_way = 0;
  };

  // What is to be done (l2_status_steps.cc)
  [[nodiscard]] std::optional<Step> NextStep(const model::ServiceKey& service,
                                             const Entry& entry) const;
  [[nodiscard]] std::optional<Step> OwnStep(const model::ServiceKey& service, const Entry& entry,
                                            const Object* own) const;
  [[nodiscard]] std::optional<Step> DeletionStep(const Entry& entry, const Object* own) const;
  [[nodiscard]] const Object* OwnObject(const model::ServiceKey& service, const Entry& entry) const;
  // What the status of the object says; empty for others'.
  [[nodiscard]] bool Says(const Object& object, const L2StatusContent& content) const;
  [[nodiscard]] bool MayBecome(const Object& object, const L2StatusContent& wanted) const;
  [[nodiscard]] bool IsOurs(const Object& object) const;
  [[nodiscard]] bool MetadataMatches(const Object& object) const;
  [[nodiscard]] kube::Request RequestFor(const Step& step, const model::ServiceKey& service,
                                         const Entry& entry, const std::string& name) const;
  void NoteSent(TimePoint now, const Step& step, Entry& entry) const;

  // When (l2_status_keeper.cc)
  void Schedule(Entries::iterator entry);
  void ScheduleAll();
  [[nodiscard]] Queue& QueueOf(Lane lane) { return queues_[static_cast<std::size_t>(lane)]; }
  [[nodiscard]] const Queue& QueueOf(Lane lane) const {
    return queues_[static_cast<std::size_t>(lane)];
  }
  [[nodiscard]] std::size_t RoomOf(Lane lane) const;
  [[nodiscard]] TimePoint NotBefore(Lane lane) const;
  [[nodiscard]] std::optional<Lane> NextLane(TimePoint now) const;
  void Send(TimePoint now, const model::ServiceKey& service, status::StatusActions* actions);
  void SetDeadline();
  void DropIdlePaces(TimePoint now);
  [[nodiscard]] std::string NewName() const;

  // What came of it (l2_status_answers.cc)
  void Land(TimePoint now, std::uint64_t ticket, const absl::StatusOr<kube::Response>& answer);
  void OnDone(TimePoint now, const Flight& flight, Entry& entry, const std::string& body);
  void OnFailure(TimePoint now, const Flight& flight, Entry& entry,
                 const absl::StatusOr<kube::Response>& answer);
  void OnRead(TimePoint now, const Flight& flight, Entry& entry, Object* object);
  void OnReadFailed(TimePoint now, const Flight& flight, Entry& entry, Duration wait);
  void OnMissing(TimePoint now, const Flight& flight, const absl::Status& why);
  void OnConflict(TimePoint now, const Flight& flight, Entry& entry);
  void OnInvalid(TimePoint now, const Flight& flight, Entry& entry, const absl::Status& why);
  void OnServerTrouble(TimePoint now, std::optional<Duration> retry_after);
  [[nodiscard]] status::WritePace& PaceOf(Verb verb, Entry& entry) const;
  // Refusals of creations and of labels, of statuses, and of deletions are told apart: a right to
  // one of them is none to another.
  [[nodiscard]] static std::size_t GateOf(Verb verb);
  void Refuse(TimePoint now, std::size_t gate, const absl::Status& why);
  void Accept(std::size_t gate);
  [[nodiscard]] Object* Find(const std::string& name);
  Object* Adopt(SeenL2Status seen);
  [[nodiscard]] Object* Add(const std::string& name, const model::ServiceKey& service);
  void LeaveOut(Object& object) const;
  void Forget(const std::string& name);

  const L2StatusOptions options_;
  const kube::Uniform uniform_;
  std::optional<status::OwnerPod> owner_;
  bool decided_ = false;                   // SetAnnounced() was called
  bool synced_ = false;                    // all objects were shown once
  std::map<std::string, Object> objects_;  // by name
  Entries entries_;
  std::array<Queue, 2> queues_;
  std::deque<std::pair<TimePoint, model::ServiceKey>> paced_;  // whose paces are looked at then
  Lane next_lane_ = Lane::kWrites;                             // they take turns
  std::uint64_t sequence_ = 0;
  std::map<std::uint64_t, Flight> flights_;  // by ticket, so in the order of sending
  std::uint64_t tickets_ = 0;
  std::array<status::RefusalGate, 3> refusals_;
  bool told_ = false;  // that something is refused
  std::optional<TimePoint> invalid_told_;
  int failures_ = 0;                     // of the server, in succession
  std::optional<TimePoint> hold_until_;  // nothing is sent before
  status::WriteHold write_hold_;
  std::optional<status::Notice> notice_;
  std::optional<TimePoint> deadline_;
};

}  // namespace stentor::speaker
