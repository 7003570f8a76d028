// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The membership's datagram. In clear, authenticated:
///
///   'S' 't'  version(1)  key id(4)  boot id(8)  counter(8)  name length(1)  sender's node name
///
/// then sealed, followed by the tag (16):
///
///   kind(1)  flags(1)  yields(2)  incarnation(4)  newest key(4)  seen boot(8)  view digest(8)
///   challenge(8)  echo(8)  nonce(8)  note count(1)  notes (23 each)  MAC count(1)  MACs (6 each)
///
/// and, as flags say, what the sender claims (bit 2), and what it tells or asks of somebody's
/// claims (bit 3):
///
///   claims digest(8)
///   digest(8)  base(8)  part(2)  part count(2)  claim count(1)
///   claims (12 each: address key(8)  epoch(4))
///
/// Integers are in network order. A datagram without notes, MACs and claims, from a node with a
/// name of 10 octets, has 104 octets. Of the flags, bit 0 is `watched`, and bit 1 says that the
/// sender understands claims: those who don't are sent none, since they would drop what follows the
/// MACs. Bit 4 says that it takes quiet datagrams. Other flags are sent as 0 and not looked
/// at.
///
/// The highest bit of the version is set in a quiet datagram, and at octet kQuietOctet, so that the
/// kernel of whoever gets it can tell. It says that its sender lives, and nothing that the ones
/// before did not say: it may wait until the recipient looks by itself.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/net/mac_address.h"
#include "speaker/claims/claims.h"
#include "speaker/membership/drop_reason.h"

namespace stentor::speaker {

/// Fits an Ethernet frame, tunnels included; longer ones are never sent and always dropped.
inline constexpr std::size_t kMaxDatagramSize = 1400;
inline constexpr std::size_t kMaxNodeNameSize = 253;
/// Views of more members are told in several datagrams.
inline constexpr std::size_t kMaxNotes = 40;
/// A speaker that announces from more tells the lowest ones.
inline constexpr std::size_t kMaxMacs = 16;
/// Claims are told in parts, all but the last of which have so many.
inline constexpr std::size_t kClaimsPerPart = 75;
inline constexpr std::size_t kMaxClaimsParts = (kMaxClaims + kClaimsPerPart - 1) / kClaimsPerPart;

/// Random at each start of a speaker.
using BootId = std::uint64_t;
/// A node's name as notes carry it: the first 8 octets of its SHA-256.
using MemberId = std::uint64_t;
/// Tells which secret a datagram is sealed under, without telling the secret.
using KeyId = std::uint32_t;

[[nodiscard]] MemberId MemberIdOf(std::string_view node);

/// Where, from the beginning of a datagram, and by which bit, it shows that it is quiet.
inline constexpr std::size_t kQuietOctet = 2;
inline constexpr std::uint8_t kQuietBit = 0x80;

/// The clear part. `node` is a view on the datagram.
struct Header {
  KeyId key = 0;
  BootId boot = 0;
  std::uint64_t counter = 0;
  std::string_view node;
  bool quiet = false;  ///< Only to those who said that they take them.

  friend bool operator==(const Header&, const Header&) = default;
};

enum class MessageKind : std::uint8_t {
  kHeartbeat = 1,      ///< Sent in turn; also whatever has to be told at once.
  kProbe = 2,          ///< Asks for an answer: carries a challenge.
  kAnswer = 3,         ///< Answers a probe: carries the echo.
  kRelayRequest = 4,   ///< "Probe the member in the note for me": carries a nonce.
  kRelayedAnswer = 5,  ///< "It answered me": carries the request's nonce, and its note.
  kLeaving = 6,        ///< Goodbye.
  kClaimsRequest = 7,  ///< "What does the member in the note claim?": from the part on.
  kClaims = 8,         ///< A part of what the member in the note claims.
};

enum class NoteState : std::uint8_t {
  kAlive = 1,
  kDead = 2,
  kLeft = 3,
  kSuspect = 4,  ///< Did not answer the sender's first probes.
};

/// What a speaker tells about a member.
struct Note {
  MemberId member = 0;
  BootId boot = 0;
  std::uint32_t incarnation = 0;
  NoteState state = NoteState::kAlive;
  std::uint16_t yields = 0;

  friend bool operator==(const Note&, const Note&) = default;
};

/// A part of a member's claims, or of what has changed of them; or what is asked of them.
struct ClaimsPart {
  std::uint64_t digest = 0;      ///< Of all of them; 0: it claims nothing.
  std::uint64_t base = 0;        ///< Of those before the change, or that the asker knows; 0: none.
  std::uint16_t part = 0;        ///< Number of this part; of a request: the first one asked for.
  std::uint16_t part_count = 0;  ///< Only in kClaims.
  Claims claims;  ///< Only in kClaims. Where there is a base, an epoch of 0 takes one away.

  friend bool operator==(const ClaimsPart&, const ClaimsPart&) = default;
};

/// The sealed part.
struct Body {
  MessageKind kind = MessageKind::kHeartbeat;
  bool watched = false;  ///< The recipient is an observer of the sender: it gets all heartbeats.
  bool understands_claims = false;  ///< The sender does.
  bool takes_quiet = false;         ///< The sender does: it may be sent quiet datagrams.
  std::uint16_t yields = 0;         ///< The sender's own.
  std::uint32_t incarnation = 0;
  KeyId newest_key = 0;  ///< Under which the sender would seal to those who know it.
  BootId seen_boot = 0;  ///< The boot of the recipient that the sender counts as alive; 0 for none.
  std::uint64_t view_digest = 0;
  std::uint64_t challenge = 0;  ///< To be echoed by the recipient; 0 for none.
  std::uint64_t echo = 0;       ///< The recipient's last challenge; 0 for none.
  std::uint64_t nonce = 0;      ///< Of a relayed probe; otherwise 0.
  std::vector<Note> notes;
  /// From which the sender announces: no stranger's, whatever they claim.
  std::vector<net::MacAddress> macs;
  std::uint64_t claims_digest = 0;  ///< Of what the sender claims; 0 for nothing.
  /// What the member in the note claims: of kClaimsRequest and kClaims, and of kRelayedAnswer where
  /// that member understands claims.
  std::optional<ClaimsPart> about;

  friend bool operator==(const Body&, const Body&) = default;
};

/// Octets of the clear part of a datagram from a node with a name of `name_size` octets.
[[nodiscard]] constexpr std::size_t HeaderSize(std::size_t name_size) { return 24 + name_size; }

[[nodiscard]] std::vector<std::byte> EncodeHeader(const Header& header);
/// Reads the clear part; any bytes. Doesn't allocate.
[[nodiscard]] std::variant<Header, MembershipDrop> DecodeHeader(Bytes datagram) noexcept;

/// Precondition: at most kMaxNotes notes and kMaxMacs MACs; of kClaims one note, and at most
/// kClaimsPerPart claims.
[[nodiscard]] std::vector<std::byte> EncodeBody(const Body& body);
/// Reads the opened part; any bytes. Nothing where it is malformed: short, long, of an unknown
/// kind, without claims where there must be some, or with claims that are not sorted, without an
/// epoch (unless there is a base), or not as many as there must be. Unknown yields are kept, so
/// that later versions may add some.
[[nodiscard]] std::optional<Body> DecodeBody(Bytes plaintext);

}  // namespace stentor::speaker
