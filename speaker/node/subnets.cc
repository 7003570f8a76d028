// SPDX-License-Identifier: Apache-2.0
#include "speaker/node/subnets.h"

#include <algorithm>

namespace stentor::speaker {
namespace {

using net::IpAddress;
using net::IpRange;

int BitsOf(net::IpFamily family) { return family == net::IpFamily::kIpv4 ? 32 : 128; }

// Ascending, and what overlaps or touches is one.
std::vector<IpRange> Joined(std::vector<IpRange> ranges) {
  std::ranges::sort(ranges);
  std::vector<IpRange> joined;
  for (const IpRange& range : ranges) {
    if (!joined.empty()) {
      const auto next = joined.back().last.Next();
      if (!next || range.first <= *next) {
        joined.back().last = std::max(joined.back().last, range.last);
        continue;
      }
    }
    joined.push_back(range);
  }
  return joined;
}

}  // namespace

Subnets SubnetsOf(const std::vector<const Link*>& links, net::IpFamily family) {
  Subnets subnets;
  for (const Link* const link : links) {
    bool any = false;
    bool any_subnet = false;
    for (const auto& [address, its] : link->addresses) {
      const bool link_local = !address.IsIpv4() && address.ipv6().IsLinkLocal();
      if (address.family() != family || link_local) {
        continue;
      }
      any = true;
      if (its.prefix_length >= 0 && its.prefix_length < BitsOf(family)) {
        any_subnet = true;
        subnets.ranges.push_back(net::PrefixOf(address, its.prefix_length).Range());
      }
    }
    subnets.incomplete = subnets.incomplete || (any && !any_subnet);
  }
  return subnets;
}

std::vector<IpRange> Uncovered(std::vector<IpRange> ranges, std::vector<IpRange> covered) {
  ranges = Joined(std::move(ranges));
  covered = Joined(std::move(covered));
  std::vector<IpRange> uncovered;
  auto cover = covered.begin();
  for (const IpRange& range : ranges) {
    IpAddress from = range.first;
    bool all_done = false;
    while (cover != covered.end() && cover->last < from) {
      ++cover;
    }
    // Covers may reach into the next range too, so they are looked at again there.
    for (auto it = cover; it != covered.end() && it->first <= range.last; ++it) {
      if (from < it->first) {
        uncovered.push_back({from, *it->first.Previous()});
      }
      if (it->last >= range.last) {
        all_done = true;
        break;
      }
      from = *it->last.Next();  // there is one: `range` goes on
    }
    if (!all_done) {
      uncovered.push_back({from, range.last});
    }
  }
  return uncovered;
}

}  // namespace stentor::speaker
