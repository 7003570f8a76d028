// SPDX-License-Identifier: Apache-2.0
#include "common/io/metrics_text.h"

#include <array>

#include "test/support/catch.h"

namespace stentor {

TEST_CASE("Metrics are written in Prometheus' text format", "[metrics]") {
  obs::MetricSet metrics;
  const obs::MetricInfo in_use{"metallb_allocator_addresses_in_use_total", obs::MetricType::kGauge,
                               "Addresses in use"};
  metrics.Set(in_use, {{"pool", "b"}}, std::uint64_t{3});
  metrics.Set(in_use, {{"pool", "a \"quoted\" \\ name\nand more"}}, std::uint64_t{0});
  metrics.Set({"metallb_k8s_client_updates_total", obs::MetricType::kCounter, "Updates"},
              std::uint64_t{1234567});
  metrics.Set({"metallb_layer2_responses_sent", obs::MetricType::kCounter, "Replies"},
              {{"ip", "2001:db8::1"}, {"node", "ü"}}, std::uint64_t{1});
  CHECK(io::WriteMetrics(metrics) ==
        "# HELP metallb_allocator_addresses_in_use_total Addresses in use\n"
        "# TYPE metallb_allocator_addresses_in_use_total gauge\n"
        "metallb_allocator_addresses_in_use_total"
        "{pool=\"a \\\"quoted\\\" \\\\ name\\nand more\"} 0\n"
        "metallb_allocator_addresses_in_use_total{pool=\"b\"} 3\n"
        "# HELP metallb_k8s_client_updates_total Updates\n"
        "# TYPE metallb_k8s_client_updates_total counter\n"
        "metallb_k8s_client_updates_total 1234567\n"
        "# HELP metallb_layer2_responses_sent Replies\n"
        "# TYPE metallb_layer2_responses_sent counter\n"
        "metallb_layer2_responses_sent{ip=\"2001:db8::1\",node=\"ü\"} 1\n");
}

TEST_CASE("A histogram counts up, to all", "[metrics]") {
  const std::array bounds = {0.5, 1.0};
  obs::Histogram histogram(bounds);
  for (const double seconds : {0.25, 0.5, 0.75, 8.0}) {
    histogram.Observe(seconds);
  }
  obs::MetricSet metrics;
  metrics.Set({"took_seconds", obs::MetricType::kHistogram, "Took"}, {{"pool", "a"}}, histogram);
  CHECK(io::WriteMetrics(metrics) ==
        "# HELP took_seconds Took\n"
        "# TYPE took_seconds histogram\n"
        "took_seconds_count{pool=\"a\"} 4\n"
        "took_seconds_sum{pool=\"a\"} 9.5\n"
        "took_seconds_bucket{pool=\"a\",le=\"0.5\"} 2\n"
        "took_seconds_bucket{pool=\"a\",le=\"1\"} 3\n"
        "took_seconds_bucket{pool=\"a\",le=\"+Inf\"} 4\n");
}

TEST_CASE("No metrics are no text", "[metrics]") { CHECK(io::WriteMetrics({}).empty()); }

}  // namespace stentor
