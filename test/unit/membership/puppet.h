// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "speaker/claims/claims.h"
#include "speaker/membership/datagram.h"
#include "speaker/membership/keys.h"
#include "speaker/membership/membership.h"
#include "test/support/catch.h"
#include "test/unit/membership/pair.h"

namespace stentor::speaker {

// A peer "b" that says what a test wants.
struct Puppet {
  TimePoint now{1h};
  std::uint64_t random = 0;
  std::uint64_t counter = 0;
  Keyring keyring{std::vector<std::string>{"secret"}};
  Channel to_us = keyring.MakeChannel(keyring.sealing_key(), 77, "b", "a");
  Membership membership{{.node = "a", .secrets = {"secret"}}, [this] { return ++random; }};

  explicit Puppet(bool understands = true) {
    static_cast<void>(
        membership.SetPeers(now, {{.node = "b", .addresses = {kAddressB}},
                                  {.node = "c", .addresses = {net::Ipv4Address(0xC0000203)}}}));
    Body body;
    body.kind = MessageKind::kAnswer;
    body.understands_claims = understands;
    body.echo = 2;  // the random numbers count: after the boot id comes the first challenge
    REQUIRE_FALSE(Say(body).dropped);
  }
  // What of `actions` is sent to the peer.
  std::vector<Body> Heard(const Actions& actions) {
    std::vector<Body> bodies;
    for (const OutgoingDatagram& datagram : actions.send) {
      if (datagram.destination != kAddressB) {
        continue;
      }
      const Header header = std::get<Header>(DecodeHeader(datagram.bytes));
      Channel channel = keyring.MakeChannel(header.key, header.boot, "a", "b");
      const Bytes bytes(datagram.bytes);
      std::vector<std::byte> plaintext(bytes.size());
      const auto size = channel.Open(header.counter, bytes.first(HeaderSize(1)),
                                     bytes.subspan(HeaderSize(1)), plaintext);
      REQUIRE(size);
      bodies.push_back(DecodeBody(Bytes(plaintext).first(*size)).value());
    }
    return bodies;
  }
  Actions Say(Body body) {
    std::vector<std::byte> bytes =
        EncodeHeader({.key = keyring.sealing_key(), .boot = 77, .counter = ++counter, .node = "b"});
    const std::vector<std::byte> sealed = to_us.Seal(counter, bytes, EncodeBody(body));
    bytes.insert(bytes.end(), sealed.begin(), sealed.end());
    return membership.OnDatagram(now, kAddressB, bytes);
  }
  static Body Part(const Claims& all, std::uint64_t digest, std::size_t part, std::size_t parts) {
    Body body;
    body.kind = MessageKind::kClaims;
    body.understands_claims = true;
    body.claims_digest = digest;
    body.notes = {{.member = MemberIdOf("b"), .boot = 77, .incarnation = 1}};
    const std::size_t begin = part * kClaimsPerPart;
    const std::size_t end = std::min(all.size(), begin + kClaimsPerPart);
    body.about = ClaimsPart{.digest = digest,
                            .part = static_cast<std::uint16_t>(part),
                            .part_count = static_cast<std::uint16_t>(parts),
                            .claims = Claims(all.begin() + static_cast<std::ptrdiff_t>(begin),
                                             all.begin() + static_cast<std::ptrdiff_t>(end))};
    return body;
  }
  [[nodiscard]] bool HasClaims() const {
    const std::vector<AliveMember> members = membership.AliveMembers();
    REQUIRE(members.size() == 2);
    return members[1].claims != nullptr;
  }
};

}  // namespace stentor::speaker
