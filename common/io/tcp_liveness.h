// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "common/base/time.h"

namespace stentor::io {

/// Makes the kernel find out that the peer of the TCP connection `fd` is gone, where nothing says
/// so (a host without power, a link or a NAT entry that is lost): probes after `dead_after` / 2
/// without traffic, and an error after `dead_after` without any answer.
void WatchOverTcp(int fd, Duration dead_after);

/// The same for all connections of this process to a peer's port `port` that don't have it yet.
/// They are found by their descriptors, since cpprestsdk makes its sockets itself and shows them to
/// nobody. Costs a few system calls for each open descriptor: for new connections, not for
/// requests.
void WatchAllOverTcp(std::uint16_t port, Duration dead_after);

}  // namespace stentor::io
