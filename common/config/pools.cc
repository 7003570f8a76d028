// SPDX-License-Identifier: Apache-2.0
#include "common/config/pools.h"

#include <algorithm>
#include <map>
#include <memory>
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
  struct Claim {
    net::IpPrefix prefix;
    std::shared_ptr<const std::string> pool;  // a range may have hundreds of prefixes
  };

  // What MetalLB says where one of the prefixes of `range` overlaps with one that was read before,
  // and, which it doesn't say, of which pool that is.
  absl::Status Add(const net::IpRange& range, const std::string& pool) {
    const auto name = std::make_shared<const std::string>(pool);
    for (const net::IpPrefix& prefix : net::Summarize(range)) {
      if (const Claim* other = Overlapped(prefix.Range()); other != nullptr) {
        return Invalid(StrCat(
            "CIDR \"", prefix.ToString(), "\" in pool \"", pool,
            "\" overlaps with already defined CIDR \"", other->prefix.ToString(), "\"",
            *other->pool == pool ? std::string() : StrCat(" of pool \"", *other->pool, "\"")));
      }
      by_first_.emplace(prefix.Range().first, Claim{prefix, name});
    }
    return absl::OkStatus();
  }

  // The first prefix that was read before and overlaps with `wanted`; null where none does.
  [[nodiscard]] const Claim* Overlapped(const net::IpRange& wanted) const {
    const auto next = by_first_.upper_bound(wanted.first);
    if (next != by_first_.begin() && std::prev(next)->second.prefix.Range().Overlaps(wanted)) {
      return &std::prev(next)->second;
    }
    if (next != by_first_.end() && next->second.prefix.Range().Overlaps(wanted)) {
      return &next->second;
    }
    return nullptr;
  }

  // Whether every address of `wanted` was read before.
  [[nodiscard]] bool Covers(const net::IpRange& wanted) const {
    net::IpAddress from = wanted.first;
    while (const Claim* claim = Overlapped({from, from})) {
      const net::IpAddress last = claim->prefix.Range().last;
      if (last >= wanted.last) {
        return true;
      }
      from = *last.Next();  // there is one: `wanted` goes on
    }
    return false;
  }

 private:
  std::map<net::IpAddress, Claim> by_first_;
};

// A pool on its way, whatever kind it was written as.
struct PoolInput {
  model::IpAddressPoolResource resource;
  std::string object;          // "IPAddressPool web", for errors
  std::string field = "spec";  // path of the pool within its object
  std::string protocol = "";   // of kinds that say it; else empty
  bool has_protocol = false;   // whether the kind has to say it
  // Takes the place of an AddressPool of protocol layer2, which is still there.
  bool replaces_layer2 = false;

  [[nodiscard]] std::string At(std::string_view path) const {
    return StrCat(" (", object, ": ", field, ".", path, ")");
  }
};

PoolInput InputOf(const model::IpAddressPoolResource& pool) {
  PoolInput input;
  input.resource = pool;
  input.object = StrCat("IPAddressPool ", pool.key.name);
  return input;
}

PoolInput InputOf(const model::AddressPoolResource& pool) {
  PoolInput input;
  input.object = StrCat("AddressPool ", pool.key.name);
  input.resource.key = pool.key;
  input.resource.addresses = pool.addresses;
  input.resource.auto_assign = pool.auto_assign;
  input.resource.avoid_buggy_ips = pool.avoid_buggy_ips;
  input.protocol = pool.protocol;
  input.has_protocol = true;
  return input;
}

absl::StatusOr<std::optional<ServiceAllocation>> ParseServiceAllocation(const PoolInput& input) {
  const model::IpAddressPoolResource& pool = input.resource;
  if (!pool.has_service_allocation) {
    return std::optional<ServiceAllocation>();
  }
  if (const auto repeated = FirstRepeated(pool.namespaces)) {
    return Invalid(StrCat("duplicate definition in namespaces field: \"",
                          pool.namespaces[*repeated], "\"",
                          input.At(StrCat("serviceAllocation.namespaces[", *repeated, "]"))));
  }
  const auto check = [&input](const std::vector<model::LabelSelector>& selectors,
                              std::string_view name, std::string_view what) {
    return CheckSelectors(
        selectors, name,
        StrCat("invalid ", what, " label selector in ip pool ", input.resource.key.name),
        {input.object, StrCat(input.field, ".serviceAllocation.", name)});
  };
  STENTOR_RETURN_IF_ERROR(check(pool.namespace_selectors, "namespaceSelectors", "namespace"));
  STENTOR_RETURN_IF_ERROR(check(pool.service_selectors, "serviceSelectors", "service"));
  ServiceAllocation allocation{.priority = pool.priority,
                               .namespaces = pool.namespaces,
                               .namespace_selectors = pool.namespace_selectors,
                               .service_selectors = pool.service_selectors};
  std::ranges::sort(allocation.namespaces);
  return std::optional(std::move(allocation));
}

// MetalLB's rule for pools that say their protocol: layer2 is announced everywhere, on all nodes
// and interfaces, without an L2Advertisement.
absl::Status ApplyProtocol(const PoolInput& input, Pool& pool) {
  if (input.replaces_layer2) {
    pool.l2_advertisements.push_back({.name = pool.name});
  }
  if (!input.has_protocol) {
    return absl::OkStatus();
  }
  const std::string where = input.At("protocol");
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

// The pool by itself. What is valid but worth a word goes into `remarks`.
absl::StatusOr<Pool> ParsePool(const PoolInput& input, std::vector<std::string>& remarks) {
  const model::IpAddressPoolResource& resource = input.resource;
  Pool pool{.name = resource.key.name,
            .auto_assign = resource.auto_assign,
            .avoid_buggy_ips = resource.avoid_buggy_ips};
  if (pool.name.empty()) {
    return Invalid(StrCat("missing pool name", input.At("name")));
  }
  if (resource.addresses.empty()) {
    return Invalid(StrCat("pool has no prefixes defined", input.At("addresses")));
  }
  STENTOR_RETURN_IF_ERROR(ApplyProtocol(input, pool));
  for (std::size_t i = 0; i < resource.addresses.size(); ++i) {
    const std::string& item = resource.addresses[i];
    const auto range = net::ParseAddressItem(item);
    if (range.ok()) {
      pool.ranges.push_back(*range);
    } else if (net::IsRangeOfBothFamilies(item)) {
      // MetalLB takes no address from it, and says nothing.
      remarks.push_back(StrCat("\"", item, "\" in pool \"", pool.name,
                               "\" gives no address: its ends are of different families",
                               input.At(StrCat("addresses[", i, "]"))));
    } else {
      return Invalid(StrCat("invalid CIDR \"", item, "\" in pool \"", pool.name,
                            "\": ", std::string(range.status().message()),
                            input.At(StrCat("addresses[", i, "]"))));
    }
  }
  STENTOR_ASSIGN_OR_RETURN(pool.service_allocation, ParseServiceAllocation(input));
  return pool;
}

// That nobody else has the addresses of a pool. Items without addresses are in no `claimed`.
absl::Status Claim(const PoolInput& input, Claimed& claimed) {
  const std::vector<std::string>& items = input.resource.addresses;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto range = net::ParseAddressItem(items[i]);
    if (!range.ok()) {
      continue;
    }
    if (const absl::Status status = claimed.Add(*range, input.resource.key.name); !status.ok()) {
      return Invalid(StrCat(std::string(status.message()), input.At(StrCat("addresses[", i, "]"))));
    }
  }
  return absl::OkStatus();
}

// Whether `newer` defines all addresses of `older`, each of them as valid as it is.
bool Covers(const model::IpAddressPoolResource& newer, const model::AddressPoolResource& older) {
  Claimed claimed;
  for (const std::string& item : newer.addresses) {
    if (net::IsRangeOfBothFamilies(item)) {
      continue;  // gives no address
    }
    const auto range = net::ParseAddressItem(item);
    if (!range.ok() || !claimed.Add(*range, newer.key.name).ok()) {
      return false;
    }
  }
  return std::ranges::all_of(older.addresses, [&claimed](const std::string& item) {
    const auto range = net::ParseAddressItem(item);
    return net::IsRangeOfBothFamilies(item) || (range.ok() && claimed.Covers(*range));
  });
}

class Parser {
 public:
  absl::Status AddCustomResources(const Resources& resources) {
    std::vector<PoolInput> inputs;
    for (const model::IpAddressPoolResource& pool : resources.pools) {
      inputs.push_back(InputOf(pool));
    }
    const std::size_t newer = inputs.size();
    for (const model::AddressPoolResource& pool : resources.address_pools) {
      parsed_.older_form = OlderForm::kAddressPool;
      const auto end = inputs.begin() + static_cast<std::ptrdiff_t>(newer);
      const auto converted = std::find_if(inputs.begin(), end, [&pool](const PoolInput& input) {
        return input.resource.key == pool.key && Covers(input.resource, pool);
      });
      if (converted == end) {
        inputs.push_back(InputOf(pool));
        continue;
      }
      // Otherwise nobody could convert it but by deleting it first, and its addresses would go.
      converted->replaces_layer2 = pool.protocol == "layer2";
      Remark(StrCat("AddressPool ", pool.key.name,
                    " is left out: the IPAddressPool of that name defines its addresses",
                    converted->replaces_layer2
                        ? "; they are announced on all nodes until the AddressPool is deleted"
                        : ""));
    }
    return Add(std::move(inputs), custom_);
  }

  // Custom resources come first: where MetalLB 0.13 or later was used, the ConfigMap may have been
  // left behind, with pools that were taken over as they were, changed, or given up.
  absl::Status AddLegacy(const LegacyConfig& legacy, bool named) {
    const std::string map = legacy.config_map.ToString();
    const bool beside = !parsed_.pools.empty();
    if (!legacy.pools.empty() || !legacy.ignored.empty()) {
      parsed_.older_form = OlderForm::kConfigMap;
    }
    std::vector<PoolInput> inputs;
    std::vector<std::string> used;
    for (std::size_t i = 0; i < legacy.pools.size(); ++i) {
      PoolInput input = InputOf(legacy.pools[i]);
      input.object = StrCat("ConfigMap ", map);
      input.field = StrCat("address-pools[", i, "]");
      const std::string& name = input.resource.key.name;
      if (OverlapsWithCustom(input)) {
        if (!CoveredByCustom(input)) {
          return Invalid(StrCat("pool \"", name,
                                "\": custom resources define some of its addresses: let them "
                                "define all, or none",
                                input.At("addresses")));
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
      auto pool = ParsePool(input, parsed_.remarks);
      if (!pool.ok()) {
        return Annotate(pool.status(), StrCat("parsing address pool ", name));
      }
      if (!names_.insert(name).second) {
        return Invalid(StrCat("duplicate definition of pool \"", name, "\" (", input.object, ")"));
      }
      STENTOR_RETURN_IF_ERROR(Claim(input, claimed));
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
