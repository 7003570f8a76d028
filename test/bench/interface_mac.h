// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "common/base/unique_fd.h"
#include "common/net/mac_address.h"

namespace stentor::bench {

/// The MAC of an interface of this network namespace (/sys would tell of the one that mounted it);
/// zero where there is none.
inline net::MacAddress InterfaceMac(const std::string& name) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  net::MacAddress::Octets octets{};
  if (ioctl(fd.Get(), SIOCGIFHWADDR, &request) == 0) {
    for (std::size_t i = 0; i < octets.size(); ++i) {
      octets[i] = static_cast<std::uint8_t>(request.ifr_hwaddr.sa_data[i]);
    }
  }
  return net::MacAddress(octets);
}

}  // namespace stentor::bench
