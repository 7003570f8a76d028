// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The node's links and their addresses, as rtnetlink tells of them, and which of them may answer
/// for service addresses. Pure: decoded messages go in, changes come out. link_sync.h drives it.

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/rtnetlink.h"
#include "speaker/announce/name_filter.h"

namespace stentor::speaker {

using net::IfIndex;

/// An address of the node itself.
struct LinkAddress {
  int prefix_length = 0;
  std::uint32_t flags = 0;  ///< net::kAddressTentative and so on.

  friend bool operator==(const LinkAddress&, const LinkAddress&) = default;
};

/// One link. A value: what was known when it was asked for.
struct Link {
  IfIndex index{};
  std::string name;
  net::MacAddress mac;       ///< Zero where the link has none of 6 octets.
  bool carrier = false;      ///< IFF_RUNNING and IFF_LOWER_UP: frames can leave.
  bool excluded = false;     ///< By name.
  bool answers_arp = false;  ///< Eligible: not excluded, up, no master, broadcast, ARP, has a MAC.
  std::map<net::IpAddress, LinkAddress> addresses;

  friend bool operator==(const Link&, const Link&) = default;
};

/// What happened to a link that is eligible to answer ARP, or that was until now.
enum class LinkChange : std::uint8_t {
  kAdded,       ///< Became eligible: open a port.
  kRemoved,     ///< No longer eligible, or gone: close the port.
  kMacChanged,  ///< Replies must carry the new MAC.
  kRenamed,     ///< Announcements are limited to interfaces by name.
  kCarrierUp,
  kCarrierDown,
};

struct LinkEvent {
  LinkChange change{};
  IfIndex index{};
  std::string name;  ///< The present one; the last one with kRemoved.

  friend bool operator==(const LinkEvent&, const LinkEvent&) = default;
};

[[nodiscard]] std::string_view LinkChangeName(LinkChange change) noexcept;
std::ostream& operator<<(std::ostream& out, const LinkEvent& event);

/// Not thread-safe. Deterministic: iteration is by interface number.
class Links {
 public:
  explicit Links(NameFilter excluded) : excluded_(std::move(excluded)) {}
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  /// Takes in one message; the events are in order, kAdded before and kRemoved after all others of
  /// the same link. A message that says nothing new returns none.
  [[nodiscard]] std::vector<LinkEvent> Apply(const net::LinkMessage& message);
  [[nodiscard]] std::vector<LinkEvent> Apply(const net::AddressMessage& message);

  /// Between the two, Apply() gets a complete dump; what it doesn't mention goes away at the end.
  void BeginDump();
  [[nodiscard]] std::vector<LinkEvent> EndDump();

  /// Null where no link has this number. Valid until the next non-const call.
  [[nodiscard]] const Link* Find(IfIndex index) const;
  [[nodiscard]] const Link* FindByName(std::string_view name) const;

  /// All links, the ineligible ones too.
  [[nodiscard]] const std::map<IfIndex, Link>& all() const noexcept { return links_; }

 private:
  struct Seen {  // in the dump that is going on
    bool link = false;
    std::vector<net::IpAddress> addresses;
  };

  [[nodiscard]] std::vector<LinkEvent> Remove(IfIndex index);

  NameFilter excluded_;
  std::map<IfIndex, Link> links_;
  bool dumping_ = false;
  std::map<IfIndex, Seen> seen_;
};

}  // namespace stentor::speaker
