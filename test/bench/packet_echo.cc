// SPDX-License-Identifier: Apache-2.0
// The yardstick for the speaker's packet path: the least that a program can do to answer ARP or
// NDP. One epoll, one address, no counters, no checks beyond the kind of message and the address.
// By libpcap, or with --raw by a bare AF_PACKET socket without a ring.
//
//   packet-echo --interface IF --address IP [--raw yes]

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/ip_address.h"
#include "common/net/mac_address.h"
#include "test/bench/interface_mac.h"

namespace {

using stentor::net::IpAddress;
using stentor::net::MacAddress;
using Octets = std::vector<std::uint8_t>;

struct Echo {
  pcap_t* pcap = nullptr;  // or null, and `fd`
  int fd = -1;
  MacAddress::Octets mac{};
  Octets address;  // 4 or 16
};

void Put(std::span<const std::uint8_t> bytes, std::size_t at, Octets* frame) {
  std::copy(bytes.begin(), bytes.end(), frame->begin() + static_cast<std::ptrdiff_t>(at));
}

Octets ArpReply(const Echo& echo, const std::uint8_t* frame, std::size_t size) {
  if (size < 42 || frame[21] != 1 ||
      !std::equal(echo.address.begin(), echo.address.end(), frame + 38)) {
    return {};
  }
  Octets reply(frame, frame + 42);
  Put({frame + 22, 6}, 0, &reply);  // to: the sender's MAC
  Put(echo.mac, 6, &reply);
  reply[21] = 2;  // reply
  Put(echo.mac, 22, &reply);
  Put(echo.address, 28, &reply);
  Put({frame + 22, 10}, 32, &reply);  // target: who asked
  return reply;
}

// RFC 1071, over the pseudo header of RFC 8200, 8.1, and the 32 octets of the advertisement.
std::uint16_t Checksum(const Octets& frame) {
  std::uint32_t sum = 32 + 58;
  for (std::size_t i = 22; i < 86; i += 2) {
    sum += (std::uint32_t{frame[i]} << 8U) | frame[i + 1];
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffffU) + (sum >> 16U);
  }
  return static_cast<std::uint16_t>(~sum);
}

Octets NdReply(const Echo& echo, const std::uint8_t* frame, std::size_t size) {
  if (size < 78 || frame[20] != 58 || frame[54] != 135 ||
      !std::equal(echo.address.begin(), echo.address.end(), frame + 62)) {
    return {};
  }
  Octets reply(frame, frame + 54);
  reply.resize(86);
  Put({frame + 6, 6}, 0, &reply);
  Put(echo.mac, 6, &reply);
  reply[18] = 0;
  reply[19] = 32;                     // payload length
  Put(echo.address, 22, &reply);      // from
  Put({frame + 22, 16}, 38, &reply);  // to who asked
  reply[54] = 136;                    // advertisement
  reply[58] = 0x60;                   // solicited, override
  Put(echo.address, 62, &reply);
  reply[78] = 2;  // target link-layer address
  reply[79] = 1;
  Put(echo.mac, 80, &reply);
  const std::uint16_t checksum = Checksum(reply);
  reply[56] = static_cast<std::uint8_t>(checksum >> 8U);
  reply[57] = static_cast<std::uint8_t>(checksum);
  return reply;
}

Octets Reply(const Echo& echo, const std::uint8_t* frame, std::size_t size) {
  return echo.address.size() == 4 ? ArpReply(echo, frame, size) : NdReply(echo, frame, size);
}

void OnFrame(u_char* user, const pcap_pkthdr* header, const u_char* frame) {
  const Echo& echo = *reinterpret_cast<const Echo*>(user);
  const Octets reply = Reply(echo, frame, header->caplen);
  if (!reply.empty() && pcap_inject(echo.pcap, reply.data(), reply.size()) < 0) {
    pcap_perror(echo.pcap, "packet-echo");
  }
}

bool OpenPcap(const std::string& interface, Echo* echo) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  echo->pcap = pcap_create(interface.c_str(), error.data());
  if (echo->pcap == nullptr) {
    std::fprintf(stderr, "packet-echo: %s\n", error.data());
    return false;
  }
  const char* const what = echo->address.size() == 4 ? "arp[6:2] = 1" : "icmp6 and ip6[40] = 135";
  pcap_set_snaplen(echo->pcap, 128);
  pcap_set_buffer_size(echo->pcap, 256 * 1024);
  pcap_set_immediate_mode(echo->pcap, 1);
  bpf_program filter{};
  if (pcap_activate(echo->pcap) < 0 || pcap_setnonblock(echo->pcap, 1, error.data()) != 0 ||
      pcap_setdirection(echo->pcap, PCAP_D_IN) != 0 ||
      pcap_compile(echo->pcap, &filter, what, 1, PCAP_NETMASK_UNKNOWN) != 0 ||
      pcap_setfilter(echo->pcap, &filter) != 0) {
    pcap_perror(echo->pcap, "packet-echo");
    return false;
  }
  pcap_freecode(&filter);
  echo->fd = pcap_get_selectable_fd(echo->pcap);
  return true;
}

bool OpenRaw(const std::string& interface, Echo* echo) {
  const auto protocol =
      htons(static_cast<std::uint16_t>(echo->address.size() == 4 ? ETH_P_ARP : ETH_P_IPV6));
  echo->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  sockaddr_ll local{};
  local.sll_family = AF_PACKET;
  local.sll_protocol = protocol;
  local.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (echo->fd < 0 || local.sll_ifindex == 0 ||
      bind(echo->fd, reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0) {
    std::perror("packet-echo");
    return false;
  }
  return true;
}

// Answers what waits; false where the socket is of no use any more.
bool Serve(Echo* echo) {
  if (echo->pcap != nullptr) {
    return pcap_dispatch(echo->pcap, -1, OnFrame, reinterpret_cast<u_char*>(echo)) >= 0;
  }
  std::array<std::uint8_t, 128> frame{};
  for (;;) {
    const ssize_t size = recv(echo->fd, frame.data(), frame.size(), 0);
    if (size < 0) {
      return errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
    }
    const Octets reply = Reply(*echo, frame.data(), static_cast<std::size_t>(size));
    if (!reply.empty()) {
      (void)send(echo->fd, reply.data(), reply.size(), 0);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string interface;
  std::string address_text;
  bool raw = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--interface") {
      interface = argv[i + 1];
    } else if (flag == "--address") {
      address_text = argv[i + 1];
    } else if (flag == "--raw") {
      raw = true;
    }
  }
  const auto address = IpAddress::Parse(address_text);
  const MacAddress mac = stentor::bench::InterfaceMac(interface);
  if (!address || mac.IsZero()) {
    std::fprintf(stderr, "usage: packet-echo --interface IF --address IP [--raw yes]\n");
    return 2;
  }
  Echo echo{.mac = mac.octets()};
  if (address->IsIpv4()) {
    const std::uint32_t value = address->ipv4().value();
    for (unsigned shift : {24U, 16U, 8U, 0U}) {
      echo.address.push_back(static_cast<std::uint8_t>(value >> shift));
    }
  } else {
    const auto octets = address->ipv6().octets();
    echo.address.assign(octets.begin(), octets.end());
  }
  if (!(raw ? OpenRaw(interface, &echo) : OpenPcap(interface, &echo))) {
    return 1;
  }
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, echo.fd, &event);
  while (epoll_wait(epoll, &event, 1, -1) >= 0 || errno == EINTR) {
    if (!Serve(&echo)) {
      std::perror("packet-echo");
      return 1;
    }
  }
  return 1;
}
