// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What this node claims, so that its Services stay here when the node that the election prefers
/// comes back, and when it gives them back all the same (annotation model::kFailBack). Pure.
///
/// | of a Service or its address, event                      | verb        | this node's claim    |
/// |---------------------------------------------------------|-------------|----------------------|
/// | this node wins it, and announces it                     | Win         | begins, or goes on   |
/// | nobody can, or this node may not announce it for now    | Rest        | goes on              |
/// | another node wins it (this one yields, was paused, ...) | Lose        | ends                 |
/// | it stays no more; it is gone                            | Release     | ends, after a grace  |
/// | this node leaves it to whoever is elected without it    | GiveBack    | ends                 |
/// | somebody has taken what was given back                  | NoteTaken   | none                 |
/// | nobody has in time: this node wins it again             | TakeOverdue | none                 |
///
/// A claim begins under an epoch above all known ones.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
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
  /// Nobody can win it, or this node may not announce it for now: it stays claimed.
  void Rest(AddressKey address, const model::ServiceKey& service);
  /// Another node has won it. What rests goes with it: the other one claims the address.
  void Lose(AddressKey address, const model::ServiceKey& service);
  /// It doesn't stay any more. Where it is gone, or nobody may announce it any more, speakers that
  /// hear of that from the API server later than this one would win it if nobody claimed it: what
  /// this node has is claimed for `grace` (kReleaseGrace) longer.
  void Release(AddressKey address, const model::ServiceKey& service, TimePoint now,
               Duration grace = {});
  static constexpr Duration kReleaseGrace = std::chrono::seconds(10);
  /// Whoever is elected without this node's claim may have the address, at once. If it has to be
  /// taken, then by `until`: see AwaitsTaker().
  void GiveBack(AddressKey address, std::optional<TimePoint> until = {});
  /// It was given back to be taken, and neither NoteTaken() nor its time has come.
  [[nodiscard]] bool AwaitsTaker(AddressKey address) const { return given_back_.contains(address); }
  /// Somebody has claimed it, or announces it. True if it was awaited.
  [[nodiscard]] bool NoteTaken(AddressKey address) { return given_back_.erase(address) > 0; }
  /// The addresses that nobody has taken in time; each once.
  [[nodiscard]] std::set<AddressKey> TakeOverdue(TimePoint now);

  enum class WaitState : std::uint8_t { kBegan, kGoesOn, kOver };
  struct Wait {
    WaitState state = WaitState::kGoesOn;
    std::string_view preferred = {};     ///< Valid until anything changes.
    std::optional<Duration> delay = {};  ///< In all; nothing for never.
  };
  /// `preferred` would be elected if nobody claimed the address; asked at each election until that
  /// is over, and since without interruption. `delay` is what the advertisements say. Of several
  /// Services that this node has won, all have to prefer others, and the first by name says whom.
  [[nodiscard]] Wait Await(AddressKey address, const model::ServiceKey& service,
                           std::string_view preferred, config::FailBackDelay delay,
                           const Losses& losses, TimePoint now);
  /// This node itself would be.
  void AwaitNobody(AddressKey address, const model::ServiceKey& service);

  /// Ends what was to be released later, until now.
  void Expire(TimePoint now);
  /// The Services whose wait is over: elections of them are due.
  [[nodiscard]] std::vector<model::ServiceKey> Due(TimePoint now) const;
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// Brings claims() up to date.
  void Publish();
  /// At most kMaxClaims: what is won beyond is not claimed.
  [[nodiscard]] const Claims& claims() const noexcept { return published_; }

 private:
  enum class Holding : std::uint8_t { kWon, kRests, kLost, kReleased };
  struct Held {
    Holding holding = Holding::kWon;
    std::string preferred = {};  // where it is won; empty: this node
    TimePoint until = {};        // where it is released: the end of the grace
  };
  struct Tenancy {
    std::uint32_t epoch = 0;
    std::map<model::ServiceKey, Held> services;
    std::string preferred;              // empty: nobody is waited for
    TimePoint since;                    // that one has been preferred
    std::optional<TimePoint> deadline;  // when it is over; nothing for never
  };
  using ByAddress = std::map<AddressKey, Tenancy>;

  void SetDeadline(AddressKey address, Tenancy& tenancy, std::optional<TimePoint> deadline);
  void Set(ByAddress::iterator it, const model::ServiceKey& service, Held held);
  void Erase(ByAddress::iterator it, const model::ServiceKey& service);
  // After a change other than one of what is preferred.
  void Review(ByAddress::iterator it);
  void Drop(ByAddress::iterator it);
  [[nodiscard]] static const std::string& PreferredBy(const Tenancy& tenancy);

  ByAddress tenancies_;
  std::set<std::pair<TimePoint, AddressKey>> deadlines_;
  std::set<std::tuple<TimePoint, AddressKey, model::ServiceKey>> released_;
  std::map<AddressKey, TimePoint> given_back_;  // until when they have to be taken
  Claims published_;
  bool changed_ = false;  // since Publish()
};

}  // namespace stentor::speaker
