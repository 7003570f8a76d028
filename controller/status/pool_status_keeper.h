// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Keeps the status of all IPAddressPools true. Pure: requests come out, what the watch shows goes
/// in.
///
///   PoolStatusKeeper keeper(options, io::RandomUniform);
///   keeper.PoolSeen(object) / keeper.PoolGone(key)     // from the watch of ipaddresspools
///   keeper.SetFigures(figures);                        // of all pools in force, after changes
///   status::StatusActions actions = keeper.Poll(now);  // after each input or batch of them, and
///   at
///   ... send actions.requests -> keeper.OnAnswer(now, ticket, answer)    // NextDeadline()
///
/// The first change is written soon (WriteHold), further ones at most twice a second for each pool,
/// and always a last one that is true. Edits by hand are reverted. Pools that are not in force (no
/// figures) are left alone.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/kube/backoff.h"
#include "common/kube/transport.h"
#include "common/model/types.h"
#include "common/status/configuration_state_keeper.h"
#include "common/status/write_pace.h"
#include "controller/status/pool_status.h"

namespace stentor::controller {

struct PoolStatusOptions {
  std::string name_space;  ///< Pools of others are not ours.
  std::size_t max_in_flight = 8;
  Duration interval = std::chrono::milliseconds(500);  ///< Between two writes to one pool.
  Duration request_timeout = std::chrono::seconds(30);
};

/// Not thread-safe. Monotonic time must not go backwards. One request for a pool is under way at
/// most. An input costs O(log n); SetFigures() O(n).
class PoolStatusKeeper {
 public:
  PoolStatusKeeper(PoolStatusOptions options, kube::Uniform uniform);

  /// Of several replicas only the leader writes. A new one is active; one that is not asks for
  /// nothing, and has no deadline, but takes all inputs. When it ends, the figures are forgotten:
  /// another leader changes them.
  void SetActive(bool active);
  /// The figures of all pools of the configuration in force, by name; not before all existing
  /// claims to addresses are known (Reconciler::Started).
  /// True where those of one of them are others than before.
  bool SetFigures(const std::map<model::PoolName, PoolFigures, std::less<>>& figures);
  /// All writes wait, as WriteHold says: figures have changed, so it may be that an address was
  /// given.
  void HoldWrites(TimePoint now) { write_hold_.Hold(now); }

  /// A watch, which may be late, shows a pool. One that can't be read is left alone.
  void PoolSeen(const nlohmann::json& object);
  /// A watch shows that it was deleted.
  void PoolGone(const model::ObjectKey& key);
  /// The answer to the request with `ticket`, or why there is none. Any bytes are allowed.
  void OnAnswer(TimePoint now, std::uint64_t ticket, const absl::StatusOr<kube::Response>& answer);

  /// What is to be done at `now`.
  [[nodiscard]] status::StatusActions Poll(TimePoint now);
  /// When to call Poll() at the latest.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const { return deadline_; }

 private:
  using Due = std::pair<TimePoint, model::PoolName>;
  struct Entry {
    std::optional<SeenPool> seen;
    std::optional<PoolFigures> wanted;
    std::optional<PoolFigures> written;  // by the last write that succeeded
    status::WritePace pace;
    std::uint64_t ticket = 0;  // of what is under way; 0: nothing
    bool conflict = false;     // what is seen is outdated
    int missing = 0;           // answers 404 in succession
    bool told = false;         // that it is refused
    std::optional<TimePoint> due;
  };
  struct Flight {
    model::PoolName pool;
    std::string uid;
    PoolFigures figures;
    TimePoint sent{};
  };
  using Entries = std::map<model::PoolName, Entry, std::less<>>;

  [[nodiscard]] Entry& EntryOf(const model::PoolName& name);
  void Schedule(const model::PoolName& name, Entry& entry);
  static void Adopt(Entry& entry, SeenPool seen);
  void Send(TimePoint now, const model::PoolName& name, status::StatusActions* actions);
  void Land(TimePoint now, std::uint64_t ticket, const absl::StatusOr<kube::Response>& answer);
  void OnWritten(TimePoint now, const Flight& flight, Entry& entry, const std::string& body);
  void OnFailure(TimePoint now, const Flight& flight, Entry& entry,
                 const absl::StatusOr<kube::Response>& answer);
  void ForgetIfUnused(Entries::iterator entry);
  void SetDeadline();

  const PoolStatusOptions options_;
  const kube::Uniform uniform_;
  bool active_ = true;
  Entries pools_;
  std::set<Due> due_;  // of those that are to be written and not in flight
  std::map<std::uint64_t, Flight> flights_;
  std::uint64_t tickets_ = 0;
  status::RefusalGate refusals_;
  status::WriteHold write_hold_;
  std::optional<TimePoint> hold_until_;  // the server asked for patience
  std::optional<status::Notice> notice_;
  std::optional<TimePoint> deadline_;
};

}  // namespace stentor::controller
