// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The EndpointSlices of LoadBalancer Services, out of a watch that delivers those of all Services.
/// What nobody needs is dropped, so that memory follows the number of LoadBalancer Services; the
/// price is that a Service which is needed later (its type was changed, say) has slices that the
/// watch will not repeat. They are listed then. The youngest of what was dropped is still at hand,
/// so that a new Service, whose slices may arrive before it does, costs no request.
///
/// "Youngest" is by the API server's own clock, which stamps Services and slices alike: the slice
/// controller makes slices after their Service, so all slices of a Service that is younger than
/// everything that was dropped for good are at hand. This node's clock doesn't matter.
///
/// Two sources of the same objects can overtake each other. The watch is right in its own order. A
/// list is a second look: it never replaces what the watch told and is newer, never brings back
/// what the watch removed while it was under way, and is repeated when the watch had to begin anew.

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/base/time.h"
#include "common/kube/codec.h"
#include "common/model/objects.h"

namespace stentor::speaker {

/// Not thread-safe.
class Slices {
 public:
  /// Bounds on what is kept of slices that nobody needs.
  struct Limits {
    std::size_t slices = 256;
    std::size_t endpoints = 4096;  ///< Of all of them together.
  };
  Slices() : Slices(Limits{}) {}
  explicit Slices(Limits limits) : limits_(limits) {}
  Slices(Slices&&) = default;  // not to be copied: it points into itself

  /// The slices of `service` are needed from now on.
  void Want(const model::ServiceKey& service, std::optional<WallTime> created, bool has_selector);
  /// No more.
  void Unwant(const model::ServiceKey& service);
  [[nodiscard]] bool IsWanted(const model::ServiceKey& service) const {
    return wanted_.contains(service);
  }

  /// From the watch, before an object is decoded: whether it has to be, and be given to Upsert().
  /// Where not, this call has taken note of all that is worth it.
  [[nodiscard]] bool Wants(const kube::SliceHeader& header);

  /// From the watch: new or changed; after Wants(). Its endpoints are sorted, and alike ones once,
  /// here as in OnListed(). Returns the Services (two, where a slice changes hands) whose endpoints
  /// are different now.
  std::vector<model::ServiceKey> Upsert(const model::EndpointSlice& slice);
  /// From the watch: gone.
  std::vector<model::ServiceKey> Delete(const model::ObjectKey& key);
  /// The watch has been through a complete list: what only our own lists told is asked for again,
  /// since the watch may never have known it, and so can't tell when it goes.
  void OnWatchSynced();

  /// Services whose slices the caller must list, sorted. Each is given once until it is answered,
  /// by OnListed() or OnListFailed(), also where it is not needed any more: an answer to a question
  /// of an earlier life must not pass for the one to a later question.
  [[nodiscard]] std::vector<model::ServiceKey> TakeToList();
  /// The complete answer. True where the endpoints of `service` are different now.
  bool OnListed(const model::ServiceKey& service, const std::vector<model::EndpointSlice>& slices);
  /// It failed, and nobody retries: TakeToList() gives it again if it is still needed.
  void OnListFailed(const model::ServiceKey& service);

  /// All endpoints of `service`, sorted, alike ones once. Valid until the next call that is not
  /// const.
  [[nodiscard]] const std::vector<model::Endpoint>& EndpointsOf(
      const model::ServiceKey& service) const;

  /// The slices that Services need.
  void ForEach(const std::function<void(const model::EndpointSlice&)>& visit) const;
  /// Whether they are others than at the last call, in more than their versions.
  [[nodiscard]] bool TakeChanged() { return std::exchange(changed_, false); }

  /// Slices kept for Services that need them, and beside.
  [[nodiscard]] std::size_t kept() const noexcept { return kept_.size(); }
  [[nodiscard]] std::size_t spare() const noexcept { return spare_.size(); }

 private:
  // Kept for a Service that needs it.
  struct Slice {
    model::EndpointSlice object;
    bool listed = false;  // our own list told it, and not the watch since
  };
  struct SliceName {
    const model::ServiceKey& service;
    std::string_view name;
  };
  // Those of a Service are neighbours.
  struct ByService {
    using is_transparent = void;
    bool operator()(const Slice& a, const Slice& b) const;
    bool operator()(const Slice& a, const SliceName& b) const;
    bool operator()(const SliceName& a, const Slice& b) const;
    bool operator()(const Slice& a, const model::ServiceKey& b) const;
    bool operator()(const model::ServiceKey& a, const Slice& b) const;
  };
  using Kept = std::set<Slice, ByService>;
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(const model::ObjectKey& key) const;
    std::size_t operator()(const Slice* slice) const { return (*this)(slice->object.key); }
  };
  struct KeyEqual {
    using is_transparent = void;
    bool operator()(const Slice* a, const Slice* b) const { return a == b; }
    bool operator()(const Slice* a, const model::ObjectKey& b) const { return a->object.key == b; }
  };
  // Of one Service, by ourselves.
  struct Listing {
    bool under_way = false;         // or due
    bool again = false;             // the answer under way is not the last word
    std::set<std::string> deleted;  // by the watch, while it is under way
  };
  // The endpoints of all of its slices where they are several; with one, they are that one's.
  using Merged = std::vector<model::Endpoint>;
  using SpareKey = std::pair<WallTime, model::ObjectKey>;  // the oldest first

  [[nodiscard]] bool MayMissSlices(const model::ServiceKey& service,
                                   std::optional<WallTime> created, bool has_selector) const;
  // Null where it is not kept.
  [[nodiscard]] const Slice* Find(const model::ObjectKey& key) const;
  void Put(const model::EndpointSlice& slice, bool listed);
  void Drop(Kept::iterator slice);
  // After slices of `service` have changed, whose endpoints were `before`: true where they are
  // different now.
  bool Refresh(const model::ServiceKey& service, const std::vector<model::Endpoint>& before);
  void Keep(model::EndpointSlice slice);
  // A slice of `service` is dropped for good.
  void NoteLost(const model::ServiceKey& service, std::optional<WallTime> created,
                bool by_controller);
  void DropSpare(const model::ObjectKey& key);
  void NoteGone(const model::ObjectKey& key);
  [[nodiscard]] static std::size_t Mark(const model::ServiceKey& service);

  const Limits limits_;
  std::map<model::ServiceKey, Merged> wanted_;
  Kept kept_;
  absl::flat_hash_set<const Slice*, KeyHash, KeyEqual> by_key_;  // of kept_
  std::map<model::ServiceKey, Listing> listing_;                 // those that are wanted
  std::set<model::ServiceKey> unanswered_;                       // asked for, wanted or not
  bool changed_ = false;                                         // since TakeChanged()

  std::map<SpareKey, model::EndpointSlice> spare_;
  absl::flat_hash_map<model::ObjectKey, WallTime> spare_created_;
  std::size_t spare_endpoints_ = 0;
  std::optional<WallTime> dropped_until_;  // the youngest that was dropped for good
  bool dropped_ageless_ = false;           // one that was didn't tell its age
  // Hashes of Services of which slices were dropped for good that may be older than they are, and
  // of those that were needed before. Set once, set for ever: a bit too many costs a request.
  std::bitset<65'536> older_slices_;
};

}  // namespace stentor::speaker
