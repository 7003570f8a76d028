// SPDX-License-Identifier: Apache-2.0
// Any datagram on the routing socket, through everything that believes it: the decoder, the dump
// conversation, the links and the announcer.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "common/base/check.h"
#include "speaker/announce/announcer.h"
#include "speaker/announce/link_sync.h"
#include "speaker/announce/links.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using stentor::net::Ipv4Address;
  const stentor::Bytes datagram = std::as_bytes(std::span(data, size));
  stentor::speaker::Links links{stentor::speaker::NameFilter()};
  stentor::speaker::LinkSync sync(links);
  stentor::speaker::Announcer announcer(links, {});
  const Ipv4Address address = Ipv4Address::FromOctets(192, 0, 2, 111);
  stentor::TimePoint now(std::chrono::seconds(1));
  announcer.Announce(address, std::nullopt, now);
  static_cast<void>(sync.Start());

  std::size_t eligible = 0;
  const auto take = [&](const stentor::speaker::LinkSync::Result& result) {
    announcer.OnLinkEvents(result.events, now);
    for (const stentor::speaker::LinkEvent& event : result.events) {
      eligible += event.change == stentor::speaker::LinkChange::kAdded ? 1U : 0U;
      eligible -= event.change == stentor::speaker::LinkChange::kRemoved ? 1U : 0U;
    }
    now += std::chrono::seconds(2);
    for (const stentor::speaker::OutgoingFrame& frame : announcer.Poll(now)) {
      STENTOR_CHECK(announcer.Contains(address, frame.link));
    }
  };
  take(sync.OnDatagram(datagram));
  take(sync.OnOverrun());
  take(sync.OnDatagram(datagram));
  take({.events = links.EndDump(), .request = std::nullopt, .status = {}});

  // The events must add up to the state.
  std::size_t found = 0;
  for (const auto& [index, link] : links.all()) {
    found += link.answers_arp ? 1U : 0U;
  }
  STENTOR_CHECK(found == eligible) << found << " eligible, events say " << eligible;
  return 0;
}
