// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which addresses of a pool are in no subnet of a node. Internal to speaker/node.

#include <vector>

#include "common/net/ip_range.h"
#include "speaker/announce/links.h"

namespace stentor::speaker {

/// The subnets of `links` and of one family, as far as addresses of the interfaces show them.
struct Subnets {
  std::vector<net::IpRange> ranges;
  /// A link has addresses of a single host only (/32, /128; DHCPv6 and some clouds give such), so
  /// that its subnets are known to its routes alone.
  bool incomplete = false;
};
[[nodiscard]] Subnets SubnetsOf(const std::vector<const Link*>& links, net::IpFamily family);

/// What of `ranges` is in none of `covered`, ascending, with neighbours joined. All of one family.
/// Takes O(n log n) of the number of ranges, whatever their size.
[[nodiscard]] std::vector<net::IpRange> Uncovered(std::vector<net::IpRange> ranges,
                                                  std::vector<net::IpRange> covered);

}  // namespace stentor::speaker
