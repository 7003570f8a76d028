// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/checks.h"
#include "common/net/ip_range.h"
#include "controller/webhook/bgp_checks.h"
#include "controller/webhook/bgp_rules.h"

namespace stentor::controller {
namespace {

absl::Status CheckAdvertisement(const BgpAdvertisement& advertisement,
                                const std::set<std::string>& aliases) {
  const std::string object = StrCat("BGPAdvertisement ", advertisement.key.name);
  const auto check = [&](const std::vector<model::LabelSelector>& selectors, std::string_view field,
                         std::string_view context) {
    return config::CheckSelectors(selectors, field,
                                  StrCat(context, " for ", advertisement.key.name),
                                  {object, StrCat("spec.", field)});
  };
  STENTOR_RETURN_IF_ERROR(config::CheckRepeated(advertisement.ip_address_pools, "ipAddressPools",
                                                {object, "spec.ipAddressPools"}));
  STENTOR_RETURN_IF_ERROR(
      config::CheckRepeated(advertisement.communities, "community", {object, "spec.communities"}));
  STENTOR_RETURN_IF_ERROR(
      config::CheckRepeated(advertisement.peers, "peers", {object, "spec.peers"}));
  STENTOR_RETURN_IF_ERROR(check(advertisement.ip_address_pool_selectors, "ipAddressPoolSelectors",
                                "invalid label selector"));
  STENTOR_RETURN_IF_ERROR(
      check(advertisement.node_selectors, "nodeSelectors", "failed to parse node selector"));
  STENTOR_RETURN_IF_ERROR(check(advertisement.service_selectors, "serviceSelectors",
                                "failed to parse service selector"));
  const std::string& name = advertisement.key.name;
  if (!advertisement.service_selectors.empty()) {
    for (const auto& [aggregated, field] :
         {std::pair(advertisement.aggregation_length != 32, "aggregationLength"),
          std::pair(advertisement.aggregation_length_v6 != 128, "aggregationLengthV6")}) {
      if (aggregated) {
        return BgpError(StrCat("serviceSelectors and ", field,
                               " are mutually exclusive, both cannot be set in ", name));
      }
    }
  }
  if (advertisement.aggregation_length > 32) {
    return BgpError(
        StrCat("invalid aggregation length ", advertisement.aggregation_length, " for IPv4"));
  }
  if (advertisement.aggregation_length_v6 > 128) {
    return BgpError(
        StrCat("invalid aggregation length ", advertisement.aggregation_length_v6, " for IPv6"));
  }
  for (const std::string& community : advertisement.communities) {
    if (aliases.contains(community)) {
      continue;
    }
    if (const absl::Status status = CheckCommunityValue(community); !status.ok()) {
      return Annotate(status,
                      StrCat("invalid community ", Quoted(community), " in BGP advertisement"));
    }
  }
  return absl::OkStatus();
}

// A pool as advertisements see it.
struct PoolView {
  struct Item {
    std::string text;
    net::IpFamily family;
    int widest = 0;  // length of the item's widest prefix
  };
  const model::IpAddressPoolResource* pool = nullptr;
  std::vector<Item> items;
  bool has_v4 = false;
  bool has_v6 = false;
};

PoolView ViewOf(const model::IpAddressPoolResource& pool) {
  PoolView view{.pool = &pool};
  for (const std::string& text : pool.addresses) {
    const auto range = net::ParseAddressItem(text);
    if (!range.ok()) {
      continue;
    }
    const std::vector<net::IpPrefix> prefixes = net::Summarize(*range);
    const int widest = std::ranges::min(prefixes, {}, &net::IpPrefix::length).length;
    view.items.push_back({text, range->first.family(), widest});
    (range->first.family() == net::IpFamily::kIpv4 ? view.has_v4 : view.has_v6) = true;
  }
  return view;
}

bool Selects(const BgpAdvertisement& advertisement, const model::IpAddressPoolResource& pool) {
  const auto& names = advertisement.ip_address_pools;
  return (names.empty() && advertisement.ip_address_pool_selectors.empty()) ||
         std::ranges::find(names, pool.key.name) != names.end() ||
         model::AnyMatches(advertisement.ip_address_pool_selectors, pool.labels);
}

absl::Status CheckAggregation(const BgpAdvertisement& advertisement, const PoolView& view) {
  for (const PoolView::Item& item : view.items) {
    const int length = item.family == net::IpFamily::kIpv4 ? advertisement.aggregation_length
                                                           : advertisement.aggregation_length_v6;
    if (length < item.widest) {
      return BgpError(StrCat(
          "invalid aggregation length ", length, ": prefix ", item.widest,
          " in this pool is more specific than the aggregation length for addresses ", item.text));
    }
  }
  return absl::OkStatus();
}

// Whether both make different routes of every address of the pool.
bool AggregateDifferently(const BgpAdvertisement& a, const BgpAdvertisement& b,
                          const PoolView& view) {
  const bool v4 = a.aggregation_length != b.aggregation_length;
  const bool v6 = a.aggregation_length_v6 != b.aggregation_length_v6;
  return (v4 || !view.has_v4) && (v6 || !view.has_v6);
}

bool SharePeer(const BgpAdvertisement& a, const BgpAdvertisement& b) {
  return a.peers.empty() || b.peers.empty() ||
         std::ranges::any_of(a.peers, [&b](const std::string& peer) {
           return std::ranges::find(b.peers, peer) != b.peers.end();
         });
}

absl::Status CheckLocalPref(const BgpAdvertisement& advertisement, const BgpAdvertisement& other,
                            const PoolView& view, const Facts& facts) {
  // Which Services are selected by both can't be known.
  const bool by_service =
      !advertisement.service_selectors.empty() || !other.service_selectors.empty();
  if (advertisement.local_pref == other.local_pref || by_service ||
      AggregateDifferently(advertisement, other, view) || !SharePeer(advertisement, other) ||
      !ShareNode(advertisement.node_selectors, other.node_selectors, facts.nodes)) {
    return absl::OkStatus();
  }
  return BgpError(StrCat("invalid local preference ", advertisement.local_pref,
                         // MetalLB's spelling; its users search for it.
                         ": local preferernce ", other.local_pref,
                         " was already set for the same type of BGP update. Check existing BGP "
                         "advertisements with common pools and aggregation lengths"));
}

absl::Status CheckNativeAdvertisement(const BgpAdvertisement& advertisement) {
  for (const std::string& community : advertisement.communities) {
    if (FormOf(community) == CommunityForm::kLarge) {
      return BgpError(StrCat("native BGP mode only supports legacy communities, BGP advertisement ",
                             Quoted(advertisement.key.name), " has non legacy community ",
                             Quoted(community)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPool(const PoolView& view, const Facts& facts) {
  std::vector<const BgpAdvertisement*> selecting;
  for (const auto& [key, advertisement] : facts.bgp_advertisements) {
    if (!Selects(advertisement, *view.pool)) {
      continue;
    }
    if (facts.bgp_mode == BgpMode::kNative && view.has_v6) {
      const auto item =
          std::ranges::find(view.items, net::IpFamily::kIpv6, &PoolView::Item::family);
      return BgpError(StrCat("pool ", Quoted(view.pool->key.name), " has ipv6 CIDR ", item->text,
                             ", native bgp mode does not support ipv6"));
    }
    STENTOR_RETURN_IF_ERROR(CheckAggregation(advertisement, view));
    for (const BgpAdvertisement* other : selecting) {
      STENTOR_RETURN_IF_ERROR(CheckLocalPref(advertisement, *other, view, facts));
    }
    selecting.push_back(&advertisement);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBgpAdvertisements(const Facts& facts) {
  std::set<std::string> aliases;
  for (const auto& [key, community] : facts.communities) {
    for (const Community::Alias& alias : community.aliases) {
      aliases.insert(alias.name);
    }
  }
  for (const auto& [key, advertisement] : facts.bgp_advertisements) {
    if (facts.bgp_mode == BgpMode::kNative) {
      STENTOR_RETURN_IF_ERROR(CheckNativeAdvertisement(advertisement));
    }
    STENTOR_RETURN_IF_ERROR(CheckAdvertisement(advertisement, aliases));
  }
  for (const auto& [key, pool] : facts.pools) {
    STENTOR_RETURN_IF_ERROR(CheckPool(ViewOf(pool), facts));
  }
  return absl::OkStatus();
}

absl::Status CheckCommunities(const Facts& facts) {
  std::set<std::string> names;
  for (const auto& [key, community] : facts.communities) {
    for (const Community::Alias& alias : community.aliases) {
      absl::Status status = CheckCommunityValue(alias.value);
      if (FormOf(alias.value) == CommunityForm::kOtherForm) {
        status = BgpError(StrCat("invalid community format: ", alias.value));
      }
      if (!status.ok()) {
        return Annotate(status, StrCat("parsing community ", Quoted(alias.name)));
      }
      if (facts.bgp_mode == BgpMode::kNative && FormOf(alias.value) == CommunityForm::kLarge) {
        return BgpError(
            StrCat("native BGP mode only supports legacy communities, BGP community CR ",
                   Quoted(key.name), " has non legacy community ", Quoted(alias.value)));
      }
      if (!names.insert(alias.name).second) {
        return BgpError(StrCat("duplicate definition of community ", Quoted(alias.name)));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace stentor::controller
