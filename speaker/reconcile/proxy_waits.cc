// SPDX-License-Identifier: Apache-2.0
#include "speaker/reconcile/proxy_waits.h"

#include <algorithm>

namespace stentor::speaker {

void LocalEndpoints::Note(bool any, TimePoint now) {
  if (any && !any_) {
    since_ = now;
    settled_ = !looked_;
  }
  any_ = any;
  looked_ = true;
}

std::optional<TimePoint> LocalEndpoints::UnsettledUntil(TimePoint now) const {
  const TimePoint until = since_ + kProxyLag;
  return any_ && !settled_ && now < until ? std::optional(until) : std::nullopt;
}

std::vector<net::IpAddress> ProxyHosts(const Links& links) {
  std::vector<net::IpAddress> hosts = {net::Ipv4Address::FromOctets(127, 0, 0, 1),
                                       *net::IpAddress::Parse("::1")};
  for (const auto& [index, link] : links.all()) {
    for (const auto& [address, its] : link.addresses) {
      if (link.can_answer && address != link.link_local && hosts.size() < kMaxProxyHosts) {
        hosts.push_back(address);
      }
    }
  }
  return hosts;
}

std::vector<model::ServiceKey> ProxyAskOrder::Next(const ProxyWaits& waits) {
  std::vector<model::ServiceKey> turn;
  auto it = waits.upper_bound(last_);
  for (std::size_t i = std::min(kEachTurn, waits.size()); i > 0; --i) {
    it = it == waits.end() ? waits.begin() : it;
    turn.push_back(it->first);
    ++it;
  }
  if (!turn.empty()) {
    last_ = turn.back();
  }
  return turn;
}

}  // namespace stentor::speaker
