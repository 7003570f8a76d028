// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/links.h"

#include <algorithm>
#include <ostream>
#include <utility>

namespace stentor::speaker {
namespace {

bool Has(std::uint32_t flags, std::uint32_t all_of) noexcept { return (flags & all_of) == all_of; }

bool CanAnswer(const net::LinkMessage& message, const Link& link) noexcept {
  return !link.excluded && Has(message.flags, net::kLinkUp | net::kLinkBroadcast) &&
         (message.flags & net::kLinkNoArp) == 0 && !link.mac.IsZero();
}

// Tentative covers optimistic addresses (RFC 4429): they may be used for some things, but not to
// tell others with Override where anything is.
bool IsUsable(const LinkAddress& address) noexcept {
  return (address.flags &
          (net::kAddressTentative | net::kAddressOptimistic | net::kAddressDadFailed)) == 0;
}

std::optional<net::Ipv6Address> LinkLocalOf(
    const std::map<net::IpAddress, LinkAddress>& addresses) noexcept {
  // fe80::/10; the map ascends, so that the first that fits is the lowest.
  constexpr std::uint64_t kFirst = 0xfe80ULL << 48U;
  constexpr std::uint64_t kBehind = 0xfec0ULL << 48U;
  const auto end =
      addresses.lower_bound(net::IpAddress::FromNumber(net::IpFamily::kIpv6, kBehind, 0));
  std::optional<net::Ipv6Address> deprecated;
  for (auto at = addresses.lower_bound(net::IpAddress::FromNumber(net::IpFamily::kIpv6, kFirst, 0));
       at != end; ++at) {
    if (!IsUsable(at->second)) {
      continue;
    }
    if ((at->second.flags & net::kAddressDeprecated) == 0) {
      return at->first.ipv6();
    }
    if (!deprecated) {
      deprecated = at->first.ipv6();
    }
  }
  return deprecated;
}

// What others must know of a link: all but its addresses, of which there may be thousands
// (kube-ipvs0).
struct State {
  explicit State(const Link& link)
      : name(link.name),
        mac(link.mac),
        link_local(link.link_local),
        carrier(link.carrier),
        enslaved(link.enslaved),
        can_answer(link.can_answer) {}

  std::string name;
  net::MacAddress mac;
  std::optional<net::Ipv6Address> link_local;
  bool carrier = false;
  bool enslaved = false;
  bool can_answer = false;
};

// What the holders of ports and announcements must know of a step from `before` to `after`.
std::vector<LinkEvent> EventsBetween(const State& before, const Link& after) {
  std::vector<LinkEvent> events;
  const auto add = [&events, &after](LinkChange change) {
    events.push_back({.change = change, .index = after.index, .name = after.name});
  };
  if (!before.can_answer || !after.can_answer) {
    if (before.can_answer != after.can_answer) {
      add(after.can_answer ? LinkChange::kAdded : LinkChange::kRemoved);
    }
    return events;
  }
  if (before.name != after.name) {
    add(LinkChange::kRenamed);
  }
  if (before.mac != after.mac) {
    add(LinkChange::kMacChanged);
  }
  if (before.enslaved != after.enslaved) {
    add(LinkChange::kEnslavementChanged);
  }
  if (before.link_local != after.link_local) {
    add(LinkChange::kLinkLocalChanged);
  }
  if (before.carrier != after.carrier) {
    add(after.carrier ? LinkChange::kCarrierUp : LinkChange::kCarrierDown);
  }
  return events;
}

// Brings what follows from the link's own facts up to date.
void Derive(Link* link) noexcept {
  link->link_local = LinkLocalOf(link->addresses);
  link->answers_arp = MayAnswer(*link, net::IpFamily::kIpv4, false);
  link->answers_ndp = MayAnswer(*link, net::IpFamily::kIpv6, false);
}

void Append(std::vector<LinkEvent> more, std::vector<LinkEvent>* events) {
  events->insert(events->end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
}

}  // namespace

bool MayAnswer(const Link& link, net::IpFamily family, bool named) noexcept {
  return link.can_answer && (named || !link.enslaved) &&
         (family == net::IpFamily::kIpv4 || link.link_local.has_value());
}

std::string_view LinkChangeName(LinkChange change) noexcept {
  switch (change) {
    case LinkChange::kAdded:
      return "added";
    case LinkChange::kRemoved:
      return "removed";
    case LinkChange::kMacChanged:
      return "mac_changed";
    case LinkChange::kRenamed:
      return "renamed";
    case LinkChange::kEnslavementChanged:
      return "enslavement_changed";
    case LinkChange::kLinkLocalChanged:
      return "link_local_changed";
    case LinkChange::kCarrierUp:
      return "carrier_up";
    case LinkChange::kCarrierDown:
      return "carrier_down";
  }
  return "unknown";
}

std::ostream& operator<<(std::ostream& out, const LinkEvent& event) {
  return out << LinkChangeName(event.change) << ' ' << event.name << event.index;
}

std::vector<LinkEvent> Links::Apply(const net::LinkMessage& message) {
  if (message.existence == net::Existence::kGone) {
    seen_.erase(message.index);
    return Remove(message.index);
  }
  if (dumping_) {
    seen_[message.index].link = true;
  }
  Link& link = links_[message.index];
  const State before(link);
  link.index = message.index;
  if (link.name != message.name) {
    link.name = message.name;
    link.excluded = excluded_.Matches(link.name);
  }
  link.mac = message.mac.value_or(net::MacAddress());
  link.carrier = Has(message.flags, net::kLinkRunning | net::kLinkLowerUp);
  link.enslaved = message.master.has_value();
  link.can_answer = CanAnswer(message, link);
  Derive(&link);
  return EventsBetween(before, link);
}

std::vector<LinkEvent> Links::Apply(const net::AddressMessage& message) {
  const bool present = message.existence == net::Existence::kPresent;
  if (dumping_) {
    std::set<net::IpAddress>& seen = seen_[message.index].addresses;
    if (present) {
      seen.insert(message.address);
    } else {
      seen.erase(message.address);
    }
  }
  const auto found = links_.find(message.index);
  if (found == links_.end()) {
    return {};  // of a link that went away meanwhile
  }
  Link& link = found->second;
  const State before(link);
  if (present) {
    link.addresses[message.address] = {.prefix_length = message.prefix_length,
                                       .flags = message.flags};
  } else {
    link.addresses.erase(message.address);
  }
  Derive(&link);
  return EventsBetween(before, link);
}

void Links::BeginDump() {
  dumping_ = true;
  seen_.clear();
}

std::vector<LinkEvent> Links::EndDump() {
  std::vector<LinkEvent> events;
  std::vector<IfIndex> gone;
  for (auto& [index, link] : links_) {
    const auto seen = seen_.find(index);
    if (seen == seen_.end() || !seen->second.link) {
      gone.push_back(index);
      continue;
    }
    const State before(link);
    std::erase_if(link.addresses, [&seen](const auto& item) {
      return !seen->second.addresses.contains(item.first);
    });
    Derive(&link);
    Append(EventsBetween(before, link), &events);
  }
  for (const IfIndex index : gone) {
    Append(Remove(index), &events);
  }
  dumping_ = false;
  seen_.clear();
  return events;
}

std::vector<LinkEvent> Links::Remove(IfIndex index) {
  const auto found = links_.find(index);
  if (found == links_.end()) {
    return {};
  }
  const State before(found->second);
  found->second.can_answer = false;
  std::vector<LinkEvent> events = EventsBetween(before, found->second);
  links_.erase(found);
  return events;
}

const Link* Links::Find(IfIndex index) const {
  const auto found = links_.find(index);
  return found == links_.end() ? nullptr : &found->second;
}

const Link* Links::FindByName(std::string_view name) const {
  const auto found = std::find_if(links_.begin(), links_.end(),
                                  [name](const auto& item) { return item.second.name == name; });
  return found == links_.end() ? nullptr : &found->second;
}

}  // namespace stentor::speaker
