// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/conflicts.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/config.h"
#include "common/net/ip_range.h"
#include "controller/webhook/bgp_rules.h"

namespace stentor::controller {
namespace {

using nlohmann::json;

bool IsPool(Kind kind) { return kind == Kind::kIpAddressPool || kind == Kind::kAddressPool; }

// What of the others can be in conflict with one object of `kind`, each by itself: one object, or,
// where that is in error alone, each part of it that isn't. `Visit` returns false to stop.
using Visit = std::function<bool(const Facts& other)>;

// The addresses of a pool that is not in error by itself.
class Addresses {
 public:
  explicit Addresses(const Facts& pool) {
    if (const auto config = config::Parse(pool.Resources()); config.ok()) {
      for (const config::Pool& parsed : config->pools) {
        names_.push_back(parsed.name);
        ranges_.insert(ranges_.end(), parsed.ranges.begin(), parsed.ranges.end());
      }
    }
    std::ranges::sort(ranges_);
  }

  // Whether a pool `name` with `items` can be in conflict with it: saves parsing the many that
  // can't.
  [[nodiscard]] bool MayMeet(const std::string& name, const std::vector<std::string>& items) const {
    return std::ranges::find(names_, name) != names_.end() ||
           std::ranges::any_of(items, [this](const std::string& item) {
             const auto range = net::ParseAddressItem(item);
             return range.ok() && Overlaps(*range);
           });
  }

 private:
  // The ranges are disjoint, so the last one that begins before the end of `range` decides.
  [[nodiscard]] bool Overlaps(const net::IpRange& range) const {
    const auto next = std::ranges::upper_bound(ranges_, range.last, {}, &net::IpRange::first);
    return next != ranges_.begin() && std::prev(next)->Overlaps(range);
  }

  std::vector<std::string> names_;
  std::vector<net::IpRange> ranges_;
};

template <typename Pool>
bool EachPool(const std::map<model::ObjectKey, Pool>& pools,
              std::map<model::ObjectKey, Pool> Facts::* member, const Addresses& mine,
              const Visit& visit) {
  for (const auto& [key, pool] : pools) {
    if (!mine.MayMeet(key.name, pool.addresses)) {
      continue;
    }
    Facts other;
    (other.*member).emplace(key, pool);
    if (Check(Kind::kIpAddressPool, other).ok()) {
      if (!visit(other)) {
        return false;
      }
      continue;
    }
    for (const std::string& item : pool.addresses) {
      if (!mine.MayMeet(key.name, {item})) {
        continue;
      }
      Facts part;
      Pool& with_one = (part.*member)[key];
      with_one.key = key;
      with_one.addresses = {item};
      if constexpr (requires { with_one.protocol; }) {
        with_one.protocol = "layer2";
      }
      if (Check(Kind::kIpAddressPool, part).ok() && !visit(part)) {
        return false;
      }
    }
  }
  return true;
}

template <typename Object>
bool EachObject(Kind kind, const Facts& context, const std::map<model::ObjectKey, Object>& objects,
                std::map<model::ObjectKey, Object> Facts::* member, const Visit& visit) {
  for (const auto& [key, object] : objects) {
    Facts other = context;
    (other.*member).emplace(key, object);
    if (Check(kind, other).ok() && !visit(other)) {
      return false;
    }
  }
  return true;
}

// `alone`: the one object. `context`: what is no party to a conflict, but decides whether there is
// one.
void EachOther(Kind kind, const Facts& alone, const Facts& others, const Facts& context,
               const Visit& visit) {
  if (IsPool(kind)) {
    const Addresses mine(alone);
    if (EachPool(others.pools, &Facts::pools, mine, visit)) {
      EachPool(others.address_pools, &Facts::address_pools, mine, visit);
    }
  } else if (kind == Kind::kBgpAdvertisement) {
    EachObject(kind, context, others.bgp_advertisements, &Facts::bgp_advertisements, visit);
  } else if (kind == Kind::kBgpPeer) {
    EachObject(kind, context, others.bgp_peers, &Facts::bgp_peers, visit);
  } else if (kind == Kind::kCommunity) {
    EachObject(kind, context, others.communities, &Facts::communities, visit);
  }
  // An L2Advertisement or a BFDProfile is in conflict with nothing.
}

Facts ContextOf(Kind kind, const Facts& others) {
  Facts context{.name_space = others.name_space, .bgp_mode = others.bgp_mode};
  context.nodes = others.nodes;
  if (kind == Kind::kBgpAdvertisement) {
    context.pools = others.pools;
    context.communities = others.communities;
  }
  return context;
}

void CopyKind(Kind kind, const Facts& from, Facts& to) {
  switch (kind) {
    case Kind::kIpAddressPool:
      to.pools = from.pools;
      break;
    case Kind::kAddressPool:
      to.address_pools = from.address_pools;
      break;
    case Kind::kL2Advertisement:
      to.l2_advertisements = from.l2_advertisements;
      break;
    case Kind::kBgpAdvertisement:
      to.bgp_advertisements = from.bgp_advertisements;
      break;
    case Kind::kBgpPeer:
      to.bgp_peers = from.bgp_peers;
      break;
    case Kind::kBfdProfile:
      to.bfd_profiles = from.bfd_profiles;
      break;
    case Kind::kCommunity:
      to.communities = from.communities;
      break;
  }
  for (const auto& [object, why] : from.unreadable) {
    if (object.first == kind) {
      to.unreadable.emplace(object, why);
    }
  }
}

}  // namespace

std::vector<Kind> KindsBeside(Kind kind) {
  switch (kind) {
    case Kind::kIpAddressPool:
    case Kind::kAddressPool:
      return {Kind::kIpAddressPool, Kind::kAddressPool};
    case Kind::kL2Advertisement:
      return {Kind::kIpAddressPool, Kind::kAddressPool, kind};
    case Kind::kBgpAdvertisement:
      return {Kind::kIpAddressPool, Kind::kCommunity, kind};
    case Kind::kBgpPeer:
    case Kind::kBfdProfile:
    case Kind::kCommunity:
      break;
  }
  return {kind};
}

Facts AmongWhich(Kind kind, const Facts& facts) {
  Facts among{.name_space = facts.name_space, .bgp_mode = facts.bgp_mode};
  for (const Kind one : KindsBeside(kind)) {
    CopyKind(one, facts, among);
  }
  if (kind == Kind::kBgpAdvertisement || kind == Kind::kBgpPeer) {
    among.nodes = facts.nodes;
  }
  return among;
}

absl::Status Check(Kind kind, const Facts& facts) {
  switch (kind) {
    case Kind::kIpAddressPool:
    case Kind::kAddressPool:
    case Kind::kL2Advertisement:
      return config::Parse(facts.Resources()).status();
    case Kind::kBgpAdvertisement:
      return CheckBgpAdvertisements(facts);
    case Kind::kBgpPeer:
      return CheckBgpPeers(facts);
    case Kind::kBfdProfile:
      return CheckBfdProfiles(facts);
    case Kind::kCommunity:
      return CheckCommunities(facts);
  }
  return absl::OkStatus();
}

absl::Status Blame(Kind kind, const json& object, const Facts& others, const absl::Status& all) {
  const Facts context = ContextOf(kind, others);
  Facts alone = context;
  STENTOR_RETURN_IF_ERROR(alone.Put(kind, object));
  STENTOR_RETURN_IF_ERROR(Check(kind, alone));
  if (Check(kind, others).ok()) {
    return all;
  }
  absl::Status found;
  EachOther(kind, alone, others, context, [&](const Facts& other) {
    Facts both = other;
    (void)both.Put(kind, object);
    found = Check(kind, both);
    return found.ok();
  });
  return found;
}

}  // namespace stentor::controller
