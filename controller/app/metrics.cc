// SPDX-License-Identifier: Apache-2.0
#include "controller/app/metrics.h"

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

}  // namespace

void Metrics::ConfigLoaded(const config::Config& config) {
  client.ConfigLoaded();
  pools_.clear();
  for (const config::Pool& pool : config.pools) {
    pools_.push_back(pool.name);
  }
}

void Metrics::Collect(const AddressAllocator& allocator, obs::MetricSet& metrics) const {
  client.Collect(metrics);
  for (const model::PoolName& pool : pools_) {
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
