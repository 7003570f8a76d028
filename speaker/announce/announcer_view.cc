// SPDX-License-Identifier: Apache-2.0
// The part of Announcer that only tells.

#include <algorithm>

#include "speaker/announce/announcer.h"

namespace stentor::speaker {

std::vector<WantedPort> Announcer::WantedPorts() const {
  std::vector<WantedPort> wanted;
  for (const auto& [index, link] : links_.all()) {
    WantedPort port{.link = index};
    for (const Scope& scope : scopes_) {
      port.arp = port.arp || (scope.second[Slot(net::IpFamily::kIpv4)] > 0 &&
                              Allows(scope, link, net::IpFamily::kIpv4));
      port.ndp = port.ndp || (scope.second[Slot(net::IpFamily::kIpv6)] > 0 &&
                              Allows(scope, link, net::IpFamily::kIpv6));
    }
    if (port.arp || port.ndp) {
      wanted.push_back(port);
    }
  }
  return wanted;
}

std::vector<net::Ipv4Address> Announcer::Ipv4AddressesOn(IfIndex index) const {
  std::vector<net::Ipv4Address> addresses;
  for (const net::IpAddress& address : AddressesOn(index, net::IpFamily::kIpv4)) {
    addresses.push_back(address.ipv4());
  }
  return addresses;
}

std::vector<net::Ipv6Address> Announcer::Ipv6AddressesOn(IfIndex index) const {
  std::vector<net::Ipv6Address> addresses;
  for (const net::IpAddress& address : AddressesOn(index, net::IpFamily::kIpv6)) {
    addresses.push_back(address.ipv6());
  }
  return addresses;
}

std::vector<net::Ipv6Address> Announcer::GroupsOn(IfIndex index) const {
  // The address that nobody has needs no group.
  const net::IpAddress nobodys = NobodysAddress(net::IpFamily::kIpv6);
  std::set<net::Ipv6Address> groups;
  for (const net::IpAddress& address : AddressesOn(index, net::IpFamily::kIpv6)) {
    if (address != nobodys) {
      groups.insert(net::SolicitedNodeGroup(address.ipv6()));
    }
  }
  return {groups.begin(), groups.end()};
}

const AddressCounters* Announcer::Counters(const net::IpAddress& address) const {
  const auto found = entries_.find(address);
  return found == entries_.end() || found->second.leaving ? nullptr : &found->second.counters;
}

std::uint64_t Announcer::Drops(net::IpFamily family, DropReason reason) const noexcept {
  return drops_[Slot(family)][static_cast<std::size_t>(reason)];
}

std::vector<net::IpAddress> Announcer::Announced() const {
  std::vector<net::IpAddress> addresses;
  for (const auto& [address, entry] : entries_) {
    if (!entry.silent && !entry.leaving) {
      addresses.push_back(address);
    }
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

std::vector<net::IpAddress> Announcer::Unannounced() const {
  std::vector<net::IpAddress> addresses;
  for (const auto& [address, entry] : entries_) {
    if (entry.silent) {
      addresses.push_back(address);
    }
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

std::optional<AddressState> Announcer::StateOf(const net::IpAddress& address) const {
  const auto found = entries_.find(address);
  if (found == entries_.end() || found->second.leaving) {
    return std::nullopt;
  }
  if (!found->second.silent) {
    return AddressState::kAnnounced;
  }
  return guard_.Withheld(address) ? AddressState::kWithheld : AddressState::kWaiting;
}

std::vector<std::string> Announcer::InterfacesOf(const net::IpAddress& address) const {
  std::vector<std::string> names;
  const auto found = entries_.find(address);
  if (found == entries_.end() || found->second.silent || found->second.leaving) {
    return names;
  }
  for (const auto& [index, link] : links_.all()) {
    if (Allows(*found->second.scope, link, address.family())) {
      names.push_back(link.name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<net::IpAddress> Announcer::AddressesOn(IfIndex index, net::IpFamily family) const {
  std::vector<net::IpAddress> addresses;
  const Link* const link = links_.Find(index);
  if (link == nullptr) {
    return addresses;
  }
  std::vector<const Scope*> allowed;
  for (const Scope& scope : scopes_) {
    if (scope.second[Slot(family)] > 0 && Allows(scope, *link, family)) {
      allowed.push_back(&scope);
    }
  }
  if (allowed.empty()) {
    return addresses;
  }
  for (const auto& [address, entry] : entries_) {
    if (address.family() == family &&
        std::find(allowed.begin(), allowed.end(), entry.scope) != allowed.end()) {
      addresses.push_back(address);
    }
  }
  if (const net::IpAddress nobodys = NobodysAddress(family);
      !addresses.empty() && !entries_.contains(nobodys)) {
    addresses.push_back(nobodys);
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

std::map<net::IpAddress, AddressConflict> Announcer::Conflicts() const {
  return guard_.Conflicts();
}

}  // namespace stentor::speaker
