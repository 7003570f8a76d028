// SPDX-License-Identifier: Apache-2.0
#include "common/config/config.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/checks.h"
#include "common/config/pools.h"

namespace stentor::config {
namespace {

constexpr int kMaxWeight = 100;

// Conditions in an order of their own, so that selectors that mean the same are equal.
void Normalize(std::vector<model::LabelSelector>& selectors) {
  for (model::LabelSelector& selector : selectors) {
    std::ranges::sort(selector.requirements);
  }
  std::ranges::sort(selectors);
}

absl::StatusOr<L2Advertisement> ParseAdvertisement(const model::L2AdvertisementResource& resource) {
  const std::string object = StrCat("L2Advertisement ", resource.key.name);
  const auto check = [&](const std::vector<model::LabelSelector>& selectors, std::string_view name,
                         std::string_view context) {
    return CheckSelectors(selectors, name, StrCat(context, " for ", resource.key.name),
                          {object, StrCat("spec.", name)});
  };
  STENTOR_RETURN_IF_ERROR(
      CheckRepeated(resource.ip_address_pools, "ipAddressPools", {object, "spec.ipAddressPools"}));
  STENTOR_RETURN_IF_ERROR(check(resource.ip_address_pool_selectors, "ipAddressPoolSelectors",
                                "invalid label selector"));
  STENTOR_RETURN_IF_ERROR(
      check(resource.node_selectors, "nodeSelectors", "failed to parse node selector"));
  STENTOR_RETURN_IF_ERROR(
      check(resource.service_selectors, "serviceSelectors", "failed to parse service selector"));
  const Place preferred{object, "spec.preferredNodeSelectors"};
  for (std::size_t i = 0; i < resource.preferred_node_selectors.size(); ++i) {
    const model::PreferredNodeSelector& term = resource.preferred_node_selectors[i];
    if (term.weight < 1 || term.weight > kMaxWeight) {
      return Invalid(StrCat("weight ", term.weight, " is not from 1 to 100", preferred.Text(i)));
    }
    STENTOR_RETURN_IF_ERROR(CheckSelector(
        term.preference, StrCat("failed to parse preferred node selectors for ", resource.key.name),
        preferred.Text(i)));
  }
  L2Advertisement advertisement{.name = resource.key.name,
                                .node_selectors = resource.node_selectors,
                                .interfaces = resource.interfaces,
                                .service_selectors = resource.service_selectors,
                                .preferences = resource.preferred_node_selectors};
  Normalize(advertisement.node_selectors);
  Normalize(advertisement.service_selectors);
  std::ranges::sort(advertisement.interfaces);
  const auto repeated = std::ranges::unique(advertisement.interfaces);
  advertisement.interfaces.erase(repeated.begin(), repeated.end());
  return advertisement;
}

// What an annotation says wrong is no reason to refuse what is announced: it is told, and the
// default holds.
std::string Remark(const model::L2AdvertisementResource& resource, std::string_view annotation,
                   std::string_view text, std::string_view what) {
  constexpr std::size_t kMaxQuoted = 64;
  return StrCat("L2Advertisement ", resource.key.name, ": annotation ", annotation, ": \"",
                text.substr(0, kMaxQuoted), "\" is ", what);
}

ConflictPolicy ParseConflictPolicy(const model::L2AdvertisementResource& resource,
                                   std::vector<std::string>& remarks) {
  const std::string& text = resource.address_conflicts;
  if (text == "strict") {
    return ConflictPolicy::kStrict;
  }
  if (!text.empty() && text != "warn") {
    remarks.push_back(Remark(resource, model::kAddressConflicts, text,
                             "neither warn nor strict; it counts as warn"));
  }
  return ConflictPolicy::kWarn;
}

FailBackDelay ParseFailBack(const model::L2AdvertisementResource& resource,
                            std::vector<std::string>& remarks) {
  const std::string& text = resource.fail_back;
  if (text.empty() || text == "immediately") {
    return {};
  }
  if (text == "never") {
    return kNeverFailBack;
  }
  absl::Duration delay;
  if (!absl::ParseDuration(AbslView(text), &delay) || delay < absl::ZeroDuration() ||
      delay == absl::InfiniteDuration()) {
    remarks.push_back(Remark(resource, model::kFailBack, text,
                             "neither immediately nor never nor a duration (like 5m); it counts as "
                             "immediately"));
    return {};
  }
  return absl::ToChronoNanoseconds(delay);  // 292 years at most, which is never
}

// Both lists empty: all pools. Names of pools that don't exist are ignored, as in MetalLB.
bool Selects(const model::L2AdvertisementResource& advertisement, const ParsedPool& parsed) {
  if (advertisement.ip_address_pools.empty() && advertisement.ip_address_pool_selectors.empty()) {
    return true;
  }
  return std::ranges::find(advertisement.ip_address_pools, parsed.pool.name) !=
             advertisement.ip_address_pools.end() ||
         model::AnyMatches(advertisement.ip_address_pool_selectors, parsed.labels);
}

// MetalLB lets equal advertisements count once, but adds up those with preferences.
bool IsRepetition(const L2Advertisement& advertisement, const Pool& pool) {
  return advertisement.preferences.empty() &&
         std::ranges::any_of(pool.l2_advertisements, [&](const L2Advertisement& other) {
           return other.preferences.empty() &&
                  other.node_selectors == advertisement.node_selectors &&
                  other.interfaces == advertisement.interfaces &&
                  other.service_selectors == advertisement.service_selectors &&
                  other.conflict_policy == advertisement.conflict_policy &&
                  other.fail_back == advertisement.fail_back;
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
  STENTOR_ASSIGN_OR_RETURN(ParsedPools parsed, ParsePools(resources));
  for (const model::L2AdvertisementResource* resource : ByName(resources.l2_advertisements)) {
    STENTOR_ASSIGN_OR_RETURN(L2Advertisement advertisement, ParseAdvertisement(*resource));
    advertisement.conflict_policy = ParseConflictPolicy(*resource, parsed.remarks);
    advertisement.fail_back = ParseFailBack(*resource, parsed.remarks);
    for (ParsedPool& pool : parsed.pools) {
      if (Selects(*resource, pool) && !IsRepetition(advertisement, pool.pool)) {
        pool.pool.l2_advertisements.push_back(advertisement);
      }
    }
  }
  Config config{.pools = {}, .remarks = std::move(parsed.remarks), .older_form = parsed.older_form};
  for (ParsedPool& pool : parsed.pools) {
    config.pools.push_back(std::move(pool.pool));
  }
  return config;
}

}  // namespace stentor::config
