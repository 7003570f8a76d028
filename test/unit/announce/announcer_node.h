// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A node with two links, a clock that the test moves, and a segment whose hosts are played by the
/// test.

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "speaker/announce/announcer.h"
#include "test/support/catch.h"

namespace stentor::speaker {

using namespace std::chrono_literals;

inline constexpr std::uint32_t kReady =
    net::kLinkUp | net::kLinkBroadcast | net::kLinkRunning | net::kLinkLowerUp;
inline constexpr std::uint32_t kNoCarrier = net::kLinkUp | net::kLinkBroadcast;
inline constexpr IfIndex kEth0{2};
inline constexpr IfIndex kEth1{3};
inline constexpr net::MacAddress kMac0({0x02, 0, 0, 0, 0, 0x20});
inline constexpr net::MacAddress kMac1({0x02, 0, 0, 0, 0, 0x21});
inline constexpr net::MacAddress kHost({0x02, 0, 0, 0, 0, 0x10});
inline constexpr net::MacAddress kThief({0x02, 0, 0, 0, 0, 0x66});
inline constexpr net::Ipv4Address kHostIp = net::Ipv4Address::FromOctets(192, 0, 2, 1);
inline constexpr net::Ipv4Address kVip = net::Ipv4Address::FromOctets(192, 0, 2, 111);
inline constexpr net::Ipv4Address kVip2 = net::Ipv4Address::FromOctets(192, 0, 2, 112);
inline constexpr TimePoint kStart = TimePoint(1000s);

inline const net::Ipv6Address kVip6 = *net::Ipv6Address::Parse("2001:db8::111");
inline const net::Ipv6Address kLocal0 = *net::Ipv6Address::Parse("fe80::20");
inline const net::Ipv6Address kLocal1 = *net::Ipv6Address::Parse("fe80::21");
inline const net::Ipv6Address kHostLocal = *net::Ipv6Address::Parse("fe80::10");

inline net::LinkMessage LinkOf(IfIndex index, const char* name, const net::MacAddress& mac,
                               std::uint32_t flags = kReady, bool enslaved = false) {
  return {.index = index,
          .flags = flags,
          .name = name,
          .mac = mac,
          .master = enslaved ? std::optional(IfIndex{77}) : std::nullopt};
}

inline net::AddressMessage LinkLocalOf(IfIndex index, const net::Ipv6Address& address,
                                       std::uint32_t flags = 0) {
  return {.index = index, .address = address, .prefix_length = 64, .flags = flags};
}

inline AnnouncementSpec On(const char* interface) {
  return {.interfaces = AllowedInterfaces::Only({interface})};
}

inline constexpr auto kWarn = ConflictPolicy::kWarn;
inline constexpr auto kStrict = ConflictPolicy::kStrict;

inline constexpr net::Ipv4Address kNobody4 = net::Ipv4Address::FromOctets(192, 0, 0, 8);
inline const net::Ipv6Address kNobody6 = *net::Ipv6Address::Parse("100::1");

/// An address that is new in the cluster.
inline AnnouncementSpec New(ConflictPolicy policy) {
  return {.interfaces = {}, .policy = policy, .probe = true};
}

inline std::vector<std::byte> Octets(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

// --- what others send ---

inline std::vector<std::byte> Arp(net::ArpPacket packet) {
  return Octets(net::EncodeArp(std::move(packet)));
}

inline std::vector<std::byte> ArpRequest(
    net::Ipv4Address target, std::uint16_t operation = net::kArpRequest,
    const net::MacAddress& from = kHost, net::Ipv4Address from_ip = kHostIp,
    const net::MacAddress& destination = net::MacAddress::Broadcast()) {
  return Arp({.destination = destination,
              .source = from,
              .operation = operation,
              .sender_mac = from,
              .sender_ip = from_ip,
              .target_mac = {},
              .target_ip = target});
}

/// "`address` is at `from`", unasked.
inline std::vector<std::byte> Claim(const net::IpAddress& address, const net::MacAddress& from) {
  if (address.IsIpv4()) {
    return Arp(net::GratuitousArpPacket(from, address.ipv4(), net::GratuitousArp::kRequest));
  }
  return Octets(
      net::EncodeNd(net::UnsolicitedAdvertisement(from, kHostLocal, address.ipv6())).bytes());
}

/// "Does anybody have `address`?", from who would like it.
inline std::vector<std::byte> Probe(const net::IpAddress& address, const net::MacAddress& from) {
  return address.IsIpv4() ? Arp(net::ArpProbe(from, address.ipv4()))
                          : Octets(net::EncodeNd(net::DadProbe(from, address.ipv6())).bytes());
}

/// The answer of `from` to the probe of `to`.
inline std::vector<std::byte> Answer(const net::IpAddress& address, const net::MacAddress& from,
                                     const net::MacAddress& to, bool override_ = true) {
  if (address.IsIpv4()) {
    return Arp(net::ArpReplyTo(net::ArpProbe(to, address.ipv4()), from, address.ipv4()));
  }
  net::NdPacket packet = net::UnsolicitedAdvertisement(from, kHostLocal, address.ipv6());
  packet.override_ = override_;
  return Octets(net::EncodeNd(packet).bytes());
}

inline net::ArpPacket PacketOf(const OutgoingFrame& frame) {
  return std::get<net::ArpPacket>(net::DecodeArp(frame.bytes));
}

inline net::NdPacket NdPacketOf(const OutgoingFrame& frame) {
  return std::get<net::NdPacket>(net::DecodeNd(frame.bytes));
}

/// What a frame of ours asks whether anybody has it; nothing where it asks nothing.
inline std::optional<net::IpAddress> ProbedBy(const OutgoingFrame& frame) {
  if (frame.family() == net::IpFamily::kIpv4) {
    const net::ArpPacket packet = PacketOf(frame);
    return packet.sender_ip.IsUnspecified() ? std::optional<net::IpAddress>(packet.target_ip)
                                            : std::nullopt;
  }
  const net::NdPacket packet = NdPacketOf(frame);
  return packet.kind == net::NdKind::kSolicitation ? std::optional<net::IpAddress>(packet.target)
                                                   : std::nullopt;
}

struct Sent {
  Duration at{};  ///< Since kStart.
  OutgoingFrame frame;
};

inline std::vector<Sent> Probes(const std::vector<Sent>& sent) {
  std::vector<Sent> probes;
  std::copy_if(sent.begin(), sent.end(), std::back_inserter(probes),
               [](const Sent& s) { return ProbedBy(s.frame).has_value(); });
  return probes;
}

inline std::vector<Sent> Announcements4And6(const std::vector<Sent>& sent) {
  std::vector<Sent> others;
  std::copy_if(sent.begin(), sent.end(), std::back_inserter(others),
               [](const Sent& s) { return !ProbedBy(s.frame).has_value(); });
  return others;
}

inline std::map<IfIndex, int> CountByLink(const std::vector<Sent>& sent) {
  std::map<IfIndex, int> count;
  for (const Sent& s : sent) {
    ++count[s.frame.link];
  }
  return count;
}

/// eth0 and eth1, both ready, eth0 and eth1 with link-local addresses.
struct Node {
  Links links{NameFilter()};
  Announcer announcer;
  TimePoint now = kStart;
  /// Hears every frame that leaves; may call Later().
  std::function<void(const OutgoingFrame&)> segment = nullptr;
  std::multimap<TimePoint, std::pair<IfIndex, std::vector<std::byte>>> arriving = {};

  explicit Node(const AnnouncerOptions& options = {}) : announcer(links, options) {
    Apply(LinkOf(kEth0, "eth0", kMac0));
    Apply(LinkOf(kEth1, "eth1", kMac1));
    Apply(LinkLocalOf(kEth0, kLocal0));
    Apply(LinkLocalOf(kEth1, kLocal1));
  }

  template <typename Message>
  void Apply(const Message& message) {
    announcer.OnLinkEvents(links.Apply(message), now);
  }

  /// Delivers a frame now. True if it was answered.
  bool Hear(IfIndex link, const std::vector<std::byte>& frame) {
    if (std::holds_alternative<net::ArpPacket>(net::DecodeArp(frame))) {
      return std::holds_alternative<ArpAnswer>(announcer.OnArpFrame(link, frame, now));
    }
    return std::holds_alternative<NdAnswer>(announcer.OnNdFrame(link, frame, now));
  }

  void Later(Duration delay, IfIndex link, std::vector<std::byte> frame) {
    arriving.insert({now + delay, {link, std::move(frame)}});
  }

  /// Does what the shell does, from deadline to deadline, for `span`.
  std::vector<Sent> Run(Duration span) {
    std::vector<Sent> sent;
    const TimePoint end = now + span;
    int without_progress = 0;
    for (;;) {
      std::optional<TimePoint> next = announcer.NextDeadline();
      const bool frame =
          !arriving.empty() && (!next || arriving.begin()->first <= std::max(*next, now));
      if (frame) {
        next = arriving.begin()->first;
      }
      if (!next || *next > end) {
        break;
      }
      without_progress = *next > now ? 0 : without_progress + 1;
      if (without_progress > 20'000) {
        FAIL("a busy loop: the deadline stays in the past");
      }
      now = std::max(now, *next);
      if (frame) {
        const auto [link, bytes] = arriving.begin()->second;
        arriving.erase(arriving.begin());
        Hear(link, bytes);
        continue;
      }
      for (OutgoingFrame& out : announcer.Poll(now)) {
        if (segment) {
          segment(out);
        }
        sent.push_back({now - kStart, std::move(out)});
      }
    }
    now = end;
    return sent;
  }

  /// A host on eth0's segment that has `addresses`, and says so within `delay` when it is asked; a
  /// proxy answers for any.
  void AddOwner(const net::MacAddress& mac, std::set<net::IpAddress> addresses,
                Duration delay = 1ms, bool proxy = false) {
    segment = [this, mac, addresses = std::move(addresses), delay, proxy,
               before = std::move(segment)](const OutgoingFrame& out) {
      if (before) {
        before(out);
      }
      const std::optional<net::IpAddress> asked = ProbedBy(out);
      if (asked && out.link == kEth0 && (proxy || addresses.contains(*asked))) {
        Later(delay, kEth0, Answer(*asked, mac, kMac0, /*override_=*/!proxy));
      }
    };
  }
};

/// A node that has long announced an address of each family.
struct Announced : Node {
  explicit Announced(ConflictPolicy policy) {
    const AnnouncementSpec spec{.interfaces = {}, .policy = policy};
    announcer.SetAnnounced({{kVip, spec}, {kVip6, spec}}, now);
    static_cast<void>(Run(9s));  // all that a take-over says
  }
};

inline net::IpAddress VipOf(net::IpFamily family) {
  return family == net::IpFamily::kIpv4 ? net::IpAddress(kVip) : net::IpAddress(kVip6);
}

using Kinds = std::vector<ConflictKind>;

/// The kinds, in order.
inline Kinds KindsOf(const std::vector<ConflictNotice>& notices) {
  Kinds kinds;
  for (const ConflictNotice& notice : notices) {
    kinds.push_back(notice.kind);
  }
  return kinds;
}

}  // namespace stentor::speaker
