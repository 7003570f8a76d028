// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which hosts answer for addresses that they don't have (proxy ARP, RFC 1027; NDP proxies, RFC
/// 4389): they are asked for an address that nobody has. Pure.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"
#include "common/net/rtnetlink.h"
#include "speaker/announce/conflict.h"

namespace stentor::speaker {

/// Not thread-safe. One question at a time on each segment decides on all who are suspected there.
class ConflictProxies {
 public:
  static constexpr std::size_t kMaxSuspects = 4096;  ///< On each segment.
  static constexpr std::size_t kMaxProxies = 64;     ///< Remembered, over all segments.

  /// A link and a family.
  struct Segment {
    net::IfIndex link{};
    net::IpFamily family{};

    friend auto operator<=>(const Segment&, const Segment&) = default;
  };

  /// Who answered for what, and may only be a proxy.
  struct Suspect {
    net::IpAddress address;
    net::MacAddress mac;
    net::IfIndex link{};
  };

  /// `wait`: how long an answer may take; `repeat`: when the question is asked a second time;
  /// `memory`: how long a proxy is remembered.
  ConflictProxies(Duration wait, Duration repeat, Duration memory) noexcept
      : wait_(wait), repeat_(repeat), memory_(memory) {}

  [[nodiscard]] bool IsProxy(const Segment& segment, const net::MacAddress& mac,
                             TimePoint now) const;

  enum class Added : std::uint8_t { kFull, kPending, kMustAsk };
  /// Keeps `suspect` until the segment's question has been answered. kMustAsk: it has yet to be
  /// asked, then OnAsked() is to be called. kFull: not kept.
  [[nodiscard]] Added Suspected(const Suspect& suspect);

  /// The question left (the first time counts), or (`sent` false) can't be asked: then the
  /// segment's suspects are forgotten.
  void OnAsked(const Segment& segment, bool sent, TimePoint now);

  struct Answered {
    bool is_new = false;      ///< A proxy that was not known yet.
    std::size_t proxied = 0;  ///< Suspects that turned out to be this proxy, and are none any more.
  };
  /// `mac` answered for the address that nobody has. Nothing comes of it where nobody asked.
  Answered OnAnswer(const Segment& segment, const net::MacAddress& mac, TimePoint now);

  /// Who is left where the time for an answer is over: they own what they answered for.
  [[nodiscard]] std::vector<Suspect> Decide(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> NextDecision() const;

  /// The segments where the question is to be asked a second time now; each is named once.
  [[nodiscard]] std::vector<Segment> TakeRepeats(TimePoint now);
  [[nodiscard]] std::optional<TimePoint> NextRepeat() const;

  /// Whether somebody who answered for `address` has not been decided on.
  [[nodiscard]] bool IsPending(const net::IpAddress& address) const;

  /// Forgets who answered for `address`, or the suspects for whom `known` is true.
  void Forget(const net::IpAddress& address);
  template <typename Predicate>
  void ForgetMacs(Predicate known) {
    for (auto& [segment, search] : searches_) {
      std::erase_if(search.suspects,
                    [&known](const auto& suspect) { return known(suspect.second); });
    }
  }

  /// Whether a question is to be asked or its answer awaited on `segment`.
  [[nodiscard]] bool Active(const Segment& segment) const { return searches_.contains(segment); }

 private:
  struct Search {
    std::optional<TimePoint> until;   // nothing: not asked yet
    std::optional<TimePoint> repeat;  // nothing: not asked yet, or twice
    std::set<std::pair<net::IpAddress, net::MacAddress>> suspects;
  };

  Duration wait_;
  Duration repeat_;
  Duration memory_;
  std::map<Segment, Search> searches_;
  std::map<std::pair<Segment, net::MacAddress>, TimePoint> proxies_;  // until when
};

}  // namespace stentor::speaker
