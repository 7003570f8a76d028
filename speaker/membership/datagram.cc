// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/datagram.h"

#include <span>

#include "common/base/check.h"
#include "common/crypto/sha256.h"

namespace stentor::speaker {
namespace {

constexpr std::uint16_t kMagic = 0x5374;  // "St"
constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kWatchedFlag = 1U << 0U;
constexpr std::uint8_t kUnderstandsClaimsFlag = 1U << 1U;
constexpr std::uint8_t kClaimsDigestFlag = 1U << 2U;
constexpr std::uint8_t kAboutClaimsFlag = 1U << 3U;
constexpr std::uint8_t kTakesQuietFlag = 1U << 4U;

bool IsKind(std::uint8_t value) {
  return value >= static_cast<std::uint8_t>(MessageKind::kHeartbeat) &&
         value <= static_cast<std::uint8_t>(MessageKind::kClaims);
}

bool IsNoteState(std::uint8_t value) {
  return value >= static_cast<std::uint8_t>(NoteState::kAlive) &&
         value <= static_cast<std::uint8_t>(NoteState::kSuspect);
}

bool MustBeAboutClaims(MessageKind kind) {
  return kind == MessageKind::kClaimsRequest || kind == MessageKind::kClaims;
}

bool MayBeAboutClaims(MessageKind kind) {
  return kind == MessageKind::kRelayedAnswer || MustBeAboutClaims(kind);
}

std::uint8_t FlagsOf(const Body& body) {
  const int flags = (body.watched ? kWatchedFlag : 0) |
                    (body.understands_claims ? kUnderstandsClaimsFlag : 0) |
                    (body.claims_digest != 0 ? kClaimsDigestFlag : 0) |
                    (body.about ? kAboutClaimsFlag : 0) | (body.takes_quiet ? kTakesQuietFlag : 0);
  return static_cast<std::uint8_t>(flags);
}

void EncodeClaims(const ClaimsPart& about, ByteWriter& out) {
  out.U64(about.digest).U64(about.base).U16(about.part).U16(about.part_count);
  out.U8(static_cast<std::uint8_t>(about.claims.size()));
  for (const Claim& claim : about.claims) {
    out.U64(claim.address).U32(claim.epoch);
  }
}

// How many claims the part has to have, at least.
std::size_t LeastClaims(const ClaimsPart& about) {
  if (about.part_count == 0) {
    return 0;
  }
  return about.part + 1 == about.part_count ? 1 : kClaimsPerPart;
}

bool DecodeClaims(ByteReader& in, MessageKind kind, ClaimsPart& about) {
  about.digest = in.U64();
  about.base = in.U64();
  about.part = in.U16();
  about.part_count = in.U16();
  const std::size_t count = in.U8();
  const bool told = kind == MessageKind::kClaims;
  if (!in.ok() || about.part >= kMaxClaimsParts || about.part_count > kMaxClaimsParts ||
      told != (about.part < about.part_count) || told != (about.part_count > 0) ||
      count < LeastClaims(about) || count > (told ? kClaimsPerPart : 0)) {
    return false;
  }
  about.claims.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const AddressKey address = in.U64();
    const std::uint32_t epoch = in.U32();
    if (!in.ok() || (epoch == 0 && about.base == 0) ||
        (i > 0 && address <= about.claims.back().address)) {
      return false;
    }
    about.claims.push_back({.address = address, .epoch = epoch});
  }
  return true;
}

}  // namespace

MemberId MemberIdOf(std::string_view node) {
  const crypto::Sha256Digest digest = crypto::Sha256(AsBytes(node));
  return ByteReader(digest).U64();
}

std::vector<std::byte> EncodeHeader(const Header& header) {
  STENTOR_CHECK(!header.node.empty() && header.node.size() <= kMaxNodeNameSize) << header.node;
  ByteWriter out;
  const int version = kVersion | (header.quiet ? kQuietBit : 0);
  out.U16(kMagic)
      .U8(static_cast<std::uint8_t>(version))
      .U32(header.key)
      .U64(header.boot)
      .U64(header.counter);
  out.U8(static_cast<std::uint8_t>(header.node.size())).Put(AsBytes(header.node));
  return std::move(out).Finish();
}

std::variant<Header, MembershipDrop> DecodeHeader(Bytes datagram) noexcept {
  if (datagram.size() > kMaxDatagramSize) {
    return MembershipDrop::kTruncated;  // what the socket's buffer held of it, at any rate
  }
  ByteReader in(datagram);
  const std::uint16_t magic = in.U16();
  if (in.ok() && magic != kMagic) {
    return MembershipDrop::kBadMagic;
  }
  const std::uint8_t version = in.U8();
  if (in.ok() && (version & ~kQuietBit) != kVersion) {
    return MembershipDrop::kBadVersion;
  }
  Header header;
  header.quiet = (version & kQuietBit) != 0;
  header.key = in.U32();
  header.boot = in.U64();
  header.counter = in.U64();
  const std::size_t name_size = in.U8();
  const Bytes name = in.Take(name_size);
  if (!in.ok() || name_size == 0 || name_size > kMaxNodeNameSize) {
    return MembershipDrop::kTruncated;
  }
  header.node = {reinterpret_cast<const char*>(name.data()), name.size()};
  return header;
}

std::vector<std::byte> EncodeBody(const Body& body) {
  STENTOR_CHECK(body.notes.size() <= kMaxNotes && body.macs.size() <= kMaxMacs &&
                (!body.about || body.about->claims.size() <= kClaimsPerPart) &&
                (MustBeAboutClaims(body.kind) ? body.about.has_value()
                                              : !body.about || MayBeAboutClaims(body.kind)))
      << body.notes.size() << " notes, " << body.macs.size() << " MACs, "
      << (body.about ? body.about->claims.size() : 0) << " claims";
  ByteWriter out;
  out.U8(static_cast<std::uint8_t>(body.kind)).U8(FlagsOf(body));
  out.U16(body.yields).U32(body.incarnation).U32(body.newest_key);
  out.U64(body.seen_boot).U64(body.view_digest);
  out.U64(body.challenge).U64(body.echo).U64(body.nonce);
  out.U8(static_cast<std::uint8_t>(body.notes.size()));
  for (const Note& note : body.notes) {
    out.U64(note.member).U64(note.boot).U32(note.incarnation);
    out.U8(static_cast<std::uint8_t>(note.state)).U16(note.yields);
  }
  out.U8(static_cast<std::uint8_t>(body.macs.size()));
  for (const net::MacAddress& mac : body.macs) {
    out.Put(std::as_bytes(std::span(mac.octets())));
  }
  if (body.claims_digest != 0) {
    out.U64(body.claims_digest);
  }
  if (body.about) {
    EncodeClaims(*body.about, out);
  }
  return std::move(out).Finish();
}

std::optional<Body> DecodeBody(Bytes plaintext) {
  ByteReader in(plaintext);
  Body body;
  const std::uint8_t kind = in.U8();
  if (!IsKind(kind)) {
    return std::nullopt;
  }
  body.kind = static_cast<MessageKind>(kind);
  const std::uint8_t flags = in.U8();
  body.watched = (flags & kWatchedFlag) != 0;
  body.understands_claims = (flags & kUnderstandsClaimsFlag) != 0;
  body.takes_quiet = (flags & kTakesQuietFlag) != 0;
  body.yields = in.U16();
  body.incarnation = in.U32();
  body.newest_key = in.U32();
  body.seen_boot = in.U64();
  body.view_digest = in.U64();
  body.challenge = in.U64();
  body.echo = in.U64();
  body.nonce = in.U64();
  const std::size_t count = in.U8();
  if (!in.ok() || count > kMaxNotes) {
    return std::nullopt;
  }
  body.notes.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Note note;
    note.member = in.U64();
    note.boot = in.U64();
    note.incarnation = in.U32();
    const std::uint8_t state = in.U8();
    note.yields = in.U16();
    if (!in.ok() || !IsNoteState(state)) {
      return std::nullopt;
    }
    note.state = static_cast<NoteState>(state);
    body.notes.push_back(note);
  }
  const std::size_t mac_count = in.U8();
  if (!in.ok() || mac_count > kMaxMacs) {
    return std::nullopt;
  }
  body.macs.reserve(mac_count);
  for (std::size_t i = 0; i < mac_count; ++i) {
    net::MacAddress::Octets octets{};
    for (std::uint8_t& octet : octets) {
      octet = in.U8();
    }
    body.macs.emplace_back(octets);
  }
  if ((flags & kClaimsDigestFlag) != 0) {
    body.claims_digest = in.U64();
    if (body.claims_digest == 0) {
      return std::nullopt;
    }
  }
  const bool about = (flags & kAboutClaimsFlag) != 0;
  if (about ? !MayBeAboutClaims(body.kind) || !DecodeClaims(in, body.kind, body.about.emplace())
            : MustBeAboutClaims(body.kind)) {
    return std::nullopt;
  }
  if (!in.ok() || !in.rest().empty()) {
    return std::nullopt;
  }
  return body;
}

}  // namespace stentor::speaker
