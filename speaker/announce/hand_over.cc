// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/hand_over.h"

#include <algorithm>

#include "common/base/check.h"

namespace stentor::speaker {

void HandOvers::SetUnbounded(std::set<net::IpAddress> addresses) {
  if (addresses == unbounded_) {
    return;
  }
  unbounded_ = std::move(addresses);
  by_begin_.clear();
  for (const auto& [address, begun] : begun_) {
    if (!unbounded_.contains(address)) {
      by_begin_.insert({begun, address});
    }
  }
}

void HandOvers::Begin(const net::IpAddress& address, TimePoint now) {
  const bool is_new = begun_.try_emplace(address, now).second;
  STENTOR_CHECK(is_new);
  if (!unbounded_.contains(address)) {
    by_begin_.insert({now, address});
  }
}

void HandOvers::Complete(const net::IpAddress& address, const net::MacAddress& successor,
                         net::IfIndex link, TimePoint now) {
  const auto found = begun_.find(address);
  if (found == begun_.end()) {
    return;
  }
  ends_.push_back({.address = address,
                   .outcome = HandOverOutcome::kTaken,
                   .successor = successor,
                   .link = link,
                   .took = now - found->second});
  ++totals_.completed;
  Drop(address);
}

void HandOvers::CompleteAtOnce(const net::IpAddress& address, const net::MacAddress& successor,
                               net::IfIndex link) {
  ends_.push_back({.address = address,
                   .outcome = HandOverOutcome::kTaken,
                   .successor = successor,
                   .link = link});
  ++totals_.completed;
}

void HandOvers::Drop(const net::IpAddress& address) {
  if (const auto found = begun_.find(address); found != begun_.end()) {
    by_begin_.erase({found->second, address});
    begun_.erase(found);
  }
}

std::vector<net::IpAddress> HandOvers::Expire(TimePoint now) {
  std::vector<net::IpAddress> expired;
  while (!by_begin_.empty() && by_begin_.begin()->first + bound_ <= now) {
    const auto [begun, address] = *by_begin_.begin();
    ends_.push_back({.address = address,
                     .outcome = HandOverOutcome::kTimedOut,
                     .successor = {},
                     .took = now - begun});
    ++totals_.timed_out;
    Drop(address);
    expired.push_back(address);
  }
  return expired;
}

std::vector<net::IpAddress> HandOvers::UnderWay() const {
  std::vector<net::IpAddress> addresses;
  for (const auto& [address, begun] : begun_) {
    addresses.push_back(address);
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

std::optional<TimePoint> HandOvers::NextDeadline() const {
  return by_begin_.empty() ? std::nullopt : std::optional(by_begin_.begin()->first + bound_);
}

}  // namespace stentor::speaker
