// SPDX-License-Identifier: Apache-2.0

/// \file
/// Services that stay, and speakers that don't know the same: of another configuration or version,
/// of claims that are under way, or of an address that a Service has just got.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "speaker/reconcile/tenancies.h"
#include "test/unit/speaker_reconcile/cluster.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

// Addresses of the pool that the order gives to iris1, beside kVip.
net::IpAddress PreferredByIris1(const std::string& prefix) {
  for (int i = 3; i < 100; ++i) {
    const auto address = *net::IpAddress::Parse(prefix + std::to_string(i));
    if (CandidateDigest("iris1", address) < CandidateDigest("iris2", address)) {
      return address;
    }
  }
  FAIL("all of them are iris2's");
  return kVip;
}

Speaker Claiming(const char* node, std::uint32_t epoch) {
  return {.node = node,
          .claims = std::make_shared<const Claims>(
              Claims{{.address = AddressKeyOf(kVip), .epoch = epoch}})};
}

}  // namespace

TEST_CASE("Speakers whose configurations differ have one announcer", "[tenancies]") {
  Cluster cluster(kBoth, 5min);
  Return(cluster);
  REQUIRE(cluster.Owner() == "iris2");
  SECTION("the preferred one knows nothing of staying") {
    cluster.Of("iris1").SetConfig(Staying({}));
    cluster.Settle();
    CHECK(cluster.Owner() == "iris2");
    CHECK(cluster.EpochOf("iris2") > 0);
    SECTION("not since its start") {
      cluster.Start("iris1");
      cluster.Of("iris1").SetConfig(Staying({}));
      cluster.Settle();
      CHECK(cluster.Owner() == "iris2");
    }
    SECTION("it announces what is given back, and claims nothing") {
      cluster.SettleAt(5min);
      CHECK(cluster.Owner() == "iris1");
      CHECK(cluster.EpochOf("iris1") == 0);
      CHECK(cluster.Of("iris2").NoteTaken(kVip));  // heard
      const auto notices = cluster.notices;
      cluster.SettleAt(1h);
      CHECK(cluster.Owner() == "iris1");
      CHECK(cluster.notices == notices);
    }
  }
  SECTION("the one that has it knows nothing of staying any more") {
    cluster.Of("iris2").SetConfig(Staying({}));
    cluster.Settle();
    CHECK(cluster.Owner() == "iris1");
    CHECK(cluster.EpochOf("iris2") == 0);
    CHECK(cluster.EpochOf("iris1") > 0);
    CHECK(cluster.Of("iris2").handed_over().contains(kVip));
  }
}

TEST_CASE("A speaker that lets nothing stay hears of the first claims", "[tenancies]") {
  Fixture fixture;
  (void)fixture.reconciler.Reconcile(kNow);
  REQUIRE(fixture.reconciler.announcements().contains(kVip));
  CHECK_FALSE(fixture.reconciler.AnybodyClaims());
  fixture.reconciler.SetSpeakers({{.node = "iris1"}, Claiming("iris2", 1)}, true);
  (void)fixture.reconciler.Reconcile(kNow);
  CHECK(fixture.reconciler.handed_over().contains(kVip));
  CHECK(fixture.reconciler.AnybodyClaims());
  fixture.reconciler.SetSpeakers(BothSpeakers(), true);
  (void)fixture.reconciler.Reconcile(kNow);
  CHECK(fixture.reconciler.announcements().contains(kVip));
  CHECK_FALSE(fixture.reconciler.AnybodyClaims());
}

TEST_CASE("While a speaker lives that doesn't understand claims, the order decides",
          "[tenancies]") {
  Cluster cluster(kBoth, config::kNeverFailBack);
  SECTION("from the beginning") {
    cluster.SetOldSpeaker(true);
    cluster.Settle();
    CHECK(cluster.Owner() == "iris1");
    Cluster fresh(kBoth, {});
    fresh.SetOldSpeaker(true);
    fresh.SetConfig(Staying(config::kNeverFailBack));
    fresh.Settle();
    CHECK(fresh.EpochOf("iris1") == 0);
  }
  SECTION("it comes when one stays") {
    Return(cluster);
    REQUIRE(cluster.Owner() == "iris2");
    cluster.SetOldSpeaker(true);
    cluster.Settle();
    CHECK(cluster.Owner() == "iris1");
    CHECK(cluster.Of("iris2").handed_over().contains(kVip));
  }
  CHECK(cluster.Of("iris1").claims().empty());
  CHECK(cluster.Of("iris2").claims().empty());
  Return(cluster);
}

TEST_CASE("That a speaker understands claims, or doesn't, is a matter of all elections",
          "[tenancies]") {
  Fixture fixture;
  Reconciler& reconciler = fixture.reconciler;
  reconciler.SetConfig(Staying(config::kNeverFailBack));
  const auto tell = [&](bool understands) {
    reconciler.SetSpeakers(
        {{.node = "iris1"}, {.node = "iris2", .understands_claims = understands}}, true);
    (void)reconciler.Reconcile(kNow);
    return reconciler.claims().size();
  };
  CHECK(tell(false) == 0);
  CHECK(tell(true) == 1);
  CHECK(tell(false) == 0);
  CHECK(reconciler.announcements().contains(kVip));
}

TEST_CASE("Among speakers that understand claims at last, who announces stays", "[tenancies]") {
  Cluster cluster(kBoth, config::kNeverFailBack);
  cluster.SetOldSpeaker(true);
  cluster.Kill("iris1");
  cluster.Settle();
  CHECK(cluster.Owner() == "iris2");
  CHECK(cluster.EpochOf("iris2") == 0);
  cluster.SetOldSpeaker(false);
  cluster.Settle();
  CHECK(cluster.EpochOf("iris2") > 0);
  cluster.Start("iris1");
  cluster.Settle();
  CHECK(cluster.Owner() == "iris2");
  CHECK(cluster.EpochOf("iris1") == 0);
}

TEST_CASE("Who gave a Service back knows that it was taken before it hears of claims",
          "[tenancies]") {
  CHECK(kTakenWithin > AnnouncerOptions().hand_over_bound);
  Fixture fixture("iris2");
  Reconciler& reconciler = fixture.reconciler;
  reconciler.SetConfig(Staying(5min));
  reconciler.SetSpeakers({{.node = "iris2"}}, true);
  (void)reconciler.Reconcile(kNow);
  reconciler.SetSpeakers(BothSpeakers(), true);
  (void)reconciler.Reconcile(kNow);
  REQUIRE(reconciler.announcements().contains(kVip));
  const TimePoint given_back = kNow + 5min;
  (void)reconciler.Reconcile(given_back);
  const HandedOver awaited{.service = kKey, .winner = "iris1", .until_taken = true};
  REQUIRE(reconciler.handed_over() == std::map<net::IpAddress, HandedOver>{{kVip, awaited}});
  CHECK_FALSE(reconciler.NoteTaken(kOtherVip));
  const auto is_bounded = [&] {
    const auto it = reconciler.handed_over().find(kVip);
    return it != reconciler.handed_over().end() && !it->second.until_taken;
  };
  SECTION("it heard the other one announce it") {
    CHECK(reconciler.NoteTaken(kVip));
    CHECK_FALSE(reconciler.NoteTaken(kVip));
    CHECK_FALSE(reconciler.NextDeadline());
    (void)reconciler.Reconcile(given_back + 10ms);
    CHECK(is_bounded());
    (void)reconciler.TakeStayNotices();
    SECTION("the claim comes late") {
      (void)reconciler.Reconcile(given_back + kTakenWithin);
      reconciler.SetSpeakers({Claiming("iris1", 2), {.node = "iris2"}}, true);
    }
    (void)reconciler.Reconcile(given_back + 1h);
    CHECK_FALSE(reconciler.announcements().contains(kVip));
    CHECK(reconciler.claims().empty());
    CHECK(reconciler.TakeStayNotices().empty());
  }
  SECTION("the claim came first") {
    reconciler.SetSpeakers({Claiming("iris1", 2), {.node = "iris2"}}, true);
    (void)reconciler.Reconcile(given_back + 10ms);
    CHECK(is_bounded());
    CHECK_FALSE(reconciler.NoteTaken(kVip));
    CHECK_FALSE(reconciler.NextDeadline());
  }
  SECTION("it does not stay any more when its time is over") {
    reconciler.SetConfig(Staying({}));
    (void)reconciler.Reconcile(given_back + kTakenWithin);
    CHECK(is_bounded());
  }
  SECTION("nobody took it") {
    CHECK(reconciler.NextDeadline() == given_back + kTakenWithin);
    (void)reconciler.Reconcile(given_back + kTakenWithin);
    CHECK(reconciler.announcements().contains(kVip));
    CHECK(reconciler.handed_over().empty());
  }
}

TEST_CASE("A Service whose first address becomes another one stays where it is", "[tenancies]") {
  const net::IpAddress other = PreferredByIris1("10.20.30.");
  const net::IpAddress other6 = PreferredByIris1("2001:db8::");
  Cluster cluster(kBoth, config::kNeverFailBack);
  cluster.SetService(WebService({"10.20.30.2", other6.ToString()}));
  Return(cluster);
  const std::vector<std::vector<std::string>> changes = {
      {other.ToString()},
      {other6.ToString(), "10.20.30.2"},
      {other.ToString(), other6.ToString()},
  };
  for (const std::vector<std::string>& addresses : changes) {
    DYNAMIC_SECTION(addresses.front() << " of " << addresses.size()) {
      const net::IpAddress first = *net::IpAddress::Parse(addresses.front());
      cluster.SetService(WebService(addresses));
      SECTION("at once") { cluster.Settle(); }
      SECTION("with no address meanwhile") {
        cluster.SetService(WebService({}));
        cluster.Settle();
        cluster.SetService(WebService(addresses));
        cluster.Settle();
      }
      CHECK(cluster.Owner(first) == "iris2");
      CHECK(cluster.EpochOf("iris2", first) > 0);
      cluster.SettleAt(Tenancies::kReleaseGrace);
      CHECK(cluster.Owner(first) == "iris2");
      CHECK(cluster.EpochOf("iris2", kVip) == 0);
      CHECK_FALSE(cluster.Of("iris1").NextDeadline());
      CHECK_FALSE(cluster.Of("iris2").NextDeadline());
    }
  }
  SECTION("another Service of the same name") {
    auto service = WebService({other.ToString()});
    service.uid = "another";
    cluster.SetService(service);
    cluster.Settle();
    CHECK(cluster.Owner(other) == "iris1");
  }
  SECTION("which somebody claims for another Service") {
    cluster.SetService(ServiceNamed("a", {other.ToString()}));
    cluster.SetSlice(SliceOf("a"));
    cluster.Settle();
    REQUIRE(cluster.Owner(other) == "iris1");
    cluster.SetService(WebService({other.ToString()}));
    cluster.Settle();
    CHECK(cluster.Owner(other) == "iris1");
    CHECK(cluster.EpochOf("iris2", other) == 0);
  }
  SECTION("nobody takes it in time") {
    cluster.SetSlice(WebSlice(false));
    cluster.SetService(WebService({other.ToString()}));
    cluster.Settle();
    CHECK(cluster.Owner(other).empty());
    cluster.SettleAt(Tenancies::kReleaseGrace);
    cluster.SetSlice(WebSlice());
    cluster.Settle();
    CHECK(cluster.Owner(other) == "iris1");
  }
}

}  // namespace stentor::speaker
