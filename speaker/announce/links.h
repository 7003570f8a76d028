// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The node's links and their addresses, as rtnetlink tells of them, and which of them may answer
/// for service addresses. Pure: decoded messages go in, changes come out. link_sync.h drives it.

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <set>
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
  net::MacAddress mac;    ///< Zero where the link has none of 6 octets.
  bool carrier = false;   ///< IFF_RUNNING and IFF_LOWER_UP: frames can leave.
  bool excluded = false;  ///< By name.
  bool enslaved = false;  ///< To a bond, a bridge or a VRF.
  /// Not excluded, up, broadcast, with a MAC, and ARP is not switched off there.
  bool can_answer = false;
  /// The source of what it says by NDP: an address of fe80::/10 that has passed duplicate address
  /// detection; of several the lowest that is not deprecated, or else the lowest.
  std::optional<net::Ipv6Address> link_local = std::nullopt;
  bool answers_arp = false;  ///< By default, without being named: see MayAnswer().
  bool answers_ndp = false;  ///< Likewise.
  std::map<net::IpAddress, LinkAddress> addresses;

  friend bool operator==(const Link&, const Link&) = default;
};

/// Whether service addresses of `family` may be announced on `link`. `named`: an advertisement
/// names the interface; an enslaved one answers only then. One that is excluded or down never does,
/// and none answers NDP without a link-local address.
[[nodiscard]] bool MayAnswer(const Link& link, net::IpFamily family, bool named) noexcept;

/// What happened to a link that can answer (Link::can_answer), or that could until now.
enum class LinkChange : std::uint8_t {
  kAdded,               ///< It can answer from now on, if only by name (Link::enslaved).
  kRemoved,             ///< It can't any more, or is gone: close its ports.
  kMacChanged,          ///< Replies must carry the new MAC.
  kRenamed,             ///< Announcements are limited to interfaces by name.
  kEnslavementChanged,  ///< It began or ceased to answer without being named.
  kLinkLocalChanged,    ///< NDP became possible or impossible, or has another source.
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

  /// Takes in one message; the events are in order. With kAdded and kRemoved there are no others of
  /// the same link: what has been added is to be looked at as it is. A message that says nothing
  /// new returns none. Addresses of links that are not known are forgotten.
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
    std::set<net::IpAddress> addresses;
  };

  [[nodiscard]] std::vector<LinkEvent> Remove(IfIndex index);

  NameFilter excluded_;
  std::map<IfIndex, Link> links_;
  bool dumping_ = false;
  std::map<IfIndex, Seen> seen_;
};

}  // namespace stentor::speaker
