// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What a speaker knows about one other speaker. Used by Membership alone.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/net/ip_address.h"
#include "speaker/claims/claims.h"
#include "speaker/membership/datagram.h"
#include "speaker/membership/keys.h"

namespace stentor::speaker {

enum class MemberState : std::uint8_t { kUnknown, kAlive, kSuspect, kDead, kLeft };

enum class SuspicionCause : std::uint8_t {
  kSilence,      ///< No datagram for Profile::suspect_after.
  kUnreachable,  ///< ICMP said that nobody listens there.
  kToldDead,     ///< Another speaker declared it dead.
  kToldSuspect,  ///< Another speaker's first probes were not answered.
  kDeaf,  ///< It is heard, but does not hear us: it sees us neither directly nor through others.
};

/// The label value of `cause`, in snake_case; has static storage.
[[nodiscard]] std::string_view SuspicionCauseName(SuspicionCause cause) noexcept;

/// What a speaker says of itself in each datagram; datagrams overtake each other.
struct SelfReport {
  std::uint16_t yields = 0;
  std::uint32_t incarnation = 0;
  KeyId newest_key = 0;
  std::uint64_t claims_digest = 0;
  bool understands_claims = false;
  bool takes_quiet = false;
  bool watched = false;
  bool sees_us = false;
};

/// Sending side of a pair of speakers, under one of our secrets.
struct SealingChannel {
  KeyId key = 0;
  Channel channel;
};

/// Receiving side of one boot of a peer.
struct Session {
  BootId boot = 0;
  KeyId key = 0;
  Channel channel;
  ReplayWindow seen;
  SelfReport latest;            // of the newest datagram
  std::uint64_t owed_echo = 0;  // what it asked us to echo
};

/// Somebody who asked us to probe this peer, and wants to hear if it answers.
struct RelayRequest {
  std::string requester;
  std::uint64_t nonce = 0;
  TimePoint expires{};
};

/// What one boot of a peer claims: as told (a digest), and as known.
struct PeerClaims {
  std::uint64_t told = 0;
  std::uint64_t known_digest = 0;       // of:
  std::shared_ptr<const Claims> known;  // null: none
  // What is asked for. It may be overtaken meanwhile: what comes is complete all the same, and a
  // little is missing then, where all would be if one began anew with each change.
  std::uint64_t wanted = 0;
  std::uint64_t wanted_base = 0;
  std::vector<Claims> parts;  // of what is wanted, by number; empty: not here yet
  bool missed = false;  // others were told since those that are known, and came to be known never
  TimePoint next_request{};
  std::uint32_t unanswered_requests = 0;  // since the last part that was news
  MemberId next_helper = 0;

  [[nodiscard]] bool AreKnown() const noexcept { return told == known_digest; }
};

struct Peer {
  std::string node;
  MemberId id = 0;
  std::vector<net::IpAddress> addresses;

  // Sending. The counter is the nonce: it never repeats for this peer's keys, also when the peer
  // was removed and came back (Membership::counter_floor_).
  std::vector<SealingChannel> outgoing;  // one for each key of the keyring, in its order
  std::uint64_t sent = 0;
  KeyId newest_key = 0;           // that it holds, as it says; 0: not known
  std::size_t said = 0;           // hash of what the last datagram to it said of us, and
  std::uint32_t said_before = 0;  // how many before it said the same

  // Receiving: the boot that proved itself, and another one that is trying to.
  std::optional<Session> session;
  std::optional<Session> pending;
  std::array<BootId, 4> former_boots{};  // that were proven once: recordings, if they come again

  MemberState state = MemberState::kUnknown;
  std::uint32_t incarnation = 0;
  std::uint16_t yields = 0;
  std::vector<net::MacAddress> macs;  // that it announced from when it was last heard
  bool understands_claims = false;
  PeerClaims claims;
  TimePoint next_claims_answer{};  // to what it asks of claims, its own or others'
  bool to_answer = false;          // before this speaker stops to yield
  bool greet = false;  // it hears that we see its new boot once the elections have been held
  bool fresh = false;  // has echoed a challenge since we last had a reason to doubt it
  TimePoint last_heard{};
  std::optional<TimePoint> relayed_at;  // of the last sign of life, where another one heard it
  TimePoint eligible_since{};           // joined, or stopped to yield
  std::optional<TimePoint> back_at;     // was dead, and is here as if nothing had been
  BootId dead_boot = 0;                 // that was declared dead last, and
  TimePoint died_at{};                  // when

  // Who watches whom. Heartbeats go to observers; of all others a probe asks now and then.
  bool observer = false;  // of this speaker
  bool told_observer = false;
  bool watched = false;                // by this speaker: its silence says something
  std::optional<TimePoint> asked_at;   // probed, without an answer so far, where it is not watched
  std::optional<TimePoint> sought_at;  // probed while it was absent, when its turn came
  std::optional<TimePoint> unseen_since;  // its datagrams say since then that it doesn't see us
  bool has_seen_us = false;               // before that, under this boot

  // What we asked it to echo.
  std::uint64_t challenge = 0;
  TimePoint challenged_at{};
  TimePoint next_demand{};

  // Suspicion.
  SuspicionCause cause = SuspicionCause::kSilence;
  TimePoint suspected_at{};
  bool refused = false;    // ICMP said so
  bool told = false;       // others know that we suspect it
  bool told_dead = false;  // another speaker says so
  TimePoint next_probe{};
  TimePoint next_hint{};  // no ICMP error counts before: anybody can forge them
  MemberId next_helper = 0;
  MemberId good_helper = 0;  // reached it the last time
  std::uint64_t relay_nonce = 0;
  TimePoint relay_nonce_until{};

  std::vector<RelayRequest> relays;  // at most one a requester

  std::uint64_t digest = 0;  // its part of the view's digest; 0: it has none

  // The last exchange of views with it.
  std::uint64_t compared_ours = 0;
  std::uint64_t compared_theirs = 0;
  TimePoint compared_at{};

  bool left_confirmed = false;  // has confirmed our leaving
  std::optional<TimePoint> key_reported_at;

  [[nodiscard]] bool CountsAsAlive() const noexcept {
    return state == MemberState::kAlive || state == MemberState::kSuspect;
  }
};

}  // namespace stentor::speaker
