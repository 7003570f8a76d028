// SPDX-License-Identifier: Apache-2.0
// The yardstick for the speaker's reply latency: the least that a program with libpcap can do to
// answer ARP. One epoll, one address, no counters, no checks beyond the operation and the address.
//
//   arp-echo --interface IF --address IP

#include <pcap/pcap.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "common/net/ip_address.h"
#include "common/net/mac_address.h"
#include "test/bench/interface_mac.h"

namespace {

using stentor::net::Ipv4Address;
using stentor::net::MacAddress;

struct Echo {
  pcap_t* pcap = nullptr;
  MacAddress::Octets mac{};
  std::array<std::uint8_t, 4> address{};
};

void OnFrame(u_char* user, const pcap_pkthdr* header, const u_char* frame) {
  const Echo& echo = *reinterpret_cast<const Echo*>(user);
  if (header->caplen < 42 || frame[21] != 1 ||
      !std::equal(echo.address.begin(), echo.address.end(), frame + 38)) {
    return;
  }
  std::array<std::uint8_t, 42> reply{};
  std::copy(frame, frame + 42, reply.begin());
  std::copy(frame + 22, frame + 28, reply.begin());         // to: the sender's MAC
  std::copy(echo.mac.begin(), echo.mac.end(), &reply[6]);   // from
  reply[21] = 2;                                            // reply
  std::copy(echo.mac.begin(), echo.mac.end(), &reply[22]);  // sender
  std::copy(echo.address.begin(), echo.address.end(), &reply[28]);
  std::copy(frame + 22, frame + 32, &reply[32]);  // target: who asked
  if (pcap_inject(echo.pcap, reply.data(), reply.size()) < 0) {
    pcap_perror(echo.pcap, "arp-echo");
  }
}

bool Open(const std::string& interface, Echo* echo) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  echo->pcap = pcap_create(interface.c_str(), error.data());
  if (echo->pcap == nullptr) {
    std::fprintf(stderr, "arp-echo: %s\n", error.data());
    return false;
  }
  pcap_set_snaplen(echo->pcap, 64);
  pcap_set_buffer_size(echo->pcap, 256 * 1024);
  pcap_set_immediate_mode(echo->pcap, 1);
  bpf_program filter{};
  if (pcap_activate(echo->pcap) < 0 || pcap_setnonblock(echo->pcap, 1, error.data()) != 0 ||
      pcap_setdirection(echo->pcap, PCAP_D_IN) != 0 ||
      pcap_compile(echo->pcap, &filter, "arp[6:2] = 1", 1, PCAP_NETMASK_UNKNOWN) != 0 ||
      pcap_setfilter(echo->pcap, &filter) != 0) {
    pcap_perror(echo->pcap, "arp-echo");
    return false;
  }
  pcap_freecode(&filter);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::string interface;
  std::string address_text;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--interface") {
      interface = argv[i + 1];
    } else if (flag == "--address") {
      address_text = argv[i + 1];
    }
  }
  const auto address = Ipv4Address::Parse(address_text);
  const MacAddress mac = stentor::bench::InterfaceMac(interface);
  if (!address || mac.IsZero()) {
    std::fprintf(stderr, "usage: arp-echo --interface IF --address IPV4\n");
    return 2;
  }
  Echo echo{.pcap = nullptr, .mac = mac.octets(), .address = {}};
  for (std::size_t i = 0; i < 4; ++i) {
    echo.address[i] = static_cast<std::uint8_t>(address->value() >> (24 - 8 * i));
  }
  if (!Open(interface, &echo)) {
    return 1;
  }
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{.events = EPOLLIN, .data = {}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, pcap_get_selectable_fd(echo.pcap), &event);
  while (epoll_wait(epoll, &event, 1, -1) >= 0) {
    if (pcap_dispatch(echo.pcap, -1, OnFrame, reinterpret_cast<u_char*>(&echo)) < 0) {
      pcap_perror(echo.pcap, "arp-echo");
      return 1;
    }
  }
  return 1;
}
