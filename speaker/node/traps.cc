// SPDX-License-Identifier: Apache-2.0
#include "speaker/node/traps.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <ostream>
#include <tuple>

#include "common/base/strings.h"
#include "speaker/node/subnets.h"

namespace stentor::speaker {
namespace {

constexpr std::size_t kMaxMessageOctets = 1000;  // an event's has 1,024
constexpr std::size_t kMaxListed = 5;            // of what a message names one by one
constexpr std::size_t kMaxNameOctets = 128;      // of a pool's, which may be longer
constexpr const char* kOthers = "others";

// "a, b, c and 4 more"; `text_of` makes a text of each of `items` that is named.
template <typename Items, typename TextOf>
std::string Listed(const Items& items, TextOf text_of) {
  std::string text;
  for (std::size_t i = 0; i < std::min(items.size(), kMaxListed); ++i) {
    StrAppend(&text, text.empty() ? "" : ", ", text_of(items[i]));
  }
  if (items.size() > kMaxListed) {
    StrAppend(&text, " and ", items.size() - kMaxListed, " more");
  }
  return text;
}

std::string PoolName(const config::Pool& pool) {
  return StrCat("\"", CutText(pool.name, kMaxNameOctets), "\"");
}

// "192.0.2.0/24", "192.0.2.1-192.0.2.9", "192.0.2.1"
std::string RangeText(const net::IpRange& range) {
  if (range.first == range.last) {
    return range.first.ToString();
  }
  const std::vector<net::IpPrefix> prefixes = net::Summarize(range);
  return prefixes.size() == 1 ? prefixes.front().ToString() : range.ToString();
}

bool HasFamily(const config::Pool& pool, net::IpFamily family) {
  return std::ranges::any_of(
      pool.ranges, [family](const net::IpRange& range) { return range.first.family() == family; });
}

// --- kube-ipvs0 without strictARP ---

// Linux, net/ipv4/arp.c, arp_ignore(): 1, 2 and 8 keep it from answering for an address that is
// on another interface; 0, 3 (kube-ipvs0's addresses are of global scope) and the rest don't.
bool LetsAnswer(int arp_ignore) { return arp_ignore != 1 && arp_ignore != 2 && arp_ignore != 8; }

// Linux, arp_solicit(): with 2 a request never has a service address as its sender, from which
// neighbours would learn it.
bool LetsAsk(int arp_announce) { return arp_announce != 2; }

void FindIpvs(const NodeFacts& facts, std::vector<Trap>& traps) {
  const auto proxy = std::ranges::find_if(
      facts.links, [](const auto& entry) { return IsProxyInterface(entry.second.name); });
  // NDP needs no such setting: Linux answers only for addresses of the interface that is asked.
  const bool any_ipv4 = std::ranges::any_of(facts.config.pools, [](const config::Pool& pool) {
    return HasFamily(pool, net::IpFamily::kIpv4);
  });
  if (proxy == facts.links.end() || !facts.arp || !any_ipv4) {
    return;
  }
  std::vector<std::string> open;
  bool answers = false;
  for (const auto& [index, link] : facts.links) {
    if (!link.can_answer) {
      continue;
    }
    const auto own = facts.arp->by_interface.find(link.name);
    const ArpSysctl its = own == facts.arp->by_interface.end() ? ArpSysctl{} : own->second;
    const int ignore = std::max(facts.arp->all.ignore, its.ignore);
    const int announce = std::max(facts.arp->all.announce, its.announce);
    if (LetsAnswer(ignore) || LetsAsk(announce)) {
      answers = answers || LetsAnswer(ignore);
      open.push_back(StrCat(link.name, " (arp_ignore ", ignore, ", arp_announce ", announce, ")"));
    }
  }
  if (open.empty()) {
    return;
  }
  const std::string& name = proxy->second.name;
  traps.push_back(
      {.kind = TrapKind::kIpvsWithoutStrictArp,
       .subject = name,
       .severity = TrapSeverity::kWarning,
       .message = StrCat(
           "the service proxy keeps the addresses of Services on ", name,
           answers ? ", and this node's kernel answers ARP for all of them, beside the node that "
                     "announces them, on "
                   : ", and this node's kernel may ask in their name, from which neighbours learn "
                     "them, on ",
           Listed(open, std::identity()),
           ". Clients may be sent to the wrong node. In kube-proxy's configuration set "
           "ipvs.strictARP: true and restart it; it then sets net.ipv4.conf.all.arp_ignore=1 and "
           "net.ipv4.conf.all.arp_announce=2")});
}

// --- addresses of pools on interfaces ---

void FindAddresses(const NodeFacts& facts, std::vector<Trap>& traps) {
  for (const auto& [index, link] : facts.links) {
    if (IsProxyInterface(link.name)) {
      continue;  // this is how such a proxy works
    }
    for (const auto& [address, its] : link.addresses) {
      const config::Pool* const pool = facts.config.FindPool(address);
      if (pool == nullptr) {
        continue;
      }
      const std::string text = address.ToString();
      const bool in_use = facts.in_use.contains(address);
      traps.push_back(
          {.kind = TrapKind::kAddressOnInterface,
           .subject = StrCat(text, " on ", link.name),
           .severity = in_use ? TrapSeverity::kWarning : TrapSeverity::kNotice,
           .message =
               in_use ? StrCat("a Service has the address ", text, " of pool ", PoolName(*pool),
                               ", and it is configured on interface ", link.name,
                               " of this node: its kernel answers for it too, whichever node "
                               "announces it. Remove it from the interface, and see what put it "
                               "there; or take it out of the pool")
                      : StrCat("the address ", text, " of pool ", PoolName(*pool),
                               " is configured on interface ", link.name,
                               " of this node: as soon as a Service gets it, both answer for it. "
                               "Take it out of the pool, or remove it from the interface")});
    }
  }
}

// --- pools outside of all subnets ---

// The interfaces on which this node may announce addresses of `pool`.
std::vector<const Link*> LinksFor(const config::Pool& pool, const NodeFacts& facts) {
  std::vector<const Link*> links;
  for (const auto& [index, link] : facts.links) {
    const bool may = std::ranges::any_of(
        pool.l2_advertisements, [&facts, &its = link](const config::L2Advertisement& ad) {
          const bool here = ad.node_selectors.empty() || !facts.labels ||
                            model::AnyMatches(ad.node_selectors, *facts.labels);
          const bool named =
              std::ranges::binary_search(ad.interfaces, its.name, std::ranges::less{});
          return here && its.can_answer && (ad.interfaces.empty() ? !its.enslaved : named);
        });
    if (may) {
      links.push_back(&link);
    }
  }
  return links;
}

void FindOutside(const NodeFacts& facts, std::vector<Trap>& traps) {
  for (const config::Pool& pool : facts.config.pools) {
    const std::vector<const Link*> links = LinksFor(pool, facts);
    if (links.empty()) {
      continue;  // it is not announced here, and the election says why
    }
    std::vector<net::IpRange> outside;
    for (const net::IpFamily family : {net::IpFamily::kIpv4, net::IpFamily::kIpv6}) {
      const Subnets subnets = SubnetsOf(links, family);
      if (subnets.incomplete) {
        continue;
      }
      std::vector<net::IpRange> ranges;
      std::ranges::copy_if(pool.ranges, std::back_inserter(ranges),
                           [family](const auto& range) { return range.first.family() == family; });
      std::ranges::copy(Uncovered(std::move(ranges), subnets.ranges), std::back_inserter(outside));
    }
    if (outside.empty()) {
      continue;
    }
    traps.push_back(
        {.kind = TrapKind::kOutsideSubnets,
         .subject = StrCat("pool ", CutText(pool.name, kMaxNameOctets)),
         .severity = TrapSeverity::kNotice,
         .message = StrCat(
             "of pool ", PoolName(pool), ", ", Listed(outside, RangeText),
             " is in no subnet of the interfaces on which this node announces it (",
             Listed(links, [](const Link* link) { return link->name; }),
             "): hosts of the segment ask a router for it, which has to have a route to the "
             "segment itself for these addresses. If that is not so, give the pool addresses of "
             "the segment, or let its L2Advertisement name the right nodes and interfaces")});
  }
}

// --- the service proxy ---

void FindProxy(ProxyState state, std::vector<Trap>& traps) {
  constexpr const char* kConsequence =
      " Its addresses move to other nodes, as long as there are healthy ones.";
  switch (state) {
    case ProxyState::kOff:
    case ProxyState::kAbsent:
    case ProxyState::kHealthy:
      return;
    case ProxyState::kUnhealthy:
      traps.push_back({.kind = TrapKind::kProxyUnhealthy,
                       .subject = "service proxy",
                       .severity = TrapSeverity::kWarning,
                       .message = StrCat("the service proxy of this node (kube-proxy) says that "
                                         "its rules are out of date.",
                                         kConsequence, " See its log")});
      return;
    case ProxyState::kGone:
      traps.push_back({.kind = TrapKind::kProxyUnhealthy,
                       .subject = "service proxy",
                       .severity = TrapSeverity::kWarning,
                       .message = StrCat("the service proxy of this node (kube-proxy) was healthy "
                                         "and does not answer any more.",
                                         kConsequence, " See whether it runs, and its log")});
      return;
    case ProxyState::kNodeLeaving:
      traps.push_back({.kind = TrapKind::kProxyUnhealthy,
                       .subject = "node",
                       .severity = TrapSeverity::kNotice,
                       .message = StrCat("the service proxy says that this node is about to be "
                                         "deleted.",
                                         kConsequence)});
      return;
  }
}

// Sorts the traps from `begin` on, which are of one kind, and keeps kMaxTrapsOfAKind of them.
void Bound(std::vector<Trap>& traps, std::size_t begin) {
  const auto first = traps.begin() + static_cast<std::ptrdiff_t>(begin);
  std::sort(first, traps.end(), [](const Trap& a, const Trap& b) {
    return std::tie(b.severity, a.subject) < std::tie(a.severity, b.subject);
  });
  const std::size_t count = traps.size() - begin;
  if (count <= kMaxTrapsOfAKind) {
    return;
  }
  const std::size_t kept = kMaxTrapsOfAKind - 1;
  const Trap& worst = traps[begin + kept];
  Trap rest{.kind = worst.kind,
            .subject = kOthers,
            .severity = worst.severity,
            .message = StrCat("and ", count - kept, " more: ", worst.message)};
  traps.resize(begin + kept);
  traps.push_back(std::move(rest));
}

}  // namespace

std::string_view TrapName(TrapKind kind) noexcept {
  constexpr std::array<std::string_view, kTrapKinds> kNames = {
      "ipvsWithoutStrictARP", "addressOnInterface", "poolOutsideSubnets", "proxyUnhealthy"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::ostream& operator<<(std::ostream& out, const Trap& trap) {
  return out << TrapName(trap.kind) << " " << trap.subject
             << (trap.severity == TrapSeverity::kWarning ? " warning: " : " notice: ")
             << trap.message;
}

std::ostream& operator<<(std::ostream& out, const TrapChange& change) {
  return out << (change.present ? "+ " : "- ") << change.trap;
}

bool IsProxyInterface(std::string_view name) noexcept {
  return name == "kube-ipvs0" || name == "kube-dummy-if";
}

std::vector<std::string> InterfacesToInspect(const std::map<IfIndex, Link>& links) {
  std::vector<std::string> names;
  bool any_proxy = false;
  for (const auto& [index, link] : links) {
    any_proxy = any_proxy || IsProxyInterface(link.name);
    if (link.can_answer) {
      names.push_back(link.name);
    }
  }
  return any_proxy ? names : std::vector<std::string>();
}

std::vector<Trap> FindTraps(const NodeFacts& facts) {
  std::vector<Trap> traps;
  std::size_t begin = 0;
  const auto end_of_kind = [&traps, &begin] {
    Bound(traps, begin);
    begin = traps.size();
  };
  FindIpvs(facts, traps);
  end_of_kind();
  FindAddresses(facts, traps);
  end_of_kind();
  FindOutside(facts, traps);
  end_of_kind();
  FindProxy(facts.proxy, traps);
  end_of_kind();
  for (Trap& trap : traps) {
    trap.message = CutText(std::move(trap.message), kMaxMessageOctets);
  }
  return traps;
}

}  // namespace stentor::speaker
