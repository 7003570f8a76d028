// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A replica of the controller, as far as its certificates go, on a FakeCluster.

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "controller/certs/webhook_certificates.h"
#include "test/unit/certs/fake_cluster.h"
#include "test/unit/certs/metallb_secret.h"

namespace stentor::controller {

/// Both clocks. The wall clock can be set.
struct TestClock {
  TimePoint now{std::chrono::hours(1000)};
  WallTime wall{kMetallbNow};

  void Advance(Duration by) {
    now += by;
    wall += std::chrono::duration_cast<WallTime::duration>(by);
  }
  [[nodiscard]] std::chrono::sys_seconds At() const {
    return std::chrono::floor<std::chrono::seconds>(wall);
  }
};

class Replica {
 public:
  explicit Replica(FakeCluster* cluster, std::uint64_t seed = 1)
      : cluster_(cluster),
        random_(seed),
        certificates_({.secret = kSecretKey, .service = kService, .targets = {kWebhooks, kPeers}},
                      [this](std::span<std::byte> out) {
                        for (std::byte& octet : out) {
                          octet = static_cast<std::byte>(random_());
                        }
                      }) {}
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  void SeeSecret() { certificates_.SecretSeen(cluster_->Secret()); }
  void SeeTargets(TimePoint now) {
    certificates_.TargetSeen(0, cluster_->Target(0), now);
    certificates_.TargetSeen(1, cluster_->Target(1), now);
  }
  CertificateActions Poll(const TestClock& clock) {
    CertificateActions actions = certificates_.Poll(clock.now, clock.wall);
    if (actions.serve) {
      served_ = actions.serve->pair;
      ++switches_;
    }
    return actions;
  }

  /// Sees all, does all, until there is nothing to do.
  void Run(const TestClock& clock) {
    for (int i = 0; i < 20; ++i) {
      SeeSecret();
      SeeTargets(clock.now);
      const CertificateActions actions = Poll(clock);
      if (!actions.write_secret && actions.inject.empty()) {
        return;
      }
      if (actions.write_secret) {
        reasons_.push_back(actions.write_secret->reason);
        const absl::Status status = cluster_->Apply(actions.write_secret->request);
        SeeSecret();
        certificates_.SecretWritten(status, clock.now);
      }
      for (const auto& injection : actions.inject) {
        const absl::Status status = cluster_->Apply(injection.request);
        certificates_.Injected(injection.target, status, clock.now);
      }
    }
    FAIL("it never comes to rest");
  }

  /// From deadline to deadline for `span`; returns when it is over.
  void RunFor(Duration span, TestClock* clock) {
    const TimePoint end = clock->now + span;
    Run(*clock);
    for (int i = 0; clock->now < end; ++i) {
      REQUIRE(i < 100000);
      REQUIRE(certificates_.NextDeadline() > clock->now);
      clock->Advance(std::min(end, *certificates_.NextDeadline()) - clock->now);
      Run(*clock);
    }
  }

  /// Whether what is served verifies against all that the cluster holds.
  [[nodiscard]] absl::Status Verified(const TestClock& clock) const {
    if (!served_) {
      return absl::FailedPreconditionError("nothing is served");
    }
    const auto chain = crypto::ParseCertificates(served_->certificate).value();
    std::string last_good;
    for (const std::size_t target : {0U, 1U}) {
      const auto object = cluster_->Target(target);
      for (const auto& place : object ? object->places : std::vector<TargetObject::Place>()) {
        if (place.bundle == last_good && !last_good.empty()) {
          continue;
        }
        const auto bundle = crypto::ParseCertificates(place.bundle);
        if (!bundle.ok()) {
          return bundle.status();
        }
        if (absl::Status status = CheckServing(chain, *bundle, kService, clock.At());
            !status.ok()) {
          return status;
        }
        last_good = place.bundle;
      }
    }
    return absl::OkStatus();
  }

  [[nodiscard]] absl::Status Ready(const TestClock& clock) const {
    return certificates_.Ready(clock.wall);
  }
  [[nodiscard]] WebhookCertificates& certificates() { return certificates_; }
  [[nodiscard]] const std::optional<crypto::PemPair>& served() const { return served_; }
  [[nodiscard]] int switches() const { return switches_; }
  [[nodiscard]] const std::vector<std::string>& reasons() const { return reasons_; }

 private:
  FakeCluster* cluster_;
  std::mt19937_64 random_;
  WebhookCertificates certificates_;
  std::optional<crypto::PemPair> served_;
  int switches_ = 0;
  std::vector<std::string> reasons_;
};

/// The number of certificates in the bundle of a target's first place.
inline std::size_t BundleSize(const FakeCluster& cluster, std::size_t target) {
  const auto bundle = crypto::ParseCertificates(cluster.Target(target)->places.front().bundle);
  return bundle.ok() ? bundle->size() : 0;
}

}  // namespace stentor::controller
