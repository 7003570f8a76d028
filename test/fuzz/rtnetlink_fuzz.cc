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
  const auto address6 =
      stentor::net::IpAddress::FromNumber(stentor::net::IpFamily::kIpv6, 0x20010db800000000, 0x6f);
  stentor::TimePoint now(std::chrono::seconds(1));
  announcer.Announce(address, {}, now);
  announcer.Announce(address6, {}, now);
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
      STENTOR_CHECK(announcer.Contains(frame.address, frame.link));
    }
  };
  take(sync.OnDatagram(datagram));
  sync.OnOverrun();
  if (sync.WantsDump()) {
    static_cast<void>(sync.Start());
  }
  take(sync.OnDatagram(datagram));
  take({.events = links.EndDump(), .request = std::nullopt, .status = {}});

  // The events must add up to the state.
  std::size_t found = 0;
  for (const auto& [index, link] : links.all()) {
    found += link.can_answer ? 1U : 0U;
    STENTOR_CHECK(link.answers_arp == (link.can_answer && !link.enslaved));
    STENTOR_CHECK(link.answers_ndp == (link.answers_arp && link.link_local.has_value()));
    STENTOR_CHECK(announcer.Contains(address, index) == link.answers_arp);
    STENTOR_CHECK(announcer.Contains(address6, index) == link.answers_ndp);
  }
  STENTOR_CHECK(found == eligible) << found << " eligible, events say " << eligible;
  return 0;
}
