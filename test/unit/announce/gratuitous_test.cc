// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/gratuitous.h"

#include <chrono>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

using Step = GratuitousSchedule::Step;
constexpr IfIndex kAll = GratuitousSchedule::kAllLinks;

struct Schedule {
  Jitter jitter{1};
  GratuitousSchedule schedule{
      {.repeat_interval = 1s, .fast_period = 5s, .refresh_interval = Duration::zero()}, jitter};
};

TEST_CASE("Every address is told once before any is told twice", "[gratuitous]") {
  Schedule s;
  s.schedule.Start({kVip, kAll}, 5s, kStart);
  s.schedule.Start({kVip6, kAll}, 5s, kStart);
  s.schedule.Start({kVip2, kEth0}, 5s, kStart);
  CHECK(s.schedule.TakeUrgent(kStart)->target == GratuitousSchedule::Target(kVip, kAll));
  CHECK(s.schedule.TakeUrgent(kStart)->target == GratuitousSchedule::Target(kVip6, kAll));
  CHECK(s.schedule.HasUrgent());
  CHECK(s.schedule.TakeUrgent(kStart)->target == GratuitousSchedule::Target(kVip2, kEth0));
  CHECK_FALSE(s.schedule.HasUrgent());
  CHECK_FALSE(s.schedule.TakeUrgent(kStart).has_value());
  // The second form, which IPv6 doesn't have.
  CHECK(s.schedule.TakeDue(kStart)->target.first == net::IpAddress(kVip));
  const auto last = s.schedule.TakeDue(kStart);
  CHECK(last->target.first == net::IpAddress(kVip2));
  CHECK(last->step == Step::kSecondForm);
  CHECK_FALSE(s.schedule.TakeDue(kStart).has_value());
  CHECK(*s.schedule.NextDue() >= kStart + 750ms);
}

TEST_CASE("A stopped run leaves nothing urgent behind", "[gratuitous]") {
  Schedule s;
  s.schedule.Start({kVip, kAll}, 5s, kStart);
  s.schedule.Start({kVip, kEth0}, 5s, kStart);
  s.schedule.Stop(kVip);
  CHECK_FALSE(s.schedule.HasUrgent());
  CHECK_FALSE(s.schedule.NextDue().has_value());

  // Nor does one that lies behind another.
  s.schedule.Start({kVip, kAll}, 5s, kStart);
  s.schedule.Start({kVip2, kAll}, 5s, kStart);
  s.schedule.Stop(kVip2);
  CHECK(s.schedule.TakeUrgent(kStart).has_value());
  CHECK_FALSE(s.schedule.TakeUrgent(kStart).has_value());
  CHECK_FALSE(s.schedule.HasUrgent());
}

TEST_CASE("Refreshing: off by default, else for as long as the address is announced",
          "[gratuitous]") {
  struct Case {
    const char* name;
    Duration interval;
    int want_at_least;  // frames on one link between 100 s and 1100 s
    int want_at_most;
  };
  const auto c = GENERATE(values<Case>({
      {"off", 0s, 0, 0},
      {"every minute", 60s, 2 * 13, 2 * 22},
      {"every ten minutes", 600s, 2 * 1, 2 * 3},
      {"too often: every second", 1ms, 2 * 790, 2 * 1340},
  }));
  DYNAMIC_SECTION(c.name) {
    Node node({.refresh_interval = c.interval});
    node.announcer.Announce(kVip, On("eth0"), node.now);
    static_cast<void>(node.Run(100s));
    const std::vector<Sent> sent = node.Run(1000s);
    CHECK(static_cast<int>(sent.size()) >= c.want_at_least);
    CHECK(static_cast<int>(sent.size()) <= c.want_at_most);
    CHECK(node.announcer.NextDeadline().has_value() == (c.interval > 0s));
    node.announcer.Withdraw(kVip);
    CHECK(node.Run(1000s).empty());
  }
}

TEST_CASE("Refreshes of many addresses are spread, and told on all links", "[gratuitous]") {
  Node node({.refresh_interval = 60s});
  Announcements desired;
  for (std::uint32_t i = 0; i < 100; ++i) {
    desired[net::Ipv4Address(kVip.value() + i)] = {};
  }
  node.announcer.SetAnnounced(desired, node.now);
  static_cast<void>(node.Run(45s));
  std::map<Duration, int> a_second;
  std::map<IfIndex, int> links;
  for (const Sent& s : node.Run(50s)) {
    ++a_second[std::chrono::floor<std::chrono::seconds>(s.at)];
    ++links[s.frame.link];
  }
  CHECK(links[kEth0] == 200);
  CHECK(links[kEth1] == 200);
  for (const auto& [second, count] : a_second) {
    CHECK(count <= 60);  // 400 frames over some 30 s
  }
}

TEST_CASE("A refresh that goes on is begun anew, not doubled", "[gratuitous]") {
  Node node({.refresh_interval = 60s});
  node.announcer.Announce(kVip, On("eth0"), node.now);
  static_cast<void>(node.Run(300s));
  SECTION("by a take-over") { node.announcer.AnnounceAgain(node.now); }
  SECTION("by a link that comes back") {
    node.Apply(LinkOf(kEth0, "eth0", kMac0, kNoCarrier));
    node.Apply(LinkOf(kEth0, "eth0", kMac0));
  }
  static_cast<void>(node.Run(100s));
  const std::size_t frames = node.Run(600s).size();
  CHECK(frames >= 2U * 7U);
  CHECK(frames <= 2U * 14U);
}

TEST_CASE("The pace earns what it spent, and no more than a burst", "[gratuitous]") {
  FramePace pace(1000, 10);
  pace.Refill(kStart);
  CHECK_FALSE(pace.NextAffordable().has_value());
  pace.Spend(10);
  CHECK_FALSE(pace.Affordable());
  const TimePoint next = *pace.NextAffordable();
  CHECK(next > kStart);
  CHECK(next <= kStart + 6ms);  // a portion of 5 ms
  pace.Refill(kStart - 1s);     // time that goes back earns nothing
  CHECK_FALSE(pace.Affordable());
  pace.Refill(next);
  CHECK(pace.Affordable());
  pace.Refill(next + 1h);
  pace.Spend(9);
  CHECK(pace.Affordable());
  pace.Spend(30);  // one task for thirty links
  CHECK(*pace.NextAffordable() >= next + 1h + 29ms);
}

TEST_CASE("Jitter stays within a quarter, for tiny intervals too", "[gratuitous]") {
  Jitter jitter(GENERATE(0U, 1U, 99U));
  for (const Duration interval : {Duration(0), Duration(1), Duration(3), Duration(1s)}) {
    for (int i = 0; i < 100; ++i) {
      const Duration spread = jitter.Spread(interval);
      CHECK(spread >= interval - interval / 4 - Duration(1));
      CHECK(spread <= interval + interval / 4 + Duration(1));
    }
  }
}

}  // namespace
}  // namespace stentor::speaker
