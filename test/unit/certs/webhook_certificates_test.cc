// SPDX-License-Identifier: Apache-2.0
#include "controller/certs/webhook_certificates.h"

#include <chrono>
#include <string>

#include "test/support/catch.h"
#include "test/unit/certs/fake_cluster.h"
#include "test/unit/certs/metallb_secret.h"
#include "test/unit/certs/replica.h"

namespace stentor::controller {
namespace {

using std::chrono::days;
using namespace std::chrono_literals;

crypto::PemPair InSecret(const FakeCluster& cluster) {
  return ReadMaterial(cluster.Secret().value()).pair;
}

}  // namespace

TEST_CASE("Nothing is done, and nobody is ready, before all was read", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  Replica replica(&cluster);
  CertificateActions actions = replica.Poll(clock);
  CHECK_FALSE(actions.write_secret.has_value());
  CHECK(replica.Ready(clock).message() ==
        "Secret metallb-system/metallb-webhook-cert was not read yet");

  cluster.PutSecret(MetallbSecret());
  replica.SeeSecret();
  actions = replica.Poll(clock);
  CHECK(actions.serve.has_value());
  CHECK(actions.inject.empty());
  CHECK(replica.Ready(clock).message() == "metallb-webhook-configuration was not read yet");

  replica.SeeTargets(clock.now);
  actions = replica.Poll(clock);
  CHECK(actions.inject.size() == 2);
  CHECK(replica.Ready(clock).message() ==
        "the CA bundle of metallb-webhook-configuration does not verify what is served: "
        "unable to get local issuer certificate");
  CHECK(replica.Poll(clock).inject.empty());  // under way
  for (const auto& injection : actions.inject) {
    CHECK(cluster.Apply(injection.request).ok());
    replica.certificates().Injected(injection.target, absl::OkStatus(), clock.now);
  }
  CHECK_FALSE(replica.Ready(clock).ok());  // until it is seen
  replica.SeeTargets(clock.now);
  CHECK(replica.Ready(clock).ok());
}

TEST_CASE("From any Secret to ready", "[certs]") {
  struct Case {
    const char* name;
    void (*prepare)(FakeCluster&);
    std::vector<std::string> reasons;
  };
  const auto c = GENERATE(values<Case>({
      {"as shipped", [](FakeCluster&) {}, {"ca.crt: no certificate in PEM form"}},
      {"none", [](FakeCluster& f) { f.DeleteSecret(); }, {"ca.crt: no certificate in PEM form"}},
      {"MetalLB's", [](FakeCluster& f) { f.PutSecret(MetallbSecret()); }, {}},
      {"MetalLB's without its serving key",
       [](FakeCluster& f) {
         f.PutSecret(MetallbSecret());
         f.EditSecret("tls.key", "");
       },
       {"tls.key: no private key in PEM form, or an encrypted one"}},
      {"garbage",
       [](FakeCluster& f) {
         f.EditSecret("ca.crt", "YWJj");
         f.EditSecret("tls.crt", "YWJj");
       },
       {"ca.crt: no certificate in PEM form"}},
      {"no webhooks to inject into",
       [](FakeCluster& f) { f.DeleteWebhooks(); },
       {"ca.crt: no certificate in PEM form"}},
  }));
  DYNAMIC_SECTION(c.name) {
    FakeCluster cluster;
    c.prepare(cluster);
    TestClock clock;
    Replica replica(&cluster);
    replica.Run(clock);
    CHECK(replica.Ready(clock).ok());
    CHECK(replica.Verified(clock).ok());
    CHECK(replica.reasons() == c.reasons);
    CHECK(replica.served() == InSecret(cluster));
    CHECK(replica.switches() == 1);
    const int injections = cluster.injections();
    replica.RunFor(days(2), &clock);
    CHECK(replica.switches() == 1);
    CHECK(cluster.injections() == injections);  // and then all is quiet
    CHECK(replica.reasons().size() == c.reasons.size());
  }
}

TEST_CASE("Whoever writes first wins, and the others follow", "[certs]") {
  FakeCluster cluster;
  const bool exists = GENERATE(true, false);
  if (!exists) {
    cluster.DeleteSecret();
  }
  TestClock clock;
  Replica first(&cluster, 1);
  Replica second(&cluster, 2);
  for (Replica* replica : {&first, &second}) {
    replica->SeeSecret();
    replica->SeeTargets(clock.now);
  }
  const CertificateActions fast = first.Poll(clock);
  const CertificateActions slow = second.Poll(clock);
  REQUIRE(fast.write_secret.has_value());
  REQUIRE(slow.write_secret.has_value());
  CHECK(cluster.Apply(fast.write_secret->request).ok());
  const absl::Status lost = cluster.Apply(slow.write_secret->request);
  CHECK_FALSE(lost.ok());
  first.certificates().SecretWritten(absl::OkStatus(), clock.now);
  second.certificates().SecretWritten(lost, clock.now);
  CHECK_FALSE(second.Poll(clock).write_secret.has_value());  // not again at once
  first.Run(clock);
  second.Run(clock);
  CHECK(cluster.secret_writes() == 1);
  CHECK(first.served() == InSecret(cluster));
  CHECK(second.served() == InSecret(cluster));
  CHECK(second.Ready(clock).ok());
}

TEST_CASE("A write that fails is tried again, later and later", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  Replica replica(&cluster);
  replica.SeeSecret();
  replica.SeeTargets(clock.now);
  const TimePoint start = clock.now;
  int attempts = 0;
  while (clock.now < start + 1h) {
    if (replica.Poll(clock).write_secret) {
      ++attempts;
      clock.Advance(10ms);
      replica.certificates().SecretWritten(absl::UnavailableError("gone"), clock.now);
      (void)replica.Poll(clock);
    }
    clock.Advance(*replica.certificates().NextDeadline() - clock.now);
  }
  CHECK(attempts > 8);
  CHECK(attempts < 30);
  replica.Run(clock);
  CHECK(replica.Ready(clock).ok());
}

TEST_CASE("An injection that fails is tried again; one that is refused carries nothing foreign",
          "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  cluster.PutSecret(MetallbSecret());
  Replica old(&cluster);
  old.Run(clock);
  cluster.MakeSecret();  // another Secret: a new CA
  Replica replica(&cluster);
  replica.SeeSecret();
  CertificateActions actions = replica.Poll(clock);
  REQUIRE(actions.write_secret.has_value());
  REQUIRE(cluster.Apply(actions.write_secret->request).ok());
  replica.certificates().SecretWritten(absl::OkStatus(), clock.now);
  replica.SeeSecret();
  replica.SeeTargets(clock.now);
  const auto carried = [&](const CertificateActions& what) {
    const auto body = nlohmann::json::parse(what.inject.front().request.body);
    return body["webhooks"][0]["clientConfig"]["caBundle"].get<std::string>().size() > 1800;
  };
  actions = replica.Poll(clock);
  REQUIRE(actions.inject.size() == 2);
  CHECK(carried(actions));
  replica.certificates().Injected(0, absl::AbortedError("conflict"), clock.now);
  CHECK(replica.Poll(clock).inject.empty());
  clock.Advance(1s);
  actions = replica.Poll(clock);
  REQUIRE(actions.inject.size() == 1);
  CHECK(carried(actions));
  replica.certificates().Injected(0, absl::InvalidArgumentError("refused"), clock.now);
  clock.Advance(2s);
  actions = replica.Poll(clock);
  REQUIRE(actions.inject.size() == 1);
  CHECK_FALSE(carried(actions));
}

TEST_CASE("A new CA is injected before its certificate is served", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  Replica replica(&cluster);
  replica.Run(clock);
  const auto old = replica.served();
  clock.Advance(days(365 - 90) + 1min);
  replica.Run(clock);
  CHECK(cluster.secret_writes() == 2);
  CHECK(replica.served() == old);  // the same CA, yet the API servers get their time
  CHECK(replica.Ready(clock).ok());
  clock.Advance(kSettle);
  replica.Run(clock);
  CHECK(replica.served() == InSecret(cluster));
  CHECK(replica.served() != old);

  cluster.EditSecret("ca.key", "");  // now a new CA, before its time
  const auto second = replica.served();
  clock.Advance(1h);
  replica.Run(clock);
  CHECK(cluster.secret_writes() == 3);
  CHECK(BundleSize(cluster, 0) == 2);
  CHECK(BundleSize(cluster, 1) == 2);
  CHECK(replica.served() == second);
  CHECK(replica.Verified(clock).ok());
  clock.Advance(kSettle);
  replica.Run(clock);
  CHECK(replica.served() == InSecret(cluster));
  CHECK(replica.Verified(clock).ok());
  replica.RunFor(2h, &clock);
  CHECK(BundleSize(cluster, 0) == 1);  // the overlap is over
  CHECK(BundleSize(cluster, 1) == 1);
  CHECK(replica.Verified(clock).ok());
}

TEST_CASE("A Secret that is deleted is made again, and nobody is refused", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  Replica first(&cluster, 1);
  Replica second(&cluster, 2);
  first.Run(clock);
  second.Run(clock);
  clock.Advance(days(3));
  cluster.DeleteSecret();
  first.Run(clock);
  REQUIRE(cluster.Secret().has_value());
  CHECK(ReadMaterial(*cluster.Secret()).cas.size() == 2);  // the old one was remembered
  CHECK(BundleSize(cluster, 0) == 2);
  for (int i = 0; i < 200; ++i) {
    CHECK(first.Verified(clock).ok());
    CHECK(second.Verified(clock).ok());
    clock.Advance(1min);
    first.Run(clock);
    if (i >= 2) {
      second.Run(clock);  // its watch was late
    }
  }
  CHECK(first.served() == InSecret(cluster));
  CHECK(second.served() == InSecret(cluster));
  CHECK(BundleSize(cluster, 0) == 1);
}

TEST_CASE("A replica that sees the Secret late undoes nothing", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  Replica late(&cluster, 1);
  late.Run(clock);
  cluster.MakeSecret();
  Replica early(&cluster, 2);
  early.Run(clock);
  REQUIRE(BundleSize(cluster, 0) == 2);
  late.SeeTargets(clock.now);
  CHECK(late.Poll(clock).inject.empty());
  CHECK(late.Verified(clock).ok());
  clock.Advance(kPruneAfter - 1s);
  CHECK(late.Poll(clock).inject.empty());
  clock.Advance(1s);
  CHECK(late.Poll(clock).inject.size() == 2);  // by now it would know, were there anything to know
}

TEST_CASE("A bundle that somebody emptied is filled again", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  Replica replica(&cluster);
  replica.Run(clock);
  clock.Advance(1min);
  cluster.WipeBundles();
  replica.SeeTargets(clock.now);
  CHECK_FALSE(replica.Ready(clock).ok());
  replica.Run(clock);
  CHECK(replica.Ready(clock).ok());
  CHECK(replica.switches() == 1);

  SECTION("also webhooks that are made anew") {
    cluster.DeleteWebhooks();
    replica.Run(clock);
    CHECK(replica.Ready(clock).ok());  // nobody calls
    cluster.MakeWebhooks();
    replica.RunFor(2s, &clock);
    CHECK(replica.Ready(clock).ok());
    CHECK(replica.Verified(clock).ok());
  }
  SECTION("again and again: at most once a second") {
    const int before = cluster.injections();
    for (int i = 0; i < 100; ++i) {
      cluster.WipeBundles();
      replica.Run(clock);
      clock.Advance(50ms);
    }
    CHECK(cluster.injections() - before <= 6);
    replica.RunFor(1s, &clock);
    CHECK(replica.Ready(clock).ok());
  }
}

TEST_CASE("An injection never makes what is gone", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  Replica replica(&cluster);
  cluster.PutSecret(MetallbSecret());
  replica.SeeSecret();
  replica.SeeTargets(clock.now);
  const CertificateActions actions = replica.Poll(clock);
  REQUIRE(actions.inject.size() == 2);
  SECTION("deleted") {
    cluster.DeleteWebhooks();
    CHECK(absl::IsAborted(cluster.Apply(actions.inject.front().request)));
    CHECK_FALSE(cluster.Target(0).has_value());
  }
  SECTION("deleted and made again") {
    cluster.MakeWebhooks();
    CHECK(absl::IsAborted(cluster.Apply(actions.inject.front().request)));
  }
}

TEST_CASE("A clock that is set does not cost a certificate", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  Replica replica(&cluster);
  replica.Run(clock);
  replica.RunFor(days(1), &clock);
  struct Case {
    const char* name;
    std::chrono::seconds step;
    bool ready;
  };
  const auto c = GENERATE(values<Case>({{"20 years ahead", days(7300), false},
                                        {"300 days ahead", days(300), true},
                                        {"to 1970", -days(20760), false},
                                        {"a day back", -days(1), true}}));
  DYNAMIC_SECTION(c.name) {
    clock.wall += c.step;
    replica.Run(clock);
    CHECK(replica.Ready(clock).ok() == c.ready);
    replica.RunFor(kDoubt - 1s, &clock);
    CHECK(cluster.secret_writes() == 1);
    SECTION("and set right") {
      clock.wall -= c.step;
      replica.RunFor(days(1), &clock);
      CHECK(cluster.secret_writes() == 1);
      CHECK(replica.Ready(clock).ok());
    }
    SECTION("for good") {
      replica.RunFor(days(2), &clock);
      CHECK(replica.Ready(clock).ok());
      CHECK(replica.Verified(clock).ok());
    }
  }
}

TEST_CASE("Certificates of one whose clock is ahead are replaced, but not at once", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  TestClock ahead;
  ahead.wall += days(1);
  Replica wrong(&cluster, 1);
  wrong.Run(ahead);
  Replica right(&cluster, 2);
  right.Run(clock);
  CHECK_FALSE(right.Ready(clock).ok());
  CHECK(cluster.secret_writes() == 1);
  right.RunFor(kDoubt + 1min, &clock);
  CHECK(cluster.secret_writes() == 2);
  CHECK(right.Ready(clock).ok());
  ahead.Advance(kDoubt + 1min);
  wrong.RunFor(days(1), &ahead);
  CHECK(cluster.secret_writes() == 2);  // and there is no quarrel
  CHECK(wrong.served() == right.served());
}

TEST_CASE("A Service that can't be certified is told", "[certs]") {
  FakeCluster cluster;
  TestClock clock;
  WebhookCertificates certificates(
      {.secret = kSecretKey, .service = {.name = "No Name", .name_space = "x"}, .targets = {}},
      [](std::span<std::byte>) {});
  certificates.SecretSeen(std::nullopt);
  CHECK_FALSE(certificates.Poll(clock.now, clock.wall).write_secret.has_value());
  CHECK(certificates.NextDeadline() < clock.now + 2s);
  CHECK(certificates.Ready(clock.wall).message() ==
        "no certificate can be made: \"No Name.x.svc\" is no DNS name");
}

}  // namespace stentor::controller
