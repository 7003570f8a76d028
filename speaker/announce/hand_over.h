// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Addresses that this node leaves to another one, make-before-break: they are answered until the
/// other has announced them. Pure; knows neither links nor frames: Announcer does.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/base/time.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"
#include "common/net/rtnetlink.h"

namespace stentor::speaker {

enum class HandOverOutcome : std::uint8_t {
  kTaken,     ///< A node of the cluster was heard to announce the address.
  kTimedOut,  ///< None was within the bound.
};

/// An address that this node fell silent for, because another one has it now, or should.
struct HandOverEnd {
  net::IpAddress address;
  HandOverOutcome outcome{};
  net::MacAddress successor;  ///< Where kTaken.
  net::IfIndex link{};        ///< On which it was heard, where kTaken.
  Duration took{};            ///< Since the address was given up; zero where it was heard before.

  friend bool operator==(const HandOverEnd&, const HandOverEnd&) = default;
};

/// Since the start.
struct HandOverTotals {
  std::uint64_t completed = 0;
  std::uint64_t timed_out = 0;

  friend bool operator==(const HandOverTotals&, const HandOverTotals&) = default;
};

/// Not thread-safe. Memory follows the number of addresses under way, and of ends not yet taken.
class HandOvers {
 public:
  /// Each hand-over ends `bound` after it has begun, if not before.
  explicit HandOvers(Duration bound) noexcept : bound_(bound) {}

  /// What has no bound from now on, whether under way or begun later: who leaves it has it again
  /// should nobody take it. What had none before, and is not among `addresses`, ends by the bound.
  void SetUnbounded(std::set<net::IpAddress> addresses);

  /// `address` must not be under way.
  void Begin(const net::IpAddress& address, TimePoint now);

  /// Heard on `link` from `successor`; does nothing unless the address is under way.
  void Complete(const net::IpAddress& address, const net::MacAddress& successor, net::IfIndex link,
                TimePoint now);

  /// The successor was quicker than the news of it: there was nothing to wait for.
  void CompleteAtOnce(const net::IpAddress& address, const net::MacAddress& successor,
                      net::IfIndex link);

  /// It is over without having come to an end that is worth telling.
  void Drop(const net::IpAddress& address);

  /// Those that are over by now, ascending by time.
  [[nodiscard]] std::vector<net::IpAddress> Expire(TimePoint now);

  [[nodiscard]] bool empty() const noexcept { return begun_.empty(); }
  [[nodiscard]] bool Contains(const net::IpAddress& address) const {
    return begun_.contains(address);
  }
  /// Those under way, ascending.
  [[nodiscard]] std::vector<net::IpAddress> UnderWay() const;

  /// When Expire() has something to do next.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// What ended since the last call, in order.
  [[nodiscard]] std::vector<HandOverEnd> TakeEnds() { return std::exchange(ends_, {}); }
  [[nodiscard]] const HandOverTotals& totals() const noexcept { return totals_; }

 private:
  const Duration bound_;
  absl::flat_hash_map<net::IpAddress, TimePoint> begun_;
  std::set<std::pair<TimePoint, net::IpAddress>> by_begin_;  // those with a bound
  std::set<net::IpAddress> unbounded_;
  std::vector<HandOverEnd> ends_;
  HandOverTotals totals_;
};

}  // namespace stentor::speaker
