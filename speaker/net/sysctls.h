// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "speaker/node/traps.h"

namespace stentor::speaker {

/// The kernel's ARP settings in this process's network namespace, of "all" and of `interfaces`; one
/// that is gone by now is left out. Nothing where "all" can't be read. `root` is for tests.
[[nodiscard]] std::optional<ArpSysctls> ReadArpSysctls(
    const std::vector<std::string>& interfaces,
    const std::string& root = "/proc/sys/net/ipv4/conf");

}  // namespace stentor::speaker
