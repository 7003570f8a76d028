// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Keeps what is to be saved, and says when. Pure: objects come in, or are asked for; bytes
/// come out, which the shell writes (to another file, then renamed) wherever they are to be.
///
///   StateKeeper keeper({cluster, node}, {.services = ..., .slices = ...});
///   keeper.Upsert(node) / keeper.Delete(resource, key) / keeper.NoteSourcesChanged() ...
///   keeper.Complete();                                // everything has been read once
///   if (auto bytes = keeper.Poll(now, wall)) { ... }  // after inputs, and at NextDeadline()
///   keeper.OnWritten(now, outcome);                   // of writing these bytes
///
/// Services and slices, of which there are thousands, stay with who elects by them. Every other
/// object is kept as the line that is saved of it: what changes nothing there (a node's heartbeat)
/// writes nothing.

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/model/objects.h"
#include "speaker/state/resource.h"
#include "speaker/state/saved_state.h"

namespace stentor::speaker {

/// Not thread-safe. Monotonic time must not go backwards.
class StateKeeper {
 public:
  /// Between two writes at least; and for each MiB of the state as much again, so that a large one
  /// that changes all the time does not wear the disk.
  static constexpr Duration kInterval = std::chrono::seconds(1);
  /// After a write that failed: this, doubled up to the maximum.
  static constexpr Duration kRetry = std::chrono::seconds(5);
  static constexpr Duration kMaxRetry = std::chrono::minutes(5);

  /// Calls its argument with each object.
  template <typename Object>
  using Source = std::function<void(const std::function<void(const Object&)>&)>;
  /// What is not kept here, in an order that stays.
  struct Sources {
    Source<model::Service> services;
    Source<model::EndpointSlice> slices;
  };

  StateKeeper(StateIdentity identity, Sources sources)
      : identity_(std::move(identity)), sources_(std::move(sources)) {}

  /// An object as it is now.
  void Upsert(const model::Node& node);
  void Upsert(const model::Pod& pod);
  void Upsert(const model::IpAddressPoolResource& pool);
  void Upsert(const model::L2AdvertisementResource& advertisement);
  void Upsert(const model::AddressPoolResource& pool);
  void Upsert(const model::ConfigMapEntry& entry);  ///< One: the legacy configuration.
  /// It is gone. Nodes have no namespace.
  void Delete(Resource resource, const model::ObjectKey& key);
  /// What the sources show has changed, in what is saved of it.
  void NoteSourcesChanged() { dirty_ = true; }

  /// All of the above is known from the API: from now on it is worth writing. Until then what is on
  /// disk is better.
  void Complete() { complete_ = true; }

  /// The bytes to be written at `now`, if any; `wall`, in whole seconds, goes into them. The write
  /// is under way until OnWritten(). Where the state is longer than kMaxStateOctets, there are
  /// none, and TakeNotice() says so.
  [[nodiscard]] std::optional<std::string> Poll(TimePoint now, WallTime wall);
  /// What became of the bytes.
  void OnWritten(TimePoint now, const absl::Status& outcome);
  /// When to call Poll() at the latest.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// Whether what was last written is what is known, or is under way.
  [[nodiscard]] bool clean() const { return !dirty_; }
  /// Something for the log, once for each change: why nothing can be saved; or OK, it can again.
  [[nodiscard]] std::optional<absl::Status> TakeNotice() {
    return std::exchange(notice_, std::nullopt);
  }
  /// Objects kept here.
  [[nodiscard]] std::size_t size() const;
  /// Octets of the last text.
  [[nodiscard]] std::size_t octets() const { return octets_; }

 private:
  using Lines = std::map<model::ObjectKey, std::string>;

  void Put(Resource resource, const model::ObjectKey& key, std::string line);
  [[nodiscard]] std::string Text(WallTime wall) const;
  void Failed(TimePoint now, const absl::Status& why);

  const StateIdentity identity_;
  const Sources sources_;
  std::map<Resource, Lines> objects_;
  bool complete_ = false;
  bool dirty_ = true;
  bool under_way_ = false;
  int failures_ = 0;  // in succession
  std::size_t octets_ = 0;
  std::optional<absl::Status> notice_;
  std::optional<TimePoint> not_before_;
};

}  // namespace stentor::speaker
