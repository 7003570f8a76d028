// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What is known of other hosts that claim our addresses: the words that the announcer and whoever
/// reports conflicts have in common. See conflict_guard.h for the rules.

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"
#include "common/net/rtnetlink.h"

namespace stentor::speaker {

/// What to do about an address that another host uses.
enum class ConflictPolicy : std::uint8_t {
  kWarn,    ///< Answer all the same, from the first moment on, and defend it (RFC 5227, 2.4 (c)).
  kStrict,  ///< Not before a probe found it free; withhold it while another has it (2.4 (b)).
};

/// "warn" or "strict", as the annotation spells them.
[[nodiscard]] std::string_view ConflictPolicyName(ConflictPolicy policy) noexcept;

enum class ConflictKind : std::uint8_t {
  kFoundByProbe,  ///< Somebody answered a probe. With kStrict the address is withheld for it.
  kClaimed,       ///< Somebody said, unasked, that the address is at his MAC.
  kWithheld,      ///< A second claim soon after the first: this node gave way (kStrict).
  kReleased,      ///< A probe found the address free: it is announced again (kStrict).
  kOver,          ///< Nobody claims it any more (it was announced all the time).
};

/// "found_by_probe" and so on: fit for a label or a log field.
[[nodiscard]] std::string_view ConflictKindName(ConflictKind kind) noexcept;

/// Something about a conflict that is worth telling a human.
struct ConflictNotice {
  net::IpAddress address;
  net::IfIndex link{};      ///< Where it was seen.
  std::string interface;    ///< The name of `link`; empty where that is gone.
  net::MacAddress foreign;  ///< Who; the last one with kReleased and kOver.
  ConflictKind kind{};
  ConflictPolicy policy{};

  friend bool operator==(const ConflictNotice&, const ConflictNotice&) = default;
};

/// An address of `family` that no host has, and that nobody answers for but a proxy: 192.0.0.8, the
/// IPv4 dummy address (RFC 7600), and 100::1 out of the discard-only prefix (RFC 6666).
[[nodiscard]] net::IpAddress NobodysAddress(net::IpFamily family);

/// One host that claims an address.
struct ForeignClaim {
  net::MacAddress mac;
  net::IfIndex link{};  ///< Where it was seen last.
  TimePoint first_seen;
  TimePoint last_seen;
  std::uint64_t count = 0;  ///< Frames.

  friend bool operator==(const ForeignClaim&, const ForeignClaim&) = default;
};

/// An address that others claim.
struct AddressConflict {
  TimePoint since;
  TimePoint last_seen;
  std::uint64_t claims = 0;  ///< Frames, those of unlisted MACs too.
  ConflictPolicy policy{};
  bool withheld = false;              ///< Not answered because of it.
  std::vector<ForeignClaim> foreign;  ///< In order of appearance; at least one, at most four.

  friend bool operator==(const AddressConflict&, const AddressConflict&) = default;
};

/// Since the start, over all addresses.
struct ConflictTotals {
  std::uint64_t claims = 0;    ///< Frames by which a foreign host claimed an address of ours.
  std::uint64_t attempts = 0;  ///< Probes of foreign hosts for an address that we announce.
  std::uint64_t defences = 0;  ///< Announcements sent because of a claim.
  std::uint64_t probes = 0;    ///< Frames that asked for an owner.
  std::uint64_t proxies = 0;   ///< Hosts found to answer for addresses that nobody has.
  std::uint64_t proxied_answers = 0;  ///< Answers that didn't count because a proxy gave them.
  std::uint64_t withheld = 0;         ///< Times that an address was withheld for a conflict.
  std::uint64_t notices_suppressed = 0;

  friend bool operator==(const ConflictTotals&, const ConflictTotals&) = default;
};

/// Times and bounds; the defaults are meant for a LAN.
struct ConflictOptions {
  /// A probe is three frames, this far apart, and then the wait for a last answer: 150 ms in all
  /// (RFC 5227, 1.1 allows 3 to 9 s for any link; hosts of a LAN answer within a millisecond).
  Duration probe_interval = std::chrono::milliseconds(40);
  Duration probe_wait = std::chrono::milliseconds(70);
  /// The last wait when an address that is in conflict is probed again, for which there is time:
  /// hosts that sleep, and proxies, may take a second. What looks like an answer later than this
  /// after the last probe is none.
  Duration patient_wait = std::chrono::seconds(1);
  /// How long a proxy may take to answer for the address that nobody has: somewhat longer than any
  /// answer to a probe, so that a slow proxy isn't called an owner. It is asked twice, the second
  /// time after `control_repeat`.
  Duration control_wait = std::chrono::milliseconds(1100);
  Duration control_repeat = std::chrono::milliseconds(400);
  Duration defend_interval = std::chrono::seconds(10);  ///< DEFEND_INTERVAL of RFC 5227.
  /// Claims of one MAC this close together are one: an announcement in its two forms, or one that
  /// two of our links see.
  Duration claim_burst = std::chrono::milliseconds(200);
  /// An address that is withheld is probed again after this, then after twice that, and so on.
  Duration withheld_recheck = std::chrono::seconds(30);
  /// One that is announced, when no claim was seen for this long; then likewise.
  Duration announced_recheck = std::chrono::seconds(60);
  Duration max_recheck = std::chrono::minutes(5);
  /// A conflict that comes back so soon after the last one was over is the same: the intervals go
  /// on where they were.
  Duration recheck_memory = std::chrono::minutes(10);
  Duration notice_interval = std::chrono::minutes(10);  ///< For each address, MAC and kind.
  /// For all notices together: this many at once, and then one in `notice_refill`.
  std::uint32_t notice_burst = 32;
  Duration notice_refill = std::chrono::seconds(5);
  Duration proxy_memory = std::chrono::minutes(10);  ///< Then a proxy must prove itself anew.
};

std::ostream& operator<<(std::ostream& out, ConflictPolicy policy);
std::ostream& operator<<(std::ostream& out, ConflictKind kind);
std::ostream& operator<<(std::ostream& out, const ConflictNotice& notice);

}  // namespace stentor::speaker
