// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/links.h"

#include <algorithm>
#include <ostream>
#include <utility>

namespace stentor::speaker {
namespace {

bool Has(std::uint32_t flags, std::uint32_t all_of) noexcept { return (flags & all_of) == all_of; }

bool CanAnswerArp(const net::LinkMessage& message, const Link& link) noexcept {
  return !link.excluded && !message.master &&
         Has(message.flags, net::kLinkUp | net::kLinkBroadcast) &&
         (message.flags & net::kLinkNoArp) == 0 && !link.mac.IsZero();
}

// What the holders of ports and announcements must know of a step from `before` to `after`.
std::vector<LinkEvent> EventsBetween(const Link& before, const Link& after) {
  std::vector<LinkEvent> events;
  const auto add = [&events, &after](LinkChange change) {
    events.push_back({.change = change, .index = after.index, .name = after.name});
  };
  if (!before.answers_arp) {
    if (after.answers_arp) {
      add(LinkChange::kAdded);
    }
    return events;
  }
  if (!after.answers_arp) {
    add(LinkChange::kRemoved);
    return events;
  }
  if (before.name != after.name) {
    add(LinkChange::kRenamed);
  }
  if (before.mac != after.mac) {
    add(LinkChange::kMacChanged);
  }
  if (before.carrier != after.carrier) {
    add(after.carrier ? LinkChange::kCarrierUp : LinkChange::kCarrierDown);
  }
  return events;
}

void Append(std::vector<LinkEvent> more, std::vector<LinkEvent>* events) {
  events->insert(events->end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
}

}  // namespace

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
  const Link before = link;
  link.index = message.index;
  if (link.name != message.name) {
    link.name = message.name;
    link.excluded = excluded_.Matches(link.name);
  }
  link.mac = message.mac.value_or(net::MacAddress());
  link.carrier = Has(message.flags, net::kLinkRunning | net::kLinkLowerUp);
  link.answers_arp = CanAnswerArp(message, link);
  return EventsBetween(before, link);
}

std::vector<LinkEvent> Links::Apply(const net::AddressMessage& message) {
  const bool present = message.existence == net::Existence::kPresent;
  if (dumping_) {
    std::vector<net::IpAddress>& seen = seen_[message.index].addresses;
    std::erase(seen, message.address);
    if (present) {
      seen.push_back(message.address);
    }
  }
  const auto found = links_.find(message.index);
  if (found == links_.end()) {
    return {};  // of a link that went away meanwhile
  }
  if (present) {
    found->second.addresses[message.address] = {.prefix_length = message.prefix_length,
                                                .flags = message.flags};
  } else {
    found->second.addresses.erase(message.address);
  }
  return {};  // no address makes a link eligible for ARP
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
    std::erase_if(link.addresses, [&seen](const auto& item) {
      const std::vector<net::IpAddress>& addresses = seen->second.addresses;
      return std::find(addresses.begin(), addresses.end(), item.first) == addresses.end();
    });
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
  Link after = found->second;
  after.answers_arp = false;
  std::vector<LinkEvent> events = EventsBetween(found->second, after);
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
