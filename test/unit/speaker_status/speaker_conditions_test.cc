// SPDX-License-Identifier: Apache-2.0
#include "speaker/status/speaker_conditions.h"

#include <algorithm>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

constexpr net::MacAddress kMac({2, 0, 0, 0, 0, 1});

net::IpAddress Ip(const char* text) { return *net::IpAddress::Parse(text); }

}  // namespace

TEST_CASE("The conditions of a speaker's ConfigurationState", "[status]") {
  const status::ConfigurationStateOptions options = SpeakerStateOptions("ns", "n1");
  CHECK(options.object == model::ObjectKey{"ns", "speaker-n1"});
  for (const char* const type : {"configReconcilerValid", "legacyConfiguration",
                                 "stentor.io/AddressConflict", "stentor.io/NodeTraps"}) {
    CHECK(std::ranges::count(options.types, type) == 1);
  }
}

TEST_CASE("The condition of address conflicts", "[status]") {
  struct Case {
    const char* name;
    std::vector<ConflictFact> conflicts;
    const char* reason;
    const char* message;
  };
  const auto c = GENERATE(values<Case>({
      {"announced all the same",
       {{Ip("192.0.2.7"), kMac, "eth0", false}},
       "AnnouncedNevertheless",
       "192.0.2.7 is also claimed by 02:00:00:00:00:01 on eth0"},
      {"withheld",
       {{Ip("2001:db8::1"), kMac, "eth0", true}},
       "Withheld",
       "2001:db8::1 is also claimed by 02:00:00:00:00:01 on eth0, so it is not announced from "
       "here"},
      {"several, by address, each once",
       {{Ip("192.0.2.20"), kMac, "eth0", true},
        {Ip("192.0.2.3"), kMac, "eth1", false},
        {Ip("192.0.2.20"), kMac, "eth0", true}},
       "Withheld",
       "192.0.2.3 is also claimed by 02:00:00:00:00:01 on eth1; 192.0.2.20 is also claimed by "
       "02:00:00:00:00:01 on eth0, so it is not announced from here"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto condition = AddressConflictCondition(c.conflicts);
    REQUIRE(condition);
    CHECK(condition->type == kAddressConflictType);
    CHECK(condition->holds);
    CHECK_FALSE(condition->is_verdict);
    CHECK(condition->reason == c.reason);
    CHECK(condition->message == c.message);
  }
}

TEST_CASE("Without conflicts and traps there is no condition", "[status]") {
  CHECK_FALSE(AddressConflictCondition({}));
  CHECK_FALSE(NodeTrapsCondition({}));
}

TEST_CASE("Thousands of conflicts fit into a condition", "[status]") {
  std::vector<ConflictFact> conflicts;
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    conflicts.push_back({net::Ipv4Address(0xc6120000U + i), kMac, "eth0", true});
  }
  const auto condition = AddressConflictCondition(conflicts);
  REQUIRE(condition);
  CHECK(condition->message.size() < status::kMaxMessageLength);
  CHECK(condition->message.ends_with("; and 9950 more"));
}

TEST_CASE("The condition of a node's traps", "[status]") {
  struct Case {
    const char* name;
    std::vector<TrapFact> traps;
    const char* reason;
    const char* message;
  };
  const auto c = GENERATE(values<Case>({
      {"one", {{"addressOnInterface", "a"}}, "addressOnInterface", "a"},
      {"two alike", {{"outsideSubnets", "b"}, {"outsideSubnets", "a"}}, "outsideSubnets", "a\nb"},
      {"the same twice", {{"outsideSubnets", "a"}, {"outsideSubnets", "a"}}, "outsideSubnets", "a"},
      {"two kinds", {{"proxyUnhealthy", "b"}, {"outsideSubnets", "c"}}, "SeveralTraps", "c\nb"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto condition = NodeTrapsCondition(c.traps);
    REQUIRE(condition);
    CHECK(condition->type == kNodeTrapsType);
    CHECK(condition->holds);
    CHECK_FALSE(condition->is_verdict);
    CHECK(condition->reason == c.reason);
    CHECK(status::IsConditionReason(condition->reason));
    CHECK(condition->message == c.message);
  }
}

TEST_CASE("Many traps, of any length, fit into a condition", "[status]") {
  std::vector<TrapFact> traps;
  for (int i = 0; i < 1000; ++i) {
    traps.push_back({"outsideSubnets", std::to_string(i) + std::string(100'000, 'x')});
  }
  const auto condition = NodeTrapsCondition(traps);
  REQUIRE(condition);
  CHECK(condition->message.size() <= 60'000);
  CHECK(condition->message.ends_with("and 950 more"));
}

TEST_CASE("A speaker's events are MetalLB's", "[status]") {
  const kube::EventContent assigned = NodeAssignedEvent("n1", WallTime(std::chrono::hours(1)), 7);
  CHECK(assigned.type == kube::EventType::kNormal);
  CHECK(assigned.reason == "nodeAssigned");
  CHECK(assigned.message == "announcing from node \"n1\" with protocol \"layer2\"");
  CHECK(assigned.component == "metallb-speaker");
  CHECK(assigned.host == "n1");
  CHECK(assigned.suffix == 7);
  const kube::EventContent failed = AnnounceFailedEvent("n1", "why", {}, 8);
  CHECK(failed.type == kube::EventType::kWarning);
  CHECK(failed.reason == "announceFailed");
  CHECK(failed.message == "why");
  CHECK(failed.component == "metallb-speaker");
}

}  // namespace stentor::speaker
