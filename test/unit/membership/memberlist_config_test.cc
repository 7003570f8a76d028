// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/memberlist_config.h"

#include <chrono>
#include <string>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using std::chrono_literals::operator""ms;

// All keys that MetalLB wants, with its defaults for a LAN.
constexpr const char* kLan = R"({"TCPTimeout": "10s", "IndirectChecks": 3, "RetransmitMult": 4,
    "SuspicionMult": 4, "SuspicionMaxTimeoutMult": 6, "PushPullInterval": "30s",
    "ProbeTimeout": "500ms", "ProbeInterval": "1s", "DisableTcpPings": false,
    "AwarenessMaxMultiplier": 8, "GossipNodes": 3, "GossipInterval": "200ms",
    "GossipToTheDeadTime": "30s", "GossipVerifyIncoming": true, "GossipVerifyOutgoing": true,
    "EnableCompression": true, "HandoffQueueDepth": 1024, "UDPBufferSize": 1400,
    "QueueCheckInterval": "30s"})";

}  // namespace

TEST_CASE("MetalLB's defaults are the profile for a LAN", "[membership]") {
  const auto profile = ParseMemberlistConfig(kLan);
  REQUIRE(profile.ok());
  CHECK(profile->heartbeat_interval == LanProfile().heartbeat_interval);
  CHECK(profile->confirm_for == LanProfile().confirm_for);
  CHECK(profile->helpers == 3);
}

TEST_CASE("What MetalLB's users made slower or faster is so here", "[membership]") {
  struct Case {
    std::string name;
    std::string text;
    Duration heartbeat;
    std::size_t helpers;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing", "{}", 100ms, 3},
      {"longer probes", R"({"ProbeInterval": "5s"})", 500ms, 3},
      {"more suspicion, as for a WAN", R"({"ProbeInterval": "5s", "SuspicionMult": 6})", 750ms, 3},
      {"shorter", R"({"ProbeInterval": "300ms"})", 30ms, 3},
      {"as short as can be", R"({"ProbeInterval": "10ms"})", 25ms, 3},
      {"as long as can be", R"({"ProbeInterval": "5m"})", 5000ms, 3},
      {"helpers", R"({"IndirectChecks": 5})", 100ms, 5},
      {"no helper", R"({"IndirectChecks": 0})", 100ms, 1},
      {"too many helpers", R"({"IndirectChecks": 100})", 100ms, 8},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto profile = ParseMemberlistConfig(c.text);
    REQUIRE(profile.ok());
    CHECK(profile->heartbeat_interval == c.heartbeat);
    CHECK(profile->helpers == c.helpers);
    CHECK(profile->suspect_after > 2 * profile->heartbeat_interval);
  }
}

TEST_CASE("A memberlist configuration that can't be meant so is refused by key", "[membership]") {
  struct Case {
    std::string text;
    std::string want;
  };
  const auto c = GENERATE(values<Case>({
      {"", "not a JSON object"},
      {"[]", "not a JSON object"},
      {"{\"ProbeInterval\": ", "not a JSON object"},
      {R"({"ProbeInterval": 1000000000})", "ProbeInterval"},
      {R"({"ProbeInterval": "fast"})", "ProbeInterval"},
      {R"({"ProbeInterval": "-1s"})", "ProbeInterval"},
      {R"({"ProbeInterval": "inf"})", "ProbeInterval"},
      {R"({"SuspicionMult": 0})", "SuspicionMult"},
      {R"({"SuspicionMult": "4"})", "SuspicionMult"},
      {R"({"IndirectChecks": -1})", "IndirectChecks"},
      {R"({"IndirectChecks": 99999999999999999999})", "IndirectChecks"},
  }));
  DYNAMIC_SECTION(c.text) {
    const auto profile = ParseMemberlistConfig(c.text);
    REQUIRE_FALSE(profile.ok());
    CHECK(std::string(profile.status().message()).find(c.want) != std::string::npos);
  }
}

TEST_CASE("Profiles are known by name, and keep what makes them safe", "[membership]") {
  for (const char* const name : {"lan", "fast", "wan"}) {
    const auto profile = ProfileNamed(name);
    REQUIRE(profile);
    CHECK(profile->suspect_after > 2 * profile->heartbeat_interval);
    CHECK(profile->paused_after <
          profile->suspect_after + profile->confirm_for - profile->heartbeat_interval);
    CHECK(profile->late_after < profile->heartbeat_interval);
    CHECK(2 * profile->probe_interval < profile->confirm_for);
    CHECK(profile->refused_for > profile->probe_interval);
    CHECK(profile->hold_for > profile->suspect_after + profile->confirm_for);
  }
  CHECK_FALSE(ProfileNamed("LAN"));
  CHECK_FALSE(ProfileNamed(""));
}

}  // namespace stentor::speaker
