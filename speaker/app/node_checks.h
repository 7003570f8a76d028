// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "common/config/config.h"
#include "common/io/event_loop.h"
#include "common/io/http_probe.h"
#include "common/obs/log.h"
#include "speaker/announce/links.h"
#include "speaker/node/proxy_health.h"
#include "speaker/node/traps.h"

namespace stentor::speaker {

struct NodeChecksHandlers {
  std::function<void(bool yields)>
      on_proxy;  ///< Whether the node should leave addresses to others.
  /// After each look; `changes` is what is worth telling, often nothing.
  std::function<void(const std::vector<TrapChange>& changes)> on_look;
  /// Asked for when it is looked: the addresses that Services have, on whatever node.
  std::function<std::set<net::IpAddress>()> addresses;
};

/// Looks for the node's own traps, when something has changed that they depend on and every half a
/// minute, since the kernel does not tell of its settings; and asks the service proxy how it is.
/// Lives on the event loop's thread; what it refers to must outlive it.
class NodeChecks {
 public:
  /// `proxy` is where to ask; nothing: nobody is asked.
  NodeChecks(io::EventLoop& loop, const Links& links, std::optional<io::HttpTarget> proxy,
             NodeChecksHandlers handlers);
  ~NodeChecks();
  NodeChecks(const NodeChecks&) = delete;
  NodeChecks& operator=(const NodeChecks&) = delete;

  /// Begins to ask the proxy, and to look at all.
  void Start();

  /// Of what FindTraps() looks at.
  void SetConfig(const config::Config& config);
  void SetNode(const std::optional<model::Labels>& labels);
  /// Links or addresses may be others than before.
  void LookSoon();

  [[nodiscard]] const TrapKeeper& traps() const noexcept { return traps_; }

 private:
  void Ask();
  void OnAnswer(ProxyAnswer answer);
  void Look();

  io::EventLoop& loop_;
  const Links& links_;
  const std::optional<io::HttpTarget> proxy_;
  const NodeChecksHandlers handlers_;
  ProxyHealth health_;
  io::HttpProbe probe_;
  TrapKeeper traps_;
  config::Config config_;
  std::optional<model::Labels> labels_;
  bool started_ = false;
  bool soon_ = false;
  io::Timer ask_timer_;
  io::Timer look_timer_;
};

}  // namespace stentor::speaker
