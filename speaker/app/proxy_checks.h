// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "common/io/event_loop.h"
#include "common/io/http_probe.h"
#include "speaker/announce/links.h"
#include "speaker/reconcile/proxy_waits.h"

namespace stentor::speaker {

/// Asks the health check ports of Services that wait for the node's service proxy, until they say
/// that it is ready. Lives on the event loop's thread; what it refers to must outlive it.
class ProxyChecks {
 public:
  using Handler = std::function<void(const model::ServiceKey&)>;

  /// `on_ready` is called from the loop, never from within Set().
  ProxyChecks(io::EventLoop& loop, const Links& links, Handler on_ready);
  ~ProxyChecks();
  ProxyChecks(const ProxyChecks&) = delete;
  ProxyChecks& operator=(const ProxyChecks&) = delete;

  /// All that wait now.
  void Set(const ProxyWaits& waits);

 private:
  void Ask();
  void Ask(const model::ServiceKey& service, std::uint16_t port);

  io::EventLoop& loop_;
  const Links& links_;
  const Handler on_ready_;
  ProxyWaits waits_;
  ProxyAskOrder order_;
  std::map<model::ServiceKey, std::unique_ptr<io::HttpProbe>> under_way_;
  io::Timer timer_;
};

}  // namespace stentor::speaker
