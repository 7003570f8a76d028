// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/node_macs.h"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "common/base/strings.h"

namespace stentor::speaker {

std::optional<std::vector<std::byte>> NodeMacs::SetAddresses(
    const std::set<net::IpAddress>& addresses) {
  std::map<net::IpAddress, std::vector<Sighting>> next;
  bool more = false;
  bool fewer_macs = false;
  for (const net::IpAddress& address : addresses) {
    if (next.size() == kMaxAddresses) {
      break;
    }
    auto known = nodes_.extract(address);
    if (known.empty()) {
      more = true;
      next.emplace_hint(next.end(), address, std::vector<Sighting>());
    } else {
      next.insert(next.end(), std::move(known));
    }
  }
  for (const auto& [address, sightings] : nodes_) {  // what is left is no node's any more
    fewer_macs = fewer_macs || !sightings.empty();
  }
  nodes_ = std::move(next);
  if (fewer_macs) {
    ++revision_;
  }
  return more && started_ ? AskAgain() : std::nullopt;
}

std::vector<std::byte> NodeMacs::Start() {
  started_ = true;
  dumping_ = true;
  dump_again_ = false;
  return net::NeighborDumpRequest(++sequence_);
}

// One dump at a time: the kernel refuses a second one on the same socket.
std::optional<std::vector<std::byte>> NodeMacs::AskAgain() {
  if (dumping_) {
    dump_again_ = true;
    return std::nullopt;
  }
  return Start();
}

NodeMacs::Result NodeMacs::OnDatagram(Bytes datagram) {
  Result result;
  const net::RtnetlinkDatagram decoded = net::DecodeRtnetlink(datagram);
  for (const net::RtnetlinkMessage& message : decoded.messages) {
    dump_again_ = dump_again_ || message.dump_interrupted;
    if (const auto* neighbor = std::get_if<net::NeighborMessage>(&message.body)) {
      Learn(*neighbor);
    } else if (const auto* end = std::get_if<net::DumpEnd>(&message.body)) {
      if (!dumping_ || message.sequence != sequence_) {
        continue;
      }
      dumping_ = false;
      if (end->error ==
          ENOBUFS) {  // so many notifications wait that there was no room for the dump
        dump_again_ = true;
        continue;
      }
      if (end->error != 0) {
        result.status = absl::UnavailableError(
            StrCat("the kernel refused to list neighbours: errno ", end->error));
        return result;
      }
      synced_ = synced_ || !dump_again_;
    } else if (std::holds_alternative<net::Overrun>(message.body)) {
      dump_again_ = true;
    }
  }
  if (decoded.malformed) {
    // The kernel's datagrams are well-formed; one that isn't may have hidden a message.
    result.status = absl::DataLossError("malformed rtnetlink message");
  } else if (dump_again_ && !dumping_) {
    result.request = Start();
  }
  return result;
}

NodeMacs::Result NodeMacs::OnOverrun() { return {.request = AskAgain(), .status = {}}; }

void NodeMacs::Learn(const net::NeighborMessage& message) {
  // What the kernel forgets, or can't resolve just now, is still the node's.
  if (message.existence == net::Existence::kGone || !message.mac || message.mac->IsZero() ||
      message.mac->IsGroup()) {
    return;
  }
  const auto node = nodes_.find(message.address);
  if (node == nodes_.end()) {
    return;
  }
  std::vector<Sighting>& sightings = node->second;
  const auto same = std::find_if(sightings.begin(), sightings.end(),
                                 [&](const Sighting& one) { return one.link == message.index; });
  if (same != sightings.end() && same->mac == *message.mac) {
    return;
  }
  if (same != sightings.end()) {
    sightings.erase(same);
  } else if (sightings.size() == kMaxLinksOfAddress) {
    sightings.erase(sightings.begin());
  }
  sightings.push_back({.link = message.index, .mac = *message.mac});
  ++revision_;
}

std::set<net::MacAddress> NodeMacs::Macs() const {
  std::set<net::MacAddress> macs;
  for (const auto& [address, sightings] : nodes_) {
    for (const Sighting& sighting : sightings) {
      macs.insert(sighting.mac);
    }
  }
  return macs;
}

}  // namespace stentor::speaker
