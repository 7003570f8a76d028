// SPDX-License-Identifier: Apache-2.0
#include "controller/allocator/choice.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace stentor::controller {
namespace {

using State = AddressAllocator::State;

// Of an address that many share, so many users are named: a message is for people, and should not
// be another one whenever one more comes.
constexpr std::size_t kMaxUsers = 16;

bool Has(const AddressList& addresses, net::IpFamily family) {
  return std::ranges::any_of(addresses,
                             [family](const auto& address) { return address.family() == family; });
}

// Exactly the families that are asked for, no address twice of one.
bool FamiliesMatch(const AddressList& addresses, const FamilyRequest& families) {
  return addresses.size() == (families.dual ? 2U : 1U) && Has(addresses, families.primary) &&
         (!families.dual || Has(addresses, Other(families.primary)));
}

// As FamiliesMatch(), but one of two will do where the Service can live with it.
bool FamiliesSuffice(const AddressList& addresses, const FamilyRequest& families) {
  return FamiliesMatch(addresses, families) ||
         (families.dual && !families.require_both && addresses.size() == 1);
}

}  // namespace

net::IpFamily Other(net::IpFamily family) {
  return family == net::IpFamily::kIpv4 ? net::IpFamily::kIpv6 : net::IpFamily::kIpv4;
}

bool Admits(const PoolState& pool, const AllocationRequest& request) {
  static const model::Labels kNone;
  return !pool.config.service_allocation ||
         pool.config.service_allocation->Admits(
             request.service.name_space,
             request.namespace_labels != nullptr ? *request.namespace_labels : kNone,
             request.labels != nullptr ? *request.labels : kNone);
}

absl::Status MayUse(const State& state, const AllocationRequest& request,
                    const net::IpAddress& address) {
  const State::Holders* holders = state.HoldersOf(address);
  if (holders == nullptr) {
    return absl::OkStatus();
  }
  std::vector<std::string> strangers;
  for (const State::Entry* holder : *holders) {
    const Held& held = holder->second;
    if (holder->first == request.service) {
      continue;
    }
    if (request.sharing_key.empty() || held.sharing_key != request.sharing_key ||
        held.backend_key != request.backend_key) {
      strangers.push_back(holder->first.ToString());
      continue;
    }
    for (const model::ServicePort& port : request.ports) {
      if (std::ranges::find(held.ports, port) != held.ports.end()) {
        return absl::AlreadyExistsError(StrCat("port ", port.protocol, "/", port.port,
                                               " is already in use on \"", address.ToString(),
                                               "\""));
      }
    }
  }
  if (strangers.empty()) {
    return absl::OkStatus();
  }
  std::ranges::sort(strangers);
  std::string users;
  for (std::size_t i = 0; i < std::min(strangers.size(), kMaxUsers); ++i) {
    StrAppend(&users, users.empty() ? "" : ",", strangers[i]);
  }
  StrAppend(&users, strangers.size() > kMaxUsers ? ",..." : "");
  return absl::AlreadyExistsError(StrCat("can't change sharing key for \"",
                                         request.service.ToString(), "\", address also in use by ",
                                         users));
}

std::optional<net::IpAddress> FirstIn(const State& state, std::uint32_t pool, net::IpFamily family,
                                      const AllocationRequest& request) {
  std::optional<Place> best = state.pool(pool).FreeOf(family).First();
  const auto* shared = request.sharing_key.empty() ? nullptr : state.SharedBy(request.sharing_key);
  if (shared != nullptr) {
    for (const net::IpAddress& address : *shared) {
      const auto location = state.Locate(address);
      if (location && location->pool == pool && address.family() == family &&
          (!best || location->place < *best) && MayUse(state, request, address).ok()) {
        best = location->place;
      }
    }
  }
  return best ? std::optional(best->address) : std::nullopt;
}

namespace {

// What the pools of `candidates`, in this order, have for `request`; nothing where none has enough.
std::optional<Held> FirstOf(const State& state, const std::vector<std::uint32_t>& candidates,
                            const AllocationRequest& request) {
  const net::IpFamily primary = request.families.primary;
  const net::IpFamily secondary = Other(primary);
  std::optional<Held> only_primary;
  std::optional<Held> only_secondary;
  for (const std::uint32_t pool : candidates) {
    const auto first = FirstIn(state, pool, primary, request);
    if (!request.families.dual) {
      if (first) {
        return Held{.pool = pool, .addresses = {*first}};
      }
      continue;
    }
    const auto second = FirstIn(state, pool, secondary, request);
    if (first && second) {  // IPv4 first, as MetalLB writes them
      return Held{.pool = pool,
                  .addresses = {std::min(*first, *second), std::max(*first, *second)}};
    }
    if (first && !only_primary) {
      only_primary = Held{.pool = pool, .addresses = {*first}};
    }
    if (second && !only_secondary) {
      only_secondary = Held{.pool = pool, .addresses = {*second}};
    }
  }
  if (request.families.require_both) {
    return std::nullopt;
  }
  return only_primary ? only_primary : only_secondary;
}

}  // namespace

std::vector<std::uint32_t> PinnedPools(const State& state, const AllocationRequest& request) {
  std::vector<std::uint32_t> pools;
  for (std::uint32_t i = 0; i < state.pool_count(); ++i) {
    const config::Pool& pool = state.pool(i).config;
    if (pool.auto_assign && pool.service_allocation && Admits(state.pool(i), request)) {
      pools.push_back(i);
    }
  }
  const auto rank = [&state](std::uint32_t i) {
    const int priority = state.pool(i).config.service_allocation->priority;
    return priority == 0 ? std::numeric_limits<int>::max() : priority;
  };
  std::ranges::sort(pools, {}, [&rank](std::uint32_t i) { return std::pair(rank(i), i); });
  return pools;
}

std::vector<std::uint32_t> PlainPools(const State& state) {
  std::vector<std::uint32_t> pools;
  for (std::uint32_t i = 0; i < state.pool_count(); ++i) {
    const config::Pool& pool = state.pool(i).config;
    if (pool.auto_assign && !pool.service_allocation) {
      pools.push_back(i);
    }
  }
  return pools;
}

absl::StatusOr<Held> TakeExactly(const State& state, const AllocationRequest& request,
                                 std::span<const net::IpAddress> addresses) {
  const auto not_allowed = [addresses] {
    return absl::NotFoundError(StrCat(FormatAddresses(addresses), " is not allowed in config"));
  };
  if (addresses.empty()) {
    return not_allowed();
  }
  if (addresses.size() > 2 ||
      (addresses.size() == 2 && addresses.front().family() == addresses.back().family())) {
    return absl::InvalidArgumentError(
        StrCat(FormatAddresses(addresses), " has more than one address of a family"));
  }
  const auto first = state.Locate(addresses.front());
  for (const net::IpAddress& address : addresses) {
    const auto location = state.Locate(address);
    if (!first || !location || location->pool != first->pool ||
        !state.pool(first->pool).FreeOf(address.family()).IsUsable(address)) {
      return not_allowed();
    }
  }
  if (!Admits(state.pool(first->pool), request)) {
    return absl::FailedPreconditionError(
        StrCat("pool ", state.pool(first->pool).config.name, " not compatible for ip assignment"));
  }
  for (const net::IpAddress& address : addresses) {
    STENTOR_RETURN_IF_ERROR(MayUse(state, request, address));
  }
  return Held{.pool = first->pool, .addresses = {addresses.begin(), addresses.end()}};
}

namespace {

absl::StatusOr<Held> TakeRequested(const State& state, const AllocationRequest& request) {
  if (!FamiliesMatch(request.addresses, request.families)) {
    return absl::InvalidArgumentError(StrCat("requested loadBalancer IP(s) ",
                                             FormatAddresses(request.addresses),
                                             " does not match the ipFamily of the service"));
  }
  // Before it is looked at who has them: what the Service is told should not depend on others where
  // it asks for what it can't have anyway.
  const auto location = state.Locate(request.addresses.front());
  if (request.pool && location && state.pool(location->pool).config.name != *request.pool) {
    return absl::NotFoundError(
        StrCat("requested loadBalancer IP(s) ", FormatAddresses(request.addresses),
               " is not compatible with requested address pool ", *request.pool));
  }
  return TakeExactly(state, request, request.addresses);
}

absl::StatusOr<Held> TakeFromPool(const State& state, const AllocationRequest& request) {
  const auto pool = state.FindPool(*request.pool);
  if (!pool) {
    return absl::NotFoundError(StrCat("unknown pool \"", *request.pool, "\""));
  }
  if (!Admits(state.pool(*pool), request)) {
    return absl::FailedPreconditionError(
        StrCat("pool ", *request.pool, " not compatible for ip assignment"));
  }
  if (auto held = FirstOf(state, {*pool}, request)) {
    return *std::move(held);
  }
  return absl::ResourceExhaustedError(StrCat(
      "no available IPs in pool \"", *request.pool, "\" for ",
      request.families.dual ? "dual" : net::IpFamilyName(request.families.primary), " IPFamily"));
}

}  // namespace

absl::StatusOr<Held> Choose(const State& state, const AllocationRequest& request) {
  if (!request.addresses.empty()) {
    return TakeRequested(state, request);
  }
  if (request.pool) {
    return TakeFromPool(state, request);
  }
  if (auto held = FirstOf(state, PinnedPools(state, request), request)) {
    return *std::move(held);
  }
  if (auto held = FirstOf(state, PlainPools(state), request)) {
    return *std::move(held);
  }
  return absl::ResourceExhaustedError("no available IPs");
}

bool Satisfies(const State& state, const AllocationRequest& request, const Held& held) {
  return Admits(state.pool(held.pool), request) &&
         (!request.pool || state.pool(held.pool).config.name == *request.pool) &&
         (request.addresses.empty()
              ? FamiliesSuffice(held.addresses, request.families)
              : std::ranges::is_permutation(held.addresses, request.addresses)) &&
         std::ranges::all_of(held.addresses, [&](const auto& address) {
           return MayUse(state, request, address).ok();
         });
}

}  // namespace stentor::controller
