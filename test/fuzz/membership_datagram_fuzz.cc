// SPDX-License-Identifier: Apache-2.0

/// \file
/// Bytes from the segment into the membership. The first octet chooses how they arrive: as they
/// are; or as the sealed part of a datagram from a peer that has the secret, so that the code
/// behind the seal is reached as well (it must survive a peer that is broken). Its other bits say
/// whether that is a quiet one, and how long it has waited.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/check.h"
#include "speaker/membership/datagram.h"
#include "speaker/membership/keys.h"
#include "speaker/membership/membership.h"

namespace stentor::speaker {
namespace {

const net::IpAddress kPeer = net::Ipv4Address::FromOctets(192, 0, 2, 2);
constexpr BootId kPeerBoot = 77;

struct Fuzzed {
  std::uint64_t random = 1;
  TimePoint now{std::chrono::hours(1)};
  std::uint64_t counter = 0;
  Keyring keyring{std::vector<std::string>{"secret"}};
  Channel to_us = keyring.MakeChannel(keyring.sealing_key(), kPeerBoot, "b", "a");
  Membership membership{{.node = "a", .secrets = {"secret"}}, [this] { return random++; }};

  Fuzzed() {
    static_cast<void>(
        membership.SetPeers(now, {{.node = "b", .addresses = {kPeer}},
                                  {.node = "c", .addresses = {net::Ipv4Address(0xC0000203)}}}));
  }

  Actions Sealed(Bytes body, bool quiet = false, Duration age = {}) {
    std::vector<std::byte> bytes = EncodeHeader({.key = keyring.sealing_key(),
                                                 .boot = kPeerBoot,
                                                 .counter = ++counter,
                                                 .node = "b",
                                                 .quiet = quiet});
    const std::vector<std::byte> sealed = to_us.Seal(counter, bytes, body);
    bytes.insert(bytes.end(), sealed.begin(), sealed.end());
    return membership.OnDatagram(now, kPeer, bytes, age);
  }

  // Alone it becomes ready, and claims so much that it takes several parts. The random numbers
  // count, so the challenge for the first peer is 2: after the boot id.
  void Join() {
    while (!membership.Ready()) {
      now = *membership.NextDeadline();
      static_cast<void>(membership.Poll(now));
    }
    Claims claims;
    for (AddressKey address = 1; address <= 200; ++address) {
      claims.push_back({.address = address, .epoch = 1});
    }
    static_cast<void>(membership.SetClaims(now, claims));
    Body body;
    body.kind = MessageKind::kAnswer;
    body.understands_claims = true;
    body.echo = 2;
    STENTOR_CHECK(!Sealed(EncodeBody(body)).dropped);
  }
};

}  // namespace
}  // namespace stentor::speaker

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stentor;           // NOLINT(google-build-using-namespace)
  using namespace stentor::speaker;  // NOLINT(google-build-using-namespace)
  if (size == 0) {
    return 0;
  }
  const Bytes input = std::as_bytes(std::span(data, size)).subspan(1);
  Fuzzed fuzzed;
  if (data[0] % 2 == 0) {
    const Actions actions = fuzzed.membership.OnDatagram(fuzzed.now, kPeer, input);
    STENTOR_CHECK(actions.dropped && actions.send.empty() && !actions.view_changed);
    return 0;
  }
  fuzzed.Join();
  // Since the last one some time has passed, so that an age counts.
  fuzzed.now = *fuzzed.membership.NextDeadline();
  static_cast<void>(fuzzed.membership.Poll(fuzzed.now));
  const Actions actions =
      fuzzed.Sealed(input, (data[0] & 2U) != 0, std::chrono::milliseconds(data[0] & 0xFCU));
  STENTOR_CHECK(actions.send.size() <= 16);  // a datagram makes no storm
  for (int i = 0; i < 20 && fuzzed.membership.NextDeadline(); ++i) {
    fuzzed.now = *fuzzed.membership.NextDeadline();
    static_cast<void>(fuzzed.membership.Poll(fuzzed.now));
  }
  return 0;
}
