// SPDX-License-Identifier: Apache-2.0
#include "common/config/config.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace stentor::config {
namespace {

constexpr int kMaxWeight = 100;

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

// The prefixes of all pools read so far, by first address, to find an overlap in O(log n).
class Claimed {
 public:
  // What MetalLB says where one of the prefixes of `range` overlaps with one that was read before.
  absl::Status Add(const net::IpRange& range, std::string_view pool) {
    for (const net::IpPrefix& prefix : net::Summarize(range)) {
      const net::IpRange wanted = prefix.Range();
      auto next = by_first_.upper_bound(wanted.first);
      const auto overlapped = [&]() -> const net::IpPrefix* {
        if (next != by_first_.end() && next->second.Range().Overlaps(wanted)) {
          return &next->second;
        }
        if (next != by_first_.begin() && std::prev(next)->second.Range().Overlaps(wanted)) {
          return &std::prev(next)->second;
        }
        return nullptr;
      }();
      if (overlapped != nullptr) {
        return Invalid(StrCat("CIDR \"", prefix.ToString(), "\" in pool \"", pool,
                              "\" overlaps with already defined CIDR \"", overlapped->ToString(),
                              "\""));
      }
      by_first_.emplace(wanted.first, prefix);
    }
    return absl::OkStatus();
  }

 private:
  std::map<net::IpAddress, net::IpPrefix> by_first_;
};

template <typename T>
bool HasDuplicates(std::vector<T> values) {
  std::ranges::sort(values);
  return std::ranges::adjacent_find(values) != values.end();
}

absl::Status CheckSelectors(const std::vector<model::LabelSelector>& selectors,
                            std::string_view field) {
  if (HasDuplicates(selectors)) {
    return Invalid(StrCat("duplicate definition of ", field));
  }
  for (const model::LabelSelector& selector : selectors) {
    for (const model::SelectorRequirement& requirement : selector.requirements) {
      const bool takes_values = requirement.op == model::SelectorOperator::kIn ||
                                requirement.op == model::SelectorOperator::kNotIn;
      if (requirement.key.empty()) {
        return Invalid(StrCat("invalid label selector in ", field, ": a key is empty"));
      }
      if (takes_values == requirement.values.empty()) {
        return Invalid(StrCat(
            "invalid label selector in ", field, ": key \"", requirement.key, "\": ",
            takes_values ? "In and NotIn need values" : "Exists and DoesNotExist take no values"));
      }
    }
  }
  return absl::OkStatus();
}

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

absl::StatusOr<Pool> ParsePool(const model::IpAddressPoolResource& resource, Claimed& claimed) {
  const std::string& name = resource.key.name;
  if (name.empty()) {
    return Invalid("missing pool name");
  }
  if (resource.addresses.empty()) {
    return Invalid("pool has no prefixes defined (spec.addresses)");
  }
  Pool pool{.name = name,
            .auto_assign = resource.auto_assign,
            .avoid_buggy_ips = resource.avoid_buggy_ips};
  for (std::size_t i = 0; i < resource.addresses.size(); ++i) {
    const auto field = [i] { return StrCat(" (spec.addresses[", i, "])"); };
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

absl::StatusOr<L2Advertisement> ParseAdvertisement(const model::L2AdvertisementResource& resource) {
  if (HasDuplicates(resource.ip_address_pools)) {
    return Invalid("duplicate definition in ipAddressPools field (spec.ipAddressPools)");
  }
  STENTOR_RETURN_IF_ERROR(
      CheckSelectors(resource.ip_address_pool_selectors, "ipAddressPoolSelectors"));
  STENTOR_RETURN_IF_ERROR(CheckSelectors(resource.node_selectors, "nodeSelectors"));
  STENTOR_RETURN_IF_ERROR(CheckSelectors(resource.service_selectors, "serviceSelectors"));
  for (const model::PreferredNodeSelector& preferred : resource.preferred_node_selectors) {
    if (preferred.weight < 1 || preferred.weight > kMaxWeight) {
      return Invalid(StrCat("weight ", preferred.weight,
                            " is not from 1 to 100 (spec.preferredNodeSelectors)"));
    }
    STENTOR_RETURN_IF_ERROR(CheckSelectors({preferred.preference}, "preferredNodeSelectors"));
  }
  L2Advertisement advertisement{.name = resource.key.name,
                                .node_selectors = resource.node_selectors,
                                .interfaces = resource.interfaces,
                                .service_selectors = resource.service_selectors,
                                .preferences = resource.preferred_node_selectors};
  std::ranges::sort(advertisement.interfaces);
  return advertisement;
}

// Both lists empty: all pools. Names of pools that don't exist are ignored, as in MetalLB.
bool Selects(const model::L2AdvertisementResource& advertisement,
             const model::IpAddressPoolResource& pool) {
  if (advertisement.ip_address_pools.empty() && advertisement.ip_address_pool_selectors.empty()) {
    return true;
  }
  return std::ranges::find(advertisement.ip_address_pools, pool.key.name) !=
             advertisement.ip_address_pools.end() ||
         model::AnyMatches(advertisement.ip_address_pool_selectors, pool.labels);
}

// MetalLB lets equal advertisements count once, but adds up those with preferences.
bool IsRepetition(const L2Advertisement& advertisement, const Pool& pool) {
  return advertisement.preferences.empty() &&
         std::ranges::any_of(pool.l2_advertisements, [&](const L2Advertisement& other) {
           return other.preferences.empty() &&
                  other.node_selectors == advertisement.node_selectors &&
                  other.interfaces == advertisement.interfaces &&
                  other.service_selectors == advertisement.service_selectors;
         });
}

// Pointers to the objects, sorted by name: so that results don't depend on the order of `objects`.
template <typename Resource>
std::vector<const Resource*> ByName(const std::vector<Resource>& objects) {
  std::vector<const Resource*> out;
  out.reserve(objects.size());
  for (const Resource& object : objects) {
    out.push_back(&object);
  }
  std::ranges::sort(out, {}, [](const Resource* object) { return object->key; });
  return out;
}

}  // namespace

bool ServiceAllocation::Admits(std::string_view name_space, const model::Labels& namespace_labels,
                               const model::Labels& service_labels) const {
  const bool any_namespace = namespaces.empty() && namespace_selectors.empty();
  return (any_namespace || std::ranges::find(namespaces, name_space) != namespaces.end() ||
          model::AnyMatches(namespace_selectors, namespace_labels)) &&
         (service_selectors.empty() || model::AnyMatches(service_selectors, service_labels));
}

bool Pool::Contains(const net::IpAddress& address) const {
  return std::ranges::any_of(
      ranges, [&address](const net::IpRange& range) { return range.Contains(address); });
}

const Pool* Config::FindPool(const net::IpAddress& address) const {
  const auto pool = std::ranges::find_if(
      pools, [&address](const Pool& candidate) { return candidate.Contains(address); });
  return pool == pools.end() ? nullptr : &*pool;
}

bool Config::SelectsByNamespaceLabels() const {
  return std::ranges::any_of(pools, [](const Pool& pool) {
    return pool.service_allocation && !pool.service_allocation->namespace_selectors.empty();
  });
}

absl::StatusOr<Config> Parse(const Resources& resources) {
  Config config;
  Claimed claimed;
  const auto pools = ByName(resources.pools);
  for (const model::IpAddressPoolResource* resource : pools) {
    const std::string& name = resource->key.name;
    if (!config.pools.empty() && config.pools.back().name == name) {
      return Invalid(StrCat("duplicate definition of pool \"", name, "\""));
    }
    auto pool = ParsePool(*resource, claimed);
    if (!pool.ok()) {
      return Annotate(pool.status(), StrCat("parsing address pool \"", name, "\""));
    }
    config.pools.push_back(*std::move(pool));
  }
  for (const model::L2AdvertisementResource* resource : ByName(resources.l2_advertisements)) {
    const auto advertisement = ParseAdvertisement(*resource);
    if (!advertisement.ok()) {
      return Annotate(advertisement.status(),
                      StrCat("parsing l2 advertisement \"", resource->key.name, "\""));
    }
    for (std::size_t i = 0; i < pools.size(); ++i) {
      if (Selects(*resource, *pools[i]) && !IsRepetition(*advertisement, config.pools[i])) {
        config.pools[i].l2_advertisements.push_back(*advertisement);
      }
    }
  }
  return config;
}

}  // namespace stentor::config
