// SPDX-License-Identifier: Apache-2.0
#include "controller/allocator/address_allocator.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "controller/allocator/allocator_state.h"
#include "controller/allocator/choice.h"

namespace stentor::controller {
namespace {

using State = AddressAllocator::State;

// Whether the Service holds what it holds on the same terms: nothing is to be compared again.
bool SameTerms(const Held& held, const AllocationRequest& request) {
  return held.sharing_key == request.sharing_key && held.backend_key == request.backend_key &&
         std::ranges::equal(held.ports, request.ports);
}

void SetKeys(Held& held, const AllocationRequest& request) {
  held.sharing_key = request.sharing_key;
  held.backend_key = request.backend_key;
  held.ports.assign(request.ports.begin(), request.ports.end());
}

}  // namespace

std::string FormatAddresses(std::span<const net::IpAddress> addresses) {
  std::string out = "[";
  for (const net::IpAddress& address : addresses) {
    StrAppend(&out, out.size() == 1 ? "\"" : " \"", address.ToString(), "\"");
  }
  return out + "]";
}

AddressAllocator::AddressAllocator() : state_(std::make_unique<State>()) {}
AddressAllocator::~AddressAllocator() = default;
AddressAllocator::AddressAllocator(AddressAllocator&&) noexcept = default;
AddressAllocator& AddressAllocator::operator=(AddressAllocator&&) noexcept = default;

std::vector<model::ServiceKey> AddressAllocator::SetPools(std::span<const config::Pool> pools) {
  auto lost = state_->SetPools(pools);
  MaybeCheck();
  return lost;
}

// Swaps what the Service holds for what `choose` finds while the former addresses are free; puts
// them back where it finds nothing.
absl::StatusOr<Allocation> AddressAllocator::Exchange(
    const AllocationRequest& request, bool holds,
    const std::function<absl::StatusOr<Held>(const State&)>& choose) {
  std::optional<Held> former = holds ? state_->Detach(request.service) : std::nullopt;
  absl::StatusOr<Held> chosen = choose(*state_);
  if (!chosen.ok()) {
    if (former) {
      state_->Attach(request.service, *std::move(former));
    }
    return chosen.status();
  }
  SetKeys(*chosen, request);
  if (former &&
      (former->addresses != chosen->addresses || former->ports != chosen->ports ||
       former->sharing_key != chosen->sharing_key || former->backend_key != chosen->backend_key)) {
    ++state_->availability;
  }
  Allocation allocation = AllocationOf(*chosen);
  state_->Attach(request.service, *std::move(chosen));
  MaybeCheck();
  return allocation;
}

absl::StatusOr<Allocation> AddressAllocator::Allocate(const AllocationRequest& request) {
  const Held* held = state_->Find(request.service);
  if (held == nullptr || !Satisfies(*state_, request, *held)) {
    return Exchange(request, held != nullptr,
                    [&request](const State& state) { return Choose(state, request); });
  }
  const bool may_grow =
      request.families.dual && held->addresses.size() == 1 && request.addresses.empty();
  if (!may_grow && SameTerms(*held, request)) {
    return AllocationOf(*held);
  }
  // It keeps what it has; its keys and ports may be new, and a second family may have come free.
  Held kept = *held;
  return Exchange(request, true, [&](const State& state) -> absl::StatusOr<Held> {
    if (may_grow) {
      const net::IpFamily missing = Other(kept.addresses.front().family());
      if (const auto additional = FirstIn(state, kept.pool, missing, request)) {
        kept.addresses.push_back(*additional);
      }
    }
    return kept;
  });
}

absl::StatusOr<Allocation> AddressAllocator::Claim(const AllocationRequest& request,
                                                   std::span<const net::IpAddress> addresses) {
  const Held* held = state_->Find(request.service);
  if (held != nullptr && std::ranges::equal(held->addresses, addresses) &&
      SameTerms(*held, request) && Admits(state_->pool(held->pool), request)) {
    return AllocationOf(*held);
  }
  return Exchange(request, held != nullptr, [&request, addresses](const State& state) {
    return TakeExactly(state, request, addresses);
  });
}

bool AddressAllocator::Release(const model::ServiceKey& service) {
  if (!state_->Detach(service)) {
    return false;
  }
  ++state_->availability;
  MaybeCheck();
  return true;
}

std::optional<Allocation> AddressAllocator::Find(const model::ServiceKey& service) const {
  const Held* held = state_->Find(service);
  if (held == nullptr) {
    return std::nullopt;
  }
  return AllocationOf(*held);
}

Allocation AddressAllocator::AllocationOf(const Held& held) const {
  return {.pool = state_->pool(held.pool).config.name, .addresses = held.addresses};
}

PoolUsage AddressAllocator::Usage(std::string_view pool, net::IpFamily family) const {
  const auto index = state_->FindPool(pool);
  if (!index) {
    return {};
  }
  const PoolState& state = state_->pool(*index);
  return {.total = state.FreeOf(family).Capacity(),
          .in_use = state.in_use[static_cast<std::size_t>(family)]};
}

std::size_t AddressAllocator::size() const noexcept { return state_->services().size(); }

std::uint64_t AddressAllocator::Availability() const noexcept { return state_->availability; }

void AddressAllocator::CheckInvariants() const { state_->CheckInvariants(); }

void AddressAllocator::MaybeCheck() const {
#ifdef STENTOR_CHECK_INVARIANTS
  constexpr std::size_t kFew = 64;
  if (size() <= kFew) {
    CheckInvariants();
  }
#endif
}

}  // namespace stentor::controller
