// SPDX-License-Identifier: Apache-2.0

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "controller/allocator/address_allocator.h"

namespace stentor::controller {
namespace {

// Bytes that the program holds on the heap.
double HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

// A pool of 2^20 addresses.
std::vector<config::Pool> Pools() {
  config::Pool pool;
  pool.name = "benchmark";
  pool.ranges = {
      {net::Ipv4Address::FromOctets(10, 0, 0, 0), net::Ipv4Address::FromOctets(10, 15, 255, 255)}};
  return {pool};
}

// The request of Service number `i`; built anew for each call, as the reconciler does it.
AllocationRequest Request(std::size_t i) {
  AllocationRequest request;
  request.service = {.name_space = StrCat("tenant-", i % 500), .name = StrCat("web-frontend-", i)};
  request.ports = {{.protocol = "TCP", .port = 80}};
  return request;
}

// Pseudo-random and the same in every run: Knuth's MMIX generator.
class Random {
 public:
  std::size_t Below(std::size_t bound) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::size_t>((state_ >> 33U) % bound);
  }

 private:
  std::uint64_t state_ = 1;
};

// An allocator in which the first `count` Services hold an address, and what that costs.
struct Filled {
  explicit Filled(std::size_t count) {
    const double before = HeapBytes();
    STENTOR_CHECK(allocator.SetPools(Pools()).empty());
    for (std::size_t i = 0; i < count; ++i) {
      STENTOR_CHECK(allocator.Allocate(Request(i)).ok());
    }
    bytes_per_service = (HeapBytes() - before) / static_cast<double>(count);
  }

  AddressAllocator allocator;
  double bytes_per_service = 0;
};

// Services come and go: one that holds an address loses it, one that holds none gets one. `count`
// hold one at any time, and there are holes of a tenth of that among their addresses.
void BM_AllocateAndRelease(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Filled filled(count + count / 10);
  std::vector<std::size_t> holding(filled.allocator.size());
  std::iota(holding.begin(), holding.end(), std::size_t{0});
  std::vector<std::size_t> waiting;
  Random random;
  while (holding.size() > count) {
    std::swap(holding[random.Below(holding.size())], holding.back());
    STENTOR_CHECK(filled.allocator.Release(Request(holding.back()).service));
    waiting.push_back(holding.back());
    holding.pop_back();
  }
  for (auto _ : state) {
    std::size_t& leaving = holding[random.Below(holding.size())];
    std::size_t& coming = waiting[random.Below(waiting.size())];
    STENTOR_CHECK(filled.allocator.Release(Request(leaving).service));
    auto allocation = filled.allocator.Allocate(Request(coming));
    STENTOR_CHECK(allocation.ok());
    benchmark::DoNotOptimize(allocation);
    std::swap(leaving, coming);
  }
  STENTOR_CHECK(filled.allocator.size() == count);
  state.SetItemsProcessed(state.iterations() * 2);
  state.counters["bytes/Service"] = filled.bytes_per_service;
}
BENCHMARK(BM_AllocateAndRelease)->Arg(1000)->Arg(10000)->Arg(100000);

// What each reconcile of a Service that has its address does.
void BM_ClaimAgain(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Filled filled(count);
  std::vector<AddressList> addresses;
  for (std::size_t i = 0; i < count; ++i) {
    addresses.push_back(filled.allocator.Find(Request(i).service)->addresses);
  }
  Random random;
  for (auto _ : state) {
    const std::size_t i = random.Below(count);
    auto allocation = filled.allocator.Claim(Request(i), addresses[i]);
    STENTOR_CHECK(allocation.ok());
    benchmark::DoNotOptimize(allocation);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ClaimAgain)->Arg(1000)->Arg(10000)->Arg(100000);

// A pool is edited while Services hold addresses of it.
void BM_SetPools(benchmark::State& state) {
  Filled filled(static_cast<std::size_t>(state.range(0)));
  const std::vector<config::Pool> pools = Pools();
  for (auto _ : state) {
    STENTOR_CHECK(filled.allocator.SetPools(pools).empty());
  }
}
BENCHMARK(BM_SetPools)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace stentor::controller
