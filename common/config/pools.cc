// SPDX-License-Identifier: Apache-2.0
#include "common/config/pools.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/checks.h"

namespace stentor::config {
namespace {

// The prefixes of all pools read so far, by first address, to find an overlap in O(log n).
class Claimed {
 public:
  // What MetalLB says where one of the prefixes of `range` overlaps with one that was read before.
  absl::Status Add(const net::IpRange& range, std::string_view pool) {
    for (const net::IpPrefix& prefix : net::Summarize(range)) {
      const net::IpPrefix* overlapped = Overlapped(prefix.Range());
      if (overlapped != nullptr) {
        return Invalid(StrCat("CIDR \"", prefix.ToString(), "\" in pool \"", pool,
                              "\" overlaps with already defined CIDR \"", overlapped->ToString(),
                              "\""));
      }
      by_first_.emplace(prefix.Range().first, prefix);
    }
    return absl::OkStatus();
  }

  // The first prefix that was read before and overlaps with `wanted`; null where none does.
  [[nodiscard]] const net::IpPrefix* Overlapped(const net::IpRange& wanted) const {
    const auto next = by_first_.upper_bound(wanted.first);
    if (next != by_first_.begin() && std::prev(next)->second.Range().Overlaps(wanted)) {
      return &std::prev(next)->second;
    }
    if (next != by_first_.end() && next->second.Range().Overlaps(wanted)) {
      return &next->second;
    }
    return nullptr;
  }

  // Whether every address of `wanted` was read before.
  [[nodiscard]] bool Covers(const net::IpRange& wanted) const {
    net::IpAddress from = wanted.first;
    while (const net::IpPrefix* prefix = Overlapped({from, from})) {
      const net::IpAddress last = prefix->Range().last;
      if (last >= wanted.last) {
        return true;
      }
      from = *last.Next();  // there is one: `wanted` goes on
    }
    return false;
  }

 private:
  std::map<net::IpAddress, net::IpPrefix> by_first_;
};

absl::StatusOr<std::optional<ServiceAllocation>> ParseServiceAllocation(
    const model::IpAddressPoolResource& pool) {
  if (!pool.has_service_allocation) {
    return std::optional<ServiceAllocation>();
  }
  if (HasDuplicates(pool.namespaces)) {
    return Invalid("duplicate definition in namespaces field (spec.serviceAllocation.namespaces)");
  }
  STENTOR_RETURN_IF_ERROR(CheckSelectors(pool.namespace_selectors, "namespaceSelectors"));
  STENTOR_RETURN_IF_ERROR(CheckSelectors(pool.service_selectors, "serviceSelectors"));
  ServiceAllocation allocation{.priority = pool.priority,
                               .namespaces = pool.namespaces,
                               .namespace_selectors = pool.namespace_selectors,
                               .service_selectors = pool.service_selectors};
  std::ranges::sort(allocation.namespaces);
  return std::optional(std::move(allocation));
}

// A pool on its way, whatever kind it was written as.
struct PoolInput {
  model::IpAddressPoolResource resource;
  std::string protocol = "";    // of kinds that say it; else empty
  bool has_protocol = false;    // whether the kind has to say it
  std::string field = "spec";   // path of the pool within its object
  std::string config_map = "";  // "namespace/name" where it comes from one
};

PoolInput InputOf(const model::AddressPoolResource& pool) {
  PoolInput input;
  input.resource.key = pool.key;
  input.resource.addresses = pool.addresses;
  input.resource.auto_assign = pool.auto_assign;
  input.resource.avoid_buggy_ips = pool.avoid_buggy_ips;
  input.protocol = pool.protocol;
  input.has_protocol = true;
  return input;
}

// MetalLB's rule for pools that say their protocol: layer2 is announced everywhere, on all nodes
// and interfaces, without an L2Advertisement.
absl::Status ApplyProtocol(const PoolInput& input, Pool& pool) {
  if (!input.has_protocol) {
    return absl::OkStatus();
  }
  const std::string where = StrCat(" (", input.field, ".protocol)");
  if (input.protocol.empty()) {
    return Invalid(StrCat("address pool is missing the protocol field", where));
  }
  if (input.protocol == "layer2") {
    pool.l2_advertisements.push_back({.name = pool.name});
  } else if (input.protocol != "bgp") {
    return Invalid(StrCat("unknown protocol \"", input.protocol, "\"", where));
  }
  return absl::OkStatus();
}

absl::StatusOr<Pool> ParsePool(const PoolInput& input, Claimed& claimed) {
  const model::IpAddressPoolResource& resource = input.resource;
  const std::string& name = resource.key.name;
  if (name.empty()) {
    return Invalid("missing pool name");
  }
  if (resource.addresses.empty()) {
    return Invalid(StrCat("pool has no prefixes defined (", input.field, ".addresses)"));
  }
  Pool pool{.name = name,
            .auto_assign = resource.auto_assign,
            .avoid_buggy_ips = resource.avoid_buggy_ips};
  STENTOR_RETURN_IF_ERROR(ApplyProtocol(input, pool));
  for (std::size_t i = 0; i < resource.addresses.size(); ++i) {
    const auto field = [&] { return StrCat(" (", input.field, ".addresses[", i, "])"); };
    const auto range = net::ParseAddressItem(resource.addresses[i]);
    if (!range.ok()) {
      return Invalid(StrCat("invalid CIDR \"", resource.addresses[i], "\" in pool \"", name,
                            "\": ", std::string(range.status().message()), field()));
    }
    if (const absl::Status status = claimed.Add(*range, name); !status.ok()) {
      return Invalid(StrCat(std::string(status.message()), field()));
    }
    pool.ranges.push_back(*range);
  }
  STENTOR_ASSIGN_OR_RETURN(pool.service_allocation, ParseServiceAllocation(resource));
  return pool;
}

class Parser {
 public:
  absl::Status AddCustomResources(const Resources& resources) {
    std::vector<PoolInput> inputs;
    for (const model::IpAddressPoolResource& pool : resources.pools) {
      inputs.emplace_back().resource = pool;
    }
    for (const model::AddressPoolResource& pool : resources.address_pools) {
      inputs.push_back(InputOf(pool));
    }
    return Add(std::move(inputs), custom_);
  }

  // Custom resources come first: where MetalLB 0.13 or later was used, the ConfigMap may have been
  // left behind, with pools that were taken over as they were, changed, or given up.
  absl::Status AddLegacy(const LegacyConfig& legacy, bool named) {
    const std::string map = legacy.config_map.ToString();
    const bool beside = !parsed_.pools.empty();
    std::vector<PoolInput> inputs;
    std::vector<std::string> used;
    for (std::size_t i = 0; i < legacy.pools.size(); ++i) {
      PoolInput input = InputOf(legacy.pools[i]);
      input.field = StrCat("address-pools[", i, "]");
      input.config_map = map;
      const std::string& name = input.resource.key.name;
      if (OverlapsWithCustom(input)) {
        if (!CoveredByCustom(input)) {
          return Locate(Invalid(StrCat("pool \"", name,
                                       "\": custom resources define some of its addresses: let "
                                       "them define all, or none")),
                        map);
        }
        Remark(StrCat("pool \"", name, "\" of the ConfigMap ", map,
                      " is left out: custom resources define its addresses"));
        continue;
      }
      if (beside && !named && input.resource.auto_assign) {
        input.resource.auto_assign = false;
        Remark(StrCat("pool \"", name, "\" of the ConfigMap ", map,
                      " gives addresses only to Services that ask for them, because custom "
                      "resources define pools; those in use stay"));
      }
      used.push_back(name);
      inputs.push_back(std::move(input));
    }
    if (!used.empty()) {
      Remark(StrCat("the ConfigMap ", map,
                    " of MetalLB 0.12 and before defines pools: ", absl::StrJoin(used, ", "),
                    ". Write them as IPAddressPool with an L2Advertisement, then delete it"));
    }
    if (!legacy.ignored.empty()) {
      Remark(StrCat("the ConfigMap ", map, " has ", absl::StrJoin(legacy.ignored, ", "),
                    ", which have no effect: this version announces by layer 2 only"));
    }
    return Add(std::move(inputs), legacy_);
  }

  ParsedPools Take() {
    std::ranges::sort(parsed_.pools, {}, [](const ParsedPool& parsed) { return parsed.pool.name; });
    return std::move(parsed_);
  }

 private:
  void Remark(std::string remark) { parsed_.remarks.push_back(std::move(remark)); }

  [[nodiscard]] bool OverlapsWithCustom(const PoolInput& input) const {
    return std::ranges::any_of(input.resource.addresses, [this](const std::string& item) {
      const auto range = net::ParseAddressItem(item);
      return range.ok() && custom_.Overlapped(*range) != nullptr;
    });
  }

  [[nodiscard]] bool CoveredByCustom(const PoolInput& input) const {
    return std::ranges::all_of(input.resource.addresses, [this](const std::string& item) {
      const auto range = net::ParseAddressItem(item);
      return range.ok() && custom_.Covers(*range);
    });
  }

  // By name, so that errors don't depend on the order in which objects came.
  absl::Status Add(std::vector<PoolInput> inputs, Claimed& claimed) {
    std::ranges::sort(inputs, [](const PoolInput& a, const PoolInput& b) {
      return std::tie(a.resource.key, a.has_protocol, a.field) <
             std::tie(b.resource.key, b.has_protocol, b.field);
    });
    for (PoolInput& input : inputs) {
      const std::string name = input.resource.key.name;
      absl::StatusOr<Pool> pool = Invalid(StrCat("duplicate definition of pool \"", name, "\""));
      if (name.empty() || names_.insert(name).second) {
        pool = ParsePool(input, claimed);
        if (!pool.ok()) {
          pool = Annotate(pool.status(), StrCat("parsing address pool \"", name, "\""));
        }
      }
      if (!pool.ok()) {
        return input.config_map.empty() ? pool.status() : Locate(pool.status(), input.config_map);
      }
      if (input.protocol == "bgp") {
        Remark(
            StrCat("pool \"", name,
                   "\" has protocol bgp: its addresses are given out, but announced only where an "
                   "L2Advertisement selects it; this version announces by layer 2"));
      }
      parsed_.pools.push_back({*std::move(pool), std::move(input.resource.labels)});
    }
    return absl::OkStatus();
  }

  static absl::Status Locate(const absl::Status& status, const std::string& config_map) {
    return Annotate(status, StrCat("ConfigMap ", config_map));
  }

  Claimed custom_;
  Claimed legacy_;
  std::set<std::string> names_;
  ParsedPools parsed_;
};

}  // namespace

absl::StatusOr<ParsedPools> ParsePools(const Resources& resources) {
  Parser parser;
  STENTOR_RETURN_IF_ERROR(parser.AddCustomResources(resources));
  if (resources.legacy) {
    STENTOR_RETURN_IF_ERROR(parser.AddLegacy(*resources.legacy, resources.legacy_named));
  }
  return parser.Take();
}

}  // namespace stentor::config
