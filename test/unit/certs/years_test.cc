// SPDX-License-Identifier: Apache-2.0

/// \file
/// Thirty years of two replicas, with late watches, lost answers, restarts, outages and people who
/// delete things: at every moment, what a ready replica serves verifies against every bundle that
/// the cluster holds. Repeat a run with --rng-seed.

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/certs/fake_cluster.h"
#include "test/unit/certs/replica.h"

namespace stentor::controller {
namespace {

using std::chrono::days;
using namespace std::chrono_literals;

struct Troubles {
  bool damage = false;         ///< People delete and edit the objects.
  Duration longest_partition;  ///< Of one replica from the API server.
};

class Years {
 public:
  Years(std::uint64_t seed, Troubles troubles) : random_(seed), troubles_(troubles) {
    for (Side& side : sides_) {
      Restart(side);
    }
  }

  void Run(Duration span, bool with_troubles) {
    const TimePoint end = clock_.now + span;
    TimePoint trouble = with_troubles ? clock_.now + Upto(days(120)) : end;
    while (clock_.now < end) {
      TimePoint next = std::min(end, trouble);
      for (const Side& side : sides_) {
        next = std::min(next, NextOf(side));
      }
      clock_.Advance(std::max<Duration>(next - clock_.now, 1ms));
      if (with_troubles && clock_.now >= trouble) {
        MakeTrouble();
        trouble = clock_.now + Upto(days(120));
      }
      for (Side& side : sides_) {
        if (NextOf(side) <= clock_.now) {
          Move(side);
        }
      }
      Check();
    }
  }

  void CheckRest() {
    for (Side& side : sides_) {
      CHECK(side.replica->Ready(clock_).ok());
      CHECK(side.replica->Verified(clock_).ok());
    }
    CHECK(sides_[0].replica->served() == sides_[1].replica->served());
  }

  [[nodiscard]] const FakeCluster& cluster() const { return cluster_; }
  [[nodiscard]] int checked() const { return checked_; }

 private:
  struct Answer {
    TimePoint at;
    std::optional<std::size_t> target;  // absent: of the Secret's write
    absl::Status status;
  };
  struct Side {
    std::unique_ptr<Replica> replica;
    std::optional<TimePoint> look;  // when its watches have caught up
    std::vector<Answer> answers;
    TimePoint cut_off_until;
    TimePoint wake;
  };

  Duration Upto(Duration longest) {
    return Duration(std::uniform_int_distribution<Duration::rep>(1, longest.count())(random_));
  }
  bool Once(int in) { return std::uniform_int_distribution<int>(1, in)(random_) == 1; }

  // Mostly fast; a minute at times.
  Duration Lag() { return Once(20) ? Upto(1min) : Upto(200ms); }

  static TimePoint NextOf(const Side& side) {
    TimePoint next = side.wake;
    if (side.look) {
      next = std::min(next, std::max(*side.look, side.cut_off_until));
    }
    for (const Answer& answer : side.answers) {
      next = std::min(next, answer.at);
    }
    return next;
  }

  void Restart(Side& side) {
    side.replica = std::make_unique<Replica>(&cluster_, random_());
    side.answers.clear();
    side.look = clock_.now + Lag();
    side.wake = clock_.now;
  }

  void Changed() {
    for (Side& side : sides_) {
      side.look = clock_.now + Lag();
    }
  }

  absl::Status Send(const Side& side, const kube::Request& request) {
    if (clock_.now < side.cut_off_until || Once(10)) {
      return absl::UnavailableError("lost on the way");
    }
    const absl::Status status = cluster_.Apply(request);
    Changed();
    return Once(10) ? absl::UnavailableError("the answer was lost") : status;
  }

  void Move(Side& side) {
    Replica& replica = *side.replica;
    if (side.look && clock_.now >= *side.look && clock_.now >= side.cut_off_until) {
      side.look.reset();
      replica.SeeSecret();
      replica.SeeTargets(clock_.now);
    }
    std::vector<Answer> later;
    for (const Answer& answer : std::exchange(side.answers, {})) {
      if (clock_.now < answer.at) {
        later.push_back(answer);
      } else if (answer.target) {
        replica.certificates().Injected(*answer.target, answer.status, clock_.now);
      } else {
        replica.certificates().SecretWritten(answer.status, clock_.now);
      }
    }
    side.answers = std::move(later);
    const CertificateActions actions = replica.Poll(clock_);
    TimePoint at = clock_.now;
    if (actions.write_secret) {
      at += Lag();
      side.answers.push_back({at, std::nullopt, Send(side, actions.write_secret->request)});
    }
    for (const auto& injection : actions.inject) {
      at += Lag();
      side.answers.push_back({at, injection.target, Send(side, injection.request)});
    }
    // Where it would only look whether all is well, it may as well do so some days late.
    const TimePoint wish = *replica.certificates().NextDeadline();
    side.wake = wish - clock_.now < 1h ? wish : clock_.now + 1h + Upto(days(14));
  }

  void MakeTrouble() {
    const int what = std::uniform_int_distribution<int>(0, troubles_.damage ? 7 : 2)(random_);
    Side& side = sides_[Once(2) ? 0 : 1];
    switch (what) {
      case 0:
        Restart(side);
        return;
      case 1:
        side.cut_off_until = clock_.now + Upto(troubles_.longest_partition);
        return;
      case 2:
        for (Side& one : sides_) {
          one.cut_off_until = clock_.now + Upto(troubles_.longest_partition);
        }
        return;
      case 3:
        cluster_.DeleteSecret();
        break;
      case 4:
        cluster_.EditSecret(Once(2) ? "ca.key" : "tls.key", "");
        break;
      case 5:
        cluster_.EditSecret(Once(2) ? "ca.crt" : "tls.crt", "Z2FyYmFnZQ==");
        break;
      case 6:
        cluster_.WipeBundles();
        break;
      default:
        cluster_.MakeWebhooks();  // deleted, and made again without bundles
    }
    Changed();
  }

  void Check() {
    const int state = cluster_.version() + sides_[0].replica->switches() * 1'000'000 +
                      sides_[1].replica->switches() * 10'000;
    if (state == checked_state_ && clock_.now < checked_at_ + days(1)) {
      return;
    }
    checked_state_ = state;
    checked_at_ = clock_.now;
    for (const std::size_t target : {0U, 1U}) {
      const auto object = cluster_.Target(target);
      for (const auto& place : object->places) {
        if (place.bundle.empty()) {
          return;  // somebody has just emptied it
        }
      }
    }
    for (std::size_t i = 0; i < sides_.size(); ++i) {
      if (!sides_[i].replica->Ready(clock_).ok()) {
        continue;
      }
      ++checked_;
      const absl::Status status = sides_[i].replica->Verified(clock_);
      if (!status.ok()) {
        FAIL("replica " << i << " at " << clock_.At().time_since_epoch().count() << ": "
                        << status.ToString());
      }
    }
  }

  FakeCluster cluster_;
  TestClock clock_;
  std::mt19937_64 random_;
  Troubles troubles_;
  std::array<Side, 2> sides_;
  int checked_ = 0;
  int checked_state_ = 0;
  TimePoint checked_at_;
};

}  // namespace

TEST_CASE("For thirty years, what is served verifies", "[certs]") {
  struct Case {
    const char* name;
    Troubles troubles;
    int least_writes;
    int most_writes;
  };
  // 275 days a serving certificate: 40 of them; and 3 CAs.
  const auto c = GENERATE(values<Case>({
      {"renewal only, replicas cut off for days",
       {.damage = false, .longest_partition = days(3)},
       38,
       50},
      {"and people who damage things",
       {.damage = true, .longest_partition = std::chrono::minutes(10)},
       60,
       500},
  }));
  const std::uint64_t seed = Catch::rngSeed();
  DYNAMIC_SECTION(c.name << ", seed " << seed) {
    Years years(seed, c.troubles);
    years.Run(days(1), false);
    years.CheckRest();
    years.Run(days(30 * 365), true);
    years.Run(days(31), false);
    years.CheckRest();
    CHECK(years.checked() > 1000);
    CHECK(years.cluster().secret_writes() >= c.least_writes);
    CHECK(years.cluster().secret_writes() <= c.most_writes);
  }
}

}  // namespace stentor::controller
