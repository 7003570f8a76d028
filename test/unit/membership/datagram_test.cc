// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/datagram.h"

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

Header SomeHeader() {
  return {.key = 0x01020304, .boot = 0x1122334455667788, .counter = 42, .node = "node-1"};
}

Body SomeBody() {
  Body body;
  body.kind = MessageKind::kRelayRequest;
  body.watched = true;
  body.understands_claims = true;
  body.takes_quiet = true;
  body.yields = 0x8001;
  body.incarnation = 7;
  body.newest_key = 0x0a0b0c0d;
  body.seen_boot = 99;
  body.view_digest = 0xfedcba9876543210;
  body.claims_digest = 0x1122334455667788;
  body.challenge = 1;
  body.echo = 2;
  body.nonce = 3;
  body.notes = {
      {.member = 5, .boot = 6, .incarnation = 7, .state = NoteState::kDead, .yields = 8},
      {.member = 9, .boot = 10, .incarnation = 11, .state = NoteState::kLeft, .yields = 0}};
  body.macs = {net::MacAddress({2, 0, 0, 0, 0, 1}), net::MacAddress({2, 0, 0, 0, 0, 2})};
  return body;
}

}  // namespace

TEST_CASE("Membership headers have the documented layout", "[membership]") {
  const std::vector<std::byte> bytes = EncodeHeader(SomeHeader());
  REQUIRE(bytes.size() == HeaderSize(6));
  ByteReader in(bytes);
  CHECK(in.U16() == 0x5374);
  CHECK(in.U8() == 1);
  CHECK(in.U32() == 0x01020304);
  CHECK(in.U64() == 0x1122334455667788);
  CHECK(in.U64() == 42);
  CHECK(in.U8() == 6);
  CHECK(std::get<Header>(DecodeHeader(bytes)) == SomeHeader());
}

TEST_CASE("A kernel can tell quiet datagrams", "[membership]") {
  Header header = SomeHeader();
  const std::vector<std::byte> loud = EncodeHeader(header);
  header.quiet = true;
  std::vector<std::byte> quiet = EncodeHeader(header);
  CHECK(std::get<Header>(DecodeHeader(quiet)) == header);
  CHECK(quiet.at(kQuietOctet) == (loud.at(kQuietOctet) | std::byte{kQuietBit}));
  quiet.at(kQuietOctet) = loud.at(kQuietOctet);
  CHECK(quiet == loud);
}

TEST_CASE("Membership headers that can't be ours are dropped with a reason", "[membership]") {
  const std::vector<std::byte> good = EncodeHeader(SomeHeader());
  const auto with = [&good](std::size_t at, int value) {
    std::vector<std::byte> bytes = good;
    bytes.at(at) = static_cast<std::byte>(value);
    return bytes;
  };
  struct Case {
    const char* name;
    std::vector<std::byte> bytes;
    MembershipDrop want;
  };
  const std::vector<Case> cases = {
      {"empty", {}, MembershipDrop::kTruncated},
      {"one octet", {std::byte{'S'}}, MembershipDrop::kTruncated},
      {"memberlist's first octet", with(0, 0x0c), MembershipDrop::kBadMagic},
      {"version 2", with(2, 2), MembershipDrop::kBadVersion},
      {"quiet, version 2", with(2, 0x82), MembershipDrop::kBadVersion},
      {"no name", with(23, 0), MembershipDrop::kTruncated},
      {"name longer than the datagram", with(23, 7), MembershipDrop::kTruncated},
      {"too long", std::vector<std::byte>(kMaxDatagramSize + 1), MembershipDrop::kTruncated},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) { CHECK(std::get<MembershipDrop>(DecodeHeader(c.bytes)) == c.want); }
  }
  for (std::size_t size = 3; size < good.size(); ++size) {
    CHECK(std::get<MembershipDrop>(DecodeHeader(Bytes(good).first(size))) ==
          MembershipDrop::kTruncated);
  }
}

TEST_CASE("Membership bodies come back as they were", "[membership]") {
  CHECK(DecodeBody(EncodeBody(SomeBody())) == SomeBody());
  CHECK(DecodeBody(EncodeBody({})) == Body{});
  CHECK(EncodeBody({}).size() == 54);
}

namespace {

Body SomeClaims(std::size_t count, std::uint16_t part, std::uint16_t part_count) {
  Body body;
  body.kind = MessageKind::kClaims;
  body.notes.resize(1);
  body.about = ClaimsPart{.digest = 5, .part = part, .part_count = part_count, .claims = {}};
  for (std::size_t i = 0; i < count; ++i) {
    body.about->claims.push_back({.address = 10 + i, .epoch = 1});
  }
  return body;
}

}  // namespace

TEST_CASE("Claims on the wire are as many as there must be, sorted, and have an epoch",
          "[membership]") {
  struct Case {
    const char* name;
    Body body;
    bool good;
  };
  Body unsorted = SomeClaims(2, 0, 1);
  unsorted.about->claims[1].address = 9;
  Body twice = SomeClaims(2, 0, 1);
  twice.about->claims[1].address = 10;
  Body no_epoch = SomeClaims(2, 0, 1);
  no_epoch.about->claims[1].epoch = 0;
  Body takes_away = no_epoch;
  takes_away.about->base = 4;
  Body request = SomeClaims(0, 3, 0);
  request.kind = MessageKind::kClaimsRequest;
  Body request_with_claims = SomeClaims(1, 0, 1);
  request_with_claims.kind = MessageKind::kClaimsRequest;
  Body relayed = SomeClaims(0, 0, 0);
  relayed.kind = MessageKind::kRelayedAnswer;
  Body relayed_without = relayed;
  relayed_without.about.reset();
  const std::vector<Case> cases = {
      {"one claim", SomeClaims(1, 0, 1), true},
      {"as many as fit", SomeClaims(kClaimsPerPart, 0, 1), true},
      {"the first of two parts", SomeClaims(kClaimsPerPart, 0, 2), true},
      {"the last of two parts", SomeClaims(3, 1, 2), true},
      {"the last part that there can be", SomeClaims(3, kMaxClaimsParts - 1, kMaxClaimsParts),
       true},
      {"a part too many", SomeClaims(3, kMaxClaimsParts, kMaxClaimsParts + 1), false},
      {"a first part that is not full", SomeClaims(kClaimsPerPart - 1, 0, 2), false},
      {"none", SomeClaims(0, 0, 1), false},
      {"a part of none", SomeClaims(1, 0, 0), false},
      {"a part past the last", SomeClaims(1, 2, 2), false},
      {"not sorted", unsorted, false},
      {"an address twice", twice, false},
      {"no epoch", no_epoch, false},
      {"a change that takes one away", takes_away, true},
      {"a request", request, true},
      {"a request with claims", request_with_claims, false},
      {"a relayed answer", relayed, true},
      {"a relayed answer about one that doesn't know of claims", relayed_without, true},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      const std::vector<std::byte> bytes = EncodeBody(c.body);
      CHECK(DecodeBody(bytes).has_value() == c.good);
      for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK_FALSE(DecodeBody(Bytes(bytes).first(size)));
      }
      if (c.good) {
        CHECK(DecodeBody(bytes) == c.body);
      }
    }
  }
}

TEST_CASE("Membership bodies that are malformed give nothing", "[membership]") {
  const std::vector<std::byte> good = EncodeBody(SomeBody());
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK_FALSE(DecodeBody(Bytes(good).first(size)));
  }
  std::vector<std::byte> bad = good;
  SECTION("kind 0") { bad[0] = std::byte{0}; }
  SECTION("kind 9") { bad[0] = std::byte{9}; }
  SECTION("more notes than there are") { bad[52] = std::byte{3}; }
  SECTION("fewer notes than there are") { bad[52] = std::byte{1}; }
  SECTION("more notes than any datagram has") { bad[52] = std::byte{255}; }
  SECTION("a state of a note that doesn't exist") { bad[53 + 20] = std::byte{9}; }
  SECTION("more MACs than there are") { bad[53 + 2 * 23] = std::byte{3}; }
  SECTION("fewer MACs than there are") { bad[53 + 2 * 23] = std::byte{1}; }
  SECTION("more MACs than any datagram has") { bad[53 + 2 * 23] = std::byte{255}; }
  SECTION("an octet too many") { bad.push_back(std::byte{0}); }
  CHECK_FALSE(DecodeBody(bad));
}

TEST_CASE("The longest datagram fits", "[membership]") {
  Body notes;
  notes.notes.resize(kMaxNotes);
  Body claims = SomeClaims(kClaimsPerPart, 0, 1);
  for (Body* body : {&notes, &claims}) {
    body->macs.resize(kMaxMacs);
    CHECK(HeaderSize(kMaxNodeNameSize) + EncodeBody(*body).size() + 16 <= kMaxDatagramSize);
  }
}

TEST_CASE("MemberIdOf is the first 8 octets of the name's SHA-256", "[membership]") {
  CHECK(MemberIdOf("abc") == 0xba7816bf8f01cfeaU);
}

TEST_CASE("Every drop reason has a name of its own", "[membership]") {
  std::set<std::string> names;
  for (std::size_t i = 0; i < kMembershipDropCount; ++i) {
    CHECK(static_cast<std::size_t>(kAllMembershipDrops[i]) == i);
    names.insert(std::string(MembershipDropName(kAllMembershipDrops[i])));
  }
  CHECK(names.size() == kMembershipDropCount);
  CHECK_FALSE(names.contains("unknown"));
}

}  // namespace stentor::speaker
