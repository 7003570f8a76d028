// SPDX-License-Identifier: Apache-2.0
#include "controller/app/metrics.h"

#include <array>

namespace stentor::controller {
namespace {

using obs::MetricInfo;
using obs::MetricType;

constexpr MetricInfo kTotal{"metallb_allocator_addresses_total", MetricType::kGauge,
                            "Usable addresses, by pool"};
constexpr MetricInfo kTotal4{"metallb_allocator_ipv4_addresses_total", MetricType::kGauge,
                             "Usable IPv4 addresses, by pool"};
constexpr MetricInfo kTotal6{"metallb_allocator_ipv6_addresses_total", MetricType::kGauge,
                             "Usable IPv6 addresses, by pool"};
constexpr MetricInfo kInUse{"metallb_allocator_addresses_in_use_total", MetricType::kGauge,
                            "Addresses in use, by pool"};
constexpr MetricInfo kInUse4{"metallb_allocator_ipv4_addresses_in_use_total", MetricType::kGauge,
                             "IPv4 addresses in use, by pool"};
constexpr MetricInfo kInUse6{"metallb_allocator_ipv6_addresses_in_use_total", MetricType::kGauge,
                             "IPv6 addresses in use, by pool"};

constexpr MetricInfo kAllocation{
    "stentor_allocation_duration_seconds", MetricType::kHistogram,
    "Time from when a Service was first seen without an address until its status had one"};
constexpr MetricInfo kPending{"stentor_status_writes_pending", MetricType::kGauge,
                              "Status writes of Services that are under way or wait"};
constexpr MetricInfo kRetries{"stentor_status_write_retries_total", MetricType::kCounter,
                              "Status writes of Services that failed or met a newer object"};

// Seconds. From a write that is answered at once to a pool that was enlarged minutes later.
constexpr std::array kAllocationBounds = {0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,
                                          1.0,   2.5,  5.0,   10.0, 30.0, 60.0, 300.0};

}  // namespace

obs::Histogram Metrics::MakeAllocationHistogram() { return obs::Histogram(kAllocationBounds); }

void Metrics::Collect(obs::MetricSet& metrics) const {
  client.Collect(metrics);
  metrics.Set(kAllocation, {}, allocation_);
  metrics.Set(kRetries, write_retries_);
}

void Metrics::Collect(const config::Config& config, const AddressAllocator& allocator,
                      std::size_t pending_writes, obs::MetricSet& metrics) {
  metrics.Set(kPending, static_cast<std::uint64_t>(pending_writes));
  for (const config::Pool& its : config.pools) {
    const model::PoolName& pool = its.name;
    const PoolUsage ipv4 = allocator.Usage(pool, net::IpFamily::kIpv4);
    const PoolUsage ipv6 = allocator.Usage(pool, net::IpFamily::kIpv6);
    // The sums may exceed 64 bits, so they are made of what is shown.
    const auto total = static_cast<double>(ipv4.total) + static_cast<double>(ipv6.total);
    const auto in_use = static_cast<double>(ipv4.in_use) + static_cast<double>(ipv6.in_use);
    metrics.Set(kTotal, {{"pool", pool}}, total);
    metrics.Set(kTotal4, {{"pool", pool}}, ipv4.total);
    metrics.Set(kTotal6, {{"pool", pool}}, ipv6.total);
    metrics.Set(kInUse, {{"pool", pool}}, in_use);
    metrics.Set(kInUse4, {{"pool", pool}}, ipv4.in_use);
    metrics.Set(kInUse6, {{"pool", pool}}, ipv6.in_use);
  }
}

}  // namespace stentor::controller
