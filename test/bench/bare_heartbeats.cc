// SPDX-License-Identifier: Apache-2.0
// The yardstick of an idle speaker: sends a UDP datagram to each peer ten times a second, and reads
// what comes from them. No encryption, no state, nothing is looked at.
//
//   bare-heartbeats ADDRESS PEER...      IPv4, one port for all

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "common/base/unique_fd.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kPort = 7947;  // beside the speaker's own
constexpr std::chrono::milliseconds kInterval(100);
constexpr std::size_t kOctets = 100;  // about what a speaker's heartbeat has

bool ParseAddress(const char* text, sockaddr_in& address) {
  address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  return inet_pton(AF_INET, text, &address.sin_addr) == 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<sockaddr_in> addresses(static_cast<std::size_t>(std::max(argc - 1, 0)));
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (!ParseAddress(argv[i + 1], addresses[i])) {
      (void)std::fprintf(stderr, "%s is no IPv4 address\n", argv[i + 1]);
      return 2;
    }
  }
  if (addresses.size() < 2) {
    (void)std::fputs("usage: bare-heartbeats ADDRESS PEER...\n", stderr);
    return 2;
  }
  const stentor::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (bind(fd.Get(), reinterpret_cast<const sockaddr*>(addresses.data()), sizeof(sockaddr_in)) !=
      0) {
    std::perror("bind");
    return 1;
  }
  std::array<std::byte, kOctets> datagram{};
  for (auto due = Clock::now();;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
    pollfd wait{.fd = fd.Get(), .events = POLLIN, .revents = 0};
    (void)poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    while (recv(fd.Get(), datagram.data(), datagram.size(), 0) >= 0) {
    }
    if (Clock::now() < due) {
      continue;
    }
    due += kInterval;
    for (std::size_t i = 1; i < addresses.size(); ++i) {
      // To one that has not begun yet it is lost.
      (void)sendto(fd.Get(), datagram.data(), datagram.size(), 0,
                   reinterpret_cast<const sockaddr*>(&addresses[i]), sizeof(sockaddr_in));
    }
  }
}
