// SPDX-License-Identifier: Apache-2.0
#include "controller/allocator/explain.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "controller/allocator/choice.h"

namespace stentor::controller {
namespace {

using State = AddressAllocator::State;

constexpr std::size_t kMaxCauseOctets = 512;  // so that pools have room after it
constexpr std::size_t kMorePoolsOctets = 32;  // of "; and N more pools"

// Names of IPAddressPools may be longer than a message should spend on one of them.
constexpr std::size_t kMaxNameOctets = 128;

std::string_view FamilyName(net::IpFamily family) {
  return family == net::IpFamily::kIpv4 ? "IPv4" : "IPv6";
}

// Whether the namespaces of a serviceAllocation are what keeps the Service out.
bool NamespaceFits(const config::ServiceAllocation& allocation, const AllocationRequest& request) {
  static const model::Labels kNone;
  const config::ServiceAllocation namespaces_only{
      .namespaces = allocation.namespaces, .namespace_selectors = allocation.namespace_selectors};
  return namespaces_only.Admits(
      request.service.name_space,
      request.namespace_labels != nullptr ? *request.namespace_labels : kNone, kNone);
}

// The pool has no address of `family` that it could ever give.
std::optional<std::string> Lacks(const PoolState& pool, net::IpFamily family) {
  if (pool.FreeOf(family).Capacity() > 0) {
    return std::nullopt;
  }
  const bool has_ranges = std::ranges::any_of(
      pool.config.ranges, [family](const auto& range) { return range.first.family() == family; });
  return StrCat(has_ranges ? "avoidBuggyIPs leaves no " : "no ", FamilyName(family), " addresses");
}

std::optional<std::string> NotAdmitted(const PoolState& pool, const AllocationRequest& request) {
  if (Admits(pool, request)) {
    return std::nullopt;
  }
  return NamespaceFits(*pool.config.service_allocation, request)
             ? "no serviceSelector matches the service"
             : StrCat("namespace ", request.service.name_space, " is not selected");
}

// Why a pool had nothing for a Service that takes any address.
std::string WhyNothing(const State& state, std::uint32_t index, const AllocationRequest& request) {
  const PoolState& pool = state.pool(index);
  if (!request.pool && !pool.config.auto_assign) {
    return "autoAssign is off";
  }
  if (auto why = NotAdmitted(pool, request)) {
    return *std::move(why);
  }
  const net::IpFamily primary = request.families.primary;
  const auto no_primary = Lacks(pool, primary);
  if (!request.families.dual) {
    return no_primary.value_or(StrCat("no free ", FamilyName(primary), " address"));
  }
  const auto no_secondary = Lacks(pool, Other(primary));
  if (!request.families.require_both) {
    return "no free address";
  }
  if (no_primary || no_secondary) {
    return no_primary ? *no_primary : *no_secondary;
  }
  // Which of the two is short may change with every other Service.
  return "not one free address of each family";
}

// Who keeps `request` from using an address of a pool that admits it.
std::string WhyInUse(const State& state, const AllocationRequest& request,
                     const net::IpAddress& address) {
  std::vector<model::ServiceKey> users;
  for (const State::Entry* holder : *state.HoldersOf(address)) {
    if (holder->first != request.service) {
      users.push_back(holder->first);
    }
  }
  std::ranges::sort(users);
  return StrCat(address.ToString(), " is used by ", users.front().ToString(),
                users.size() > 1 ? " and others" : "");
}

// Why a pool that contains some of the wanted addresses, or was asked for, did not give them.
std::string WhyNotThese(const State& state, std::uint32_t index, const AllocationRequest& request) {
  const PoolState& pool = state.pool(index);
  for (const net::IpAddress& address : request.addresses) {
    const auto location = state.Locate(address);
    if (!location || location->pool != index) {
      return StrCat(address.ToString(), " is not of this pool");
    }
    if (!pool.FreeOf(address.family()).IsUsable(address)) {
      return StrCat("avoidBuggyIPs excludes ", address.ToString());
    }
  }
  if (auto why = NotAdmitted(pool, request)) {
    return *std::move(why);
  }
  if (request.pool && *request.pool != pool.config.name) {
    return "it is not the pool that was asked for";
  }
  for (const net::IpAddress& address : request.addresses) {
    if (!MayUse(state, request, address).ok()) {
      return WhyInUse(state, request, address);
    }
  }
  return "nothing is in the way";  // not while Allocate(request) fails
}

std::vector<std::uint32_t> PoolsOf(const State& state, const AllocationRequest& request) {
  std::vector<std::uint32_t> pools;
  const auto add = [&pools](std::uint32_t index) {
    if (std::ranges::find(pools, index) == pools.end()) {
      pools.push_back(index);
    }
  };
  for (const net::IpAddress& address : request.addresses) {
    if (const auto location = state.Locate(address)) {
      add(location->pool);
    }
  }
  if (request.pool) {
    if (const auto index = state.FindPool(*request.pool)) {
      add(*index);
    }
  } else if (request.addresses.empty()) {
    pools = PinnedPools(state, request);
    std::ranges::copy(PlainPools(state), std::back_inserter(pools));
    std::vector<bool> tried(state.pool_count());
    for (const std::uint32_t index : pools) {
      tried[index] = true;
    }
    for (std::uint32_t index = 0; index < state.pool_count(); ++index) {
      if (!tried[index]) {
        pools.push_back(index);
      }
    }
  }
  return pools;
}

std::string_view ReasonOf(const State& state, const AllocationRequest& request,
                          const absl::Status& why) {
  switch (why.code()) {
    case absl::StatusCode::kResourceExhausted:
      return kNoAvailableAddress;
    case absl::StatusCode::kAlreadyExists:
      return kAddressInUse;
    case absl::StatusCode::kFailedPrecondition:
      return kPoolNotAllowed;
    case absl::StatusCode::kNotFound:
      return request.pool && !state.FindPool(*request.pool) ? kPoolNotFound : kAddressNotAllowed;
    default:
      return kRequestInvalid;
  }
}

std::string Clause(const State& state, std::uint32_t index, const AllocationRequest& request) {
  return request.addresses.empty() ? WhyNothing(state, index, request)
                                   : WhyNotThese(state, index, request);
}

}  // namespace

Refusal Explain(const AddressAllocator& allocator, const AllocationRequest& request,
                const absl::Status& why) {
  const State& state = allocator.state();
  Refusal refusal{.reason = ReasonOf(state, request, why),
                  .message = CutText(std::string(why.message()), kMaxCauseOctets)};
  if (why.code() == absl::StatusCode::kInvalidArgument) {
    return refusal;  // no pool was looked at
  }
  const std::vector<std::uint32_t> pools = PoolsOf(state, request);
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const std::string clause =
        StrCat("; pool ", CutText(state.pool(pools[i]).config.name, kMaxNameOctets), ": ",
               Clause(state, pools[i], request));
    const std::size_t reserved = i + 1 < pools.size() ? kMorePoolsOctets : 0;
    if (refusal.message.size() + clause.size() + reserved > kMaxRefusalOctets) {
      const std::size_t more = pools.size() - i;
      StrAppend(&refusal.message, "; and ", more, more == 1 ? " more pool" : " more pools");
      break;
    }
    refusal.message += clause;
  }
  return refusal;
}

std::vector<PoolRefusal> ExplainPools(const AddressAllocator& allocator,
                                      const AllocationRequest& request) {
  const State& state = allocator.state();
  std::vector<PoolRefusal> refusals;
  for (const std::uint32_t index : PoolsOf(state, request)) {
    refusals.push_back(
        {.pool = state.pool(index).config.name, .why = Clause(state, index, request)});
  }
  return refusals;
}

}  // namespace stentor::controller
