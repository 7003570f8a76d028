// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What this node claims, so that its Services stay here when the node that the election prefers
/// comes back, and when it gives them back all the same (annotation model::kFailBack). Pure.
///
/// Beginning: whoever wins a Service without a claim, by the election's order, claims it under an
/// epoch above all known ones. End: another node wins (this one yields, was paused, a partition has
/// healed), or the tenant gives it back. While nobody can win, who claimed it last goes on doing
/// so.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/config/config.h"
#include "common/model/types.h"
#include "speaker/claims/claims.h"
#include "speaker/reconcile/losses.h"

namespace stentor::speaker {

/// A Service that stays on this node though another one would be elected, or goes back to it.
struct StayNotice {
  model::ServiceKey service;
  model::NodeName preferred;  ///< That other node.
  bool given_back = false;
  std::optional<Duration> delay = {};  ///< After which it is given back; nothing for never.

  friend bool operator==(const StayNotice&, const StayNotice&) = default;
};

/// Not thread-safe. An address stands for all Services that have it as their first one.
class Tenancies {
 public:
  /// What this node claims of `address`; 0: nothing.
  [[nodiscard]] std::uint32_t EpochOf(AddressKey address) const;

  /// This node has won `service` and announces it. `highest_epoch` says what is known of claims of
  /// the address, anybody's; it is asked only where this node has to claim anew.
  void Win(AddressKey address, const model::ServiceKey& service,
           const std::function<std::uint32_t(AddressKey)>& highest_epoch);
  /// Another node has won it, it is gone, or doesn't stay anywhere any more.
  void Release(AddressKey address, const model::ServiceKey& service);
  /// Whoever is elected without this node's claim may have the address, at once.
  void GiveBack(AddressKey address);

  enum class WaitState : std::uint8_t { kBegan, kGoesOn, kOver };
  struct Wait {
    WaitState state = WaitState::kGoesOn;
    std::optional<Duration> delay = {};  ///< In all; nothing for never.
  };
  /// `preferred` would be elected if nobody claimed the address; asked at each election until that
  /// is over, and since without interruption. `delay` is what the advertisements say.
  [[nodiscard]] Wait Await(AddressKey address, std::string_view preferred,
                           config::FailBackDelay delay, const Losses& losses, TimePoint now);
  /// This node itself would be.
  void AwaitNobody(AddressKey address);

  /// The Services whose wait is over: elections of them are due.
  [[nodiscard]] std::vector<model::ServiceKey> Due(TimePoint now) const;
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// Brings claims() up to date.
  void Publish();
  /// At most kMaxClaims: what is won beyond is not claimed.
  [[nodiscard]] const Claims& claims() const noexcept { return published_; }

 private:
  struct Tenancy {
    std::uint32_t epoch = 0;
    std::set<model::ServiceKey> services;  // never none
    std::string preferred;                 // empty: nobody is waited for
    TimePoint since;                       // that one has been preferred
    std::optional<TimePoint> deadline;     // when it is over; nothing for never
  };
  using ByAddress = std::map<AddressKey, Tenancy>;

  void SetDeadline(AddressKey address, Tenancy& tenancy, std::optional<TimePoint> deadline);
  void Drop(ByAddress::iterator it);

  ByAddress tenancies_;
  std::set<std::pair<TimePoint, AddressKey>> deadlines_;
  Claims published_;
  bool changed_ = false;  // since Publish()
};

}  // namespace stentor::speaker
