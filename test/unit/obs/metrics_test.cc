// SPDX-License-Identifier: Apache-2.0
#include "common/obs/metrics.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::obs {
namespace {

constexpr MetricInfo kTotal{"addresses_total", MetricType::kGauge, "All"};
constexpr MetricInfo kFrames{"frames_total", MetricType::kCounter, "Seen"};

TEST_CASE("Families come by name and series by their labels, whatever the order of Set()",
          "[metrics]") {
  MetricSet metrics;
  metrics.Set(kFrames, std::uint64_t{7});
  metrics.Set(kTotal, {{"pool", "b"}}, 2.0);
  metrics.Set(kTotal, {{"pool", "a"}}, std::uint64_t{1});

  std::vector<std::string> names;
  for (const auto& [name, family] : metrics.families()) {
    names.push_back(name);
  }
  CHECK(names == std::vector<std::string>{"addresses_total", "frames_total"});
  CHECK(metrics.families().at("addresses_total") ==
        MetricFamily{.name = "addresses_total",
                     .help = "All",
                     .type = MetricType::kGauge,
                     .series = {{{{"pool", "a"}}, 1.0}, {{{"pool", "b"}}, 2.0}}});
  CHECK(metrics.families().at("frames_total").type == MetricType::kCounter);
  CHECK(metrics.families().at("frames_total").series == std::map<Labels, double>{{{}, 7.0}});
}

TEST_CASE("A series that is set again has the later value, and is there once", "[metrics]") {
  MetricSet metrics;
  metrics.Set(kTotal, {{"pool", "a"}}, 1.0);
  metrics.Set(kTotal, {{"pool", "a"}}, 5.0);
  CHECK(metrics.families().at("addresses_total").series ==
        std::map<Labels, double>{{{{"pool", "a"}}, 5.0}});
}

TEST_CASE("A condition is shown as 1 or 0", "[metrics]") {
  const bool value = GENERATE(true, false);
  MetricSet metrics;
  metrics.Set({"config_loaded_bool", MetricType::kGauge, ""}, value);
  CHECK(metrics.families().at("config_loaded_bool").series ==
        std::map<Labels, double>{{{}, value ? 1.0 : 0.0}});
}

TEST_CASE("Names are Prometheus' names", "[metrics]") {
  struct Case {
    const char* name;
    const char* text;
    bool metric;
    bool label;
  };
  const auto c = GENERATE(values<Case>({
      {"words", "metallb_speaker_announced", true, true},
      {"capitals and digits", "Aa9", true, true},
      {"colon", "a:b", true, false},
      {"digit first", "9a", false, false},
      {"hyphen", "a-b", false, false},
      {"not ASCII", "ä", false, false},
      {"reserved", "__name__", true, false},
      {"empty", "", false, false},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(IsMetricName(c.text) == c.metric);
    CHECK(IsLabelName(c.text) == c.label);
  }
}

}  // namespace
}  // namespace stentor::obs
