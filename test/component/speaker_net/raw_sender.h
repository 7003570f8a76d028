// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "common/base/unique_fd.h"
#include "common/net/arp.h"
#include "test/component/speaker_net/packet_namespaces.h"
#include "test/support/catch.h"

namespace stentor::test {

/// A host that sends raw frames from an interface of `where`.
class RawSender {
 public:
  RawSender(const Namespace& where, const char* interface) {
    const Inside inside(where);
    socket_.Reset(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    REQUIRE(socket_.IsOpen());
    address_.sll_family = AF_PACKET;
    address_.sll_ifindex = static_cast<int>(if_nametoindex(interface));
    REQUIRE(address_.sll_ifindex > 0);
  }

  void Send(Bytes frame) const {
    REQUIRE(sendto(socket_.Get(), frame.data(), frame.size(), 0,
                   reinterpret_cast<const sockaddr*>(&address_),
                   sizeof(address_)) == static_cast<ssize_t>(frame.size()));
  }

  void Request(net::Ipv4Address target, std::uint16_t operation = net::kArpRequest,
               net::MacAddress destination = net::MacAddress::Broadcast()) const {
    const net::MacAddress host({0x02, 0, 0, 0, 0, 0x10});
    Send(net::EncodeArp({.destination = destination,
                         .source = host,
                         .operation = operation,
                         .sender_mac = host,
                         .sender_ip = net::Ipv4Address::FromOctets(192, 0, 2, 1),
                         .target_mac = {},
                         .target_ip = target}));
  }

 private:
  UniqueFd socket_;
  sockaddr_ll address_{};
};

}  // namespace stentor::test
