// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Traps on the node itself, which make service addresses unreachable or answered by the wrong
/// host, and which no speaker can mend. Pure: facts go in, what to tell people comes out.
///
///   auto changes = traps.Update(now, FindTraps({.links = links.all(), .arp = sysctls,
///                                               .config = *config, .in_use = addresses,
///                                               .proxy = proxy_health.state()}));
///   for (const TrapChange& change : changes) ...      // log, event about the Node
///   ... arm a timer for traps.NextDeadline()          // then Update() again

#include <compare>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
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
#include "common/net/ip_address.h"
#include "speaker/announce/links.h"
#include "speaker/node/proxy_health.h"

namespace stentor::speaker {

enum class TrapKind : std::uint8_t {
  /// The node's kernel answers ARP for every service address, on every node: the service proxy
  /// keeps them on an interface (kube-ipvs0), and arp_ignore or arp_announce let that out.
  kIpvsWithoutStrictArp,
  /// An address of a pool is also configured on an interface of this node.
  kAddressOnInterface,
  /// Addresses of a pool are in no subnet of the interfaces that could answer for them.
  kOutsideSubnets,
  /// The service proxy was healthy and is not any more; or the node is about to be deleted.
  kProxyUnhealthy,
};
inline constexpr std::size_t kTrapKinds = 4;

/// Label of the metric and reason of the event: "ipvsWithoutStrictARP" and so on.
[[nodiscard]] std::string_view TrapName(TrapKind kind) noexcept;

enum class TrapSeverity : std::uint8_t {
  kNotice,   ///< May well be meant so.
  kWarning,  ///< Clients suffer, or will.
};

struct Trap {
  TrapKind kind{};
  /// What it is about; with the kind, it names the trap: "kube-ipvs0", "192.0.2.10 on eth0",
  /// "pool web".
  std::string subject;
  TrapSeverity severity{};
  std::string message;  ///< What is wrong, what follows from it, what to do. At most 1,000 octets.

  friend bool operator==(const Trap&, const Trap&) = default;
};
std::ostream& operator<<(std::ostream& out, const Trap& trap);

/// net.ipv4.conf.NAME.arp_ignore and arp_announce (ip-sysctl.rst of the kernel).
struct ArpSysctl {
  int ignore = 0;
  int announce = 0;

  friend bool operator==(const ArpSysctl&, const ArpSysctl&) = default;
};

/// What the kernel does on an interface is by the larger value of it and of "all".
struct ArpSysctls {
  ArpSysctl all;
  std::map<std::string, ArpSysctl, std::less<>> by_interface;  ///< One left out counts as 0.

  friend bool operator==(const ArpSysctls&, const ArpSysctls&) = default;
};

/// All that is referred to is only read, during the call.
struct NodeFacts {
  const std::map<IfIndex, Link>& links;    ///< All of the node.
  const std::optional<ArpSysctls>& arp;    ///< None: could not be read, nothing is said about it.
  const config::Config& config;            ///< In force; empty as long as there is none.
  const std::set<net::IpAddress>& in_use;  ///< Addresses that Services have, on whatever node.
  /// Of this node, for advertisements that select nodes. None: not known yet, and all are taken to
  /// select it.
  const std::optional<model::Labels>& labels;
  ProxyState proxy = ProxyState::kOff;
};

/// Links of service proxies that hold service addresses and answer nobody: kube-ipvs0 of
/// kube-proxy, kube-dummy-if of kube-router.
[[nodiscard]] bool IsProxyInterface(std::string_view name) noexcept;

/// The names of interfaces whose sysctls FindTraps() will look at; empty where it needs none, as on
/// all nodes without such a link.
[[nodiscard]] std::vector<std::string> InterfacesToInspect(const std::map<IfIndex, Link>& links);

/// By kind, then those with the higher severity, then by subject. At most kMaxTrapsOfAKind of a
/// kind: where there are more, the last says how many. Never walks through addresses: pools may be
/// of any size.
inline constexpr std::size_t kMaxTrapsOfAKind = 20;
[[nodiscard]] std::vector<Trap> FindTraps(const NodeFacts& facts);

/// A trap that appeared (or got worse), or went away.
struct TrapChange {
  Trap trap;
  bool present = true;

  friend bool operator==(const TrapChange&, const TrapChange&) = default;
};
std::ostream& operator<<(std::ostream& out, const TrapChange& change);

/// Remembers what was told, so that each trap is told of once when it appears, once when it gets
/// worse, and once when it is gone. Not thread-safe. Time must not go backwards.
class TrapKeeper {
 public:
  /// For so long a trap has to stay away before it counts as gone: what comes and goes (an address
  /// that two programs move about) is told of once.
  static constexpr Duration kGoneAfter = std::chrono::seconds(10);

  /// `found` is all that there is now.
  [[nodiscard]] std::vector<TrapChange> Update(TimePoint now, std::vector<Trap> found);
  /// When to look again, though nothing else changes.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// How many of a kind there are, those that are about to be gone included: for the metric.
  [[nodiscard]] std::size_t Count(TrapKind kind) const;
  /// All that there are, those that are about to be gone included, by kind and subject.
  [[nodiscard]] std::vector<Trap> Present() const;

 private:
  struct Known {
    Trap trap;
    std::optional<TimePoint> missing_since;
  };
  std::map<std::pair<TrapKind, std::string>, Known> known_;
};

}  // namespace stentor::speaker
