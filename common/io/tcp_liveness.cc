// SPDX-License-Identifier: Apache-2.0
#include "common/io/tcp_liveness.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

namespace stentor::io {
namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

// The port of the peer; 0 where `fd` is no connected socket of IPv4 or IPv6.
std::uint16_t PeerPort(int fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
    return 0;
  }
  if (peer.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&peer)->sin_port);
  }
  if (peer.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&peer)->sin6_port);
  }
  return 0;
}

bool HasKeepalive(int fd) {
  int value = 0;
  socklen_t size = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size) == 0 && value != 0;
}

// Best effort: without these, a dead peer is noticed later.
void Set(int fd, int level, int name, long value) {
  const int number = static_cast<int>(value);
  (void)setsockopt(fd, level, name, &number, sizeof(number));
}

}  // namespace

void WatchOverTcp(int fd, Duration dead_after) {
  const auto milliseconds =
      static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(dead_after).count());
  constexpr long kPerSecond = 1000;
  Set(fd, IPPROTO_TCP, TCP_KEEPIDLE, std::max(1L, milliseconds / 2 / kPerSecond));
  Set(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1L, milliseconds / 6 / kPerSecond));
  // Ends what waits for an acknowledgement, probes included (tcp(7)).
  Set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, milliseconds);
  Set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

void WatchAllOverTcp(std::uint16_t port, Duration dead_after) {
  const Folder folder(opendir("/proc/self/fd"), closedir);
  if (!folder) {
    return;
  }
  while (const dirent* const entry = readdir(folder.get())) {  // NOLINT(concurrency-mt-unsafe)
    const std::string_view name(entry->d_name);
    int fd = -1;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec == std::errc() &&
        PeerPort(fd) == port && !HasKeepalive(fd)) {
      WatchOverTcp(fd, dead_after);
    }
  }
}

}  // namespace stentor::io
