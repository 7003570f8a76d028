// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Services with externalTrafficPolicy Local whose packets the node's service proxy would drop if
/// they came now: it learns of endpoints when the speakers do, and may take a second to make rules
/// of them. Until then whoever had the address before goes on answering. Pure.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/base/time.h"
#include "common/model/types.h"
#include "common/net/ip_address.h"
#include "speaker/announce/links.h"

namespace stentor::speaker {

/// A Service that waits for the service proxy.
struct ProxyWait {
  /// spec.healthCheckNodePort: any path there answers 200 once the proxy's rules know an endpoint
  /// on this node (Kubernetes, "Service of type LoadBalancer", and kube-proxy).
  std::uint16_t port = 0;
  TimePoint until;  ///< Whatever the port says.

  friend bool operator==(const ProxyWait&, const ProxyWait&) = default;
};

using ProxyWaits = std::map<model::ServiceKey, ProxyWait>;

/// How long a service proxy may need after its node got its first endpoint of a Service. Less than
/// AnnouncerOptions::hand_over_bound: the former node still answers when it is over.
inline constexpr Duration kProxyLag = std::chrono::milliseconds(2500);

/// Since when one Service has had an endpoint on this node that can serve. Cheap: one for each
/// Service.
class LocalEndpoints {
 public:
  /// To be told at each look. What is there at the first one has been there for long: the speaker
  /// came later than the endpoints.
  void Note(bool any, TimePoint now);

  /// The port has answered 200 since the endpoints came.
  void NoteProxyReady() { settled_ = true; }

  /// Until when the service proxy may not know of them; nothing where it does.
  [[nodiscard]] std::optional<TimePoint> UnsettledUntil(TimePoint now) const;

 private:
  bool looked_ = false;
  bool any_ = false;
  bool settled_ = false;
  TimePoint since_;
};

/// Where the ports may be open, the most likely first: on loopback, unless the service proxy keeps
/// to addresses of the node (kube-proxy's nodePortAddresses). At most kMaxProxyHosts.
[[nodiscard]] std::vector<net::IpAddress> ProxyHosts(const Links& links);
inline constexpr std::size_t kMaxProxyHosts = 8;

/// Whom to ask when: so many ports a turn, one after the other, so that a thousand Services cost no
/// more than a few.
class ProxyAskOrder {
 public:
  static constexpr std::size_t kEachTurn = 8;

  /// The Services whose turn it is among `waits`; starts anew where the last turn ended.
  [[nodiscard]] std::vector<model::ServiceKey> Next(const ProxyWaits& waits);

 private:
  model::ServiceKey last_;
};

}  // namespace stentor::speaker
