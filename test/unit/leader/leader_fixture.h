// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// One replica, its API server and its clocks.

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/leader/leader_elector.h"
#include "test/support/catch.h"
#include "test/support/lease_server.h"

namespace stentor::controller {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = LeaderChangeKind;

inline const model::ObjectKey kKey{"metallb-system", "stentor-controller"};
inline const std::string kSelf = "a_1";
inline const std::string kOther = "b_2";

inline LeaderOptions Options() {
  LeaderOptions options;
  options.lease = kKey;
  options.identity = kSelf;
  return options;
}

inline json OtherLease(const std::string& holder = kOther) {
  return {
      {"metadata", {{"namespace", kKey.name_space}, {"name", kKey.name}, {"labels", {{"l", "1"}}}}},
      {"spec",
       {{"holderIdentity", holder},
        {"leaseDurationSeconds", 15},
        {"leaseTransitions", 4},
        {"acquireTime", "2020-01-01T00:00:00.000000Z"},
        {"renewTime", "2020-01-01T00:00:00.000000Z"}}}};
}

// One replica and its API server. Requests wait until they are answered or lost.
struct Fixture {
  explicit Fixture(LeaderOptions options = Options(), double uniform = 0.5)
      : elector(std::move(options), [uniform] { return uniform; }) {}

  [[nodiscard]] Moment At() const { return {now, wall}; }

  void Carry(LeaderActions actions) {
    for (LeaderChange& change : actions.changes) {
      told.push_back(
          change.kind == Kind::kStopped     ? StrCat("stopped ", StopReasonName(change.reason))
          : change.kind == Kind::kNewHolder ? StrCat("newHolder ", change.holder)
                                            : std::string(LeaderChangeKindName(change.kind)));
      if (change.kind == Kind::kStopped) {
        CHECK_FALSE(elector.MayWrite(now));
      }
    }
    if (actions.request) {
      waiting = std::move(actions.request);
      sent.push_back(waiting->request.method);
    }
  }
  void Answer(const absl::StatusOr<kube::Response>& response) {
    REQUIRE(waiting);
    const std::uint64_t ticket = waiting->ticket;
    waiting.reset();
    Carry(elector.OnAnswer(At(), ticket, response));
  }
  void Answer(int code) { Answer(kube::Response{code, "{}", std::nullopt}); }
  // Answers all that is asked, at once.
  void Serve() {
    for (int i = 0; i < 10 && waiting; ++i) {
      Answer(server.Handle(waiting->request));
    }
    REQUIRE_FALSE(waiting);
  }
  void Poll() { Carry(elector.Poll(At())); }
  void Watch() { Carry(elector.OnLease(At(), server.Decoded())); }

  void Pass(Duration time) {
    now += time;
    wall += std::chrono::duration_cast<WallTime::duration>(time);
  }
  // Runs the timer for so long; requests are served, or stay unanswered.
  void RunFor(Duration time, bool serve) {
    const TimePoint end = now + time;
    for (int i = 0; i < 1000; ++i) {
      const auto due = elector.NextDeadline();
      if (!due || *due > end) {
        Pass(end - now);
        return;
      }
      Pass(std::max(*due - now, Duration::zero()));
      Poll();
      if (serve) {
        Serve();
      }
    }
    FAIL("the timer runs in circles");
  }
  void Lead() {
    Poll();
    Serve();
    REQUIRE(elector.MayWrite(now));
    told.clear();
    sent.clear();
  }
  std::vector<std::string> Told() { return std::exchange(told, {}); }
  std::vector<std::string> Sent() { return std::exchange(sent, {}); }
  [[nodiscard]] json Spec() const { return (*server.lease())["spec"]; }

  LeaderElector elector;
  test::LeaseServer server{kKey};
  TimePoint now{hours(1)};
  WallTime wall{std::chrono::sys_days(std::chrono::year(2026) / 1 / 31) + seconds(86340)};
  std::optional<LeaderRequest> waiting;
  std::vector<std::string> told;
  std::vector<std::string> sent;
};

using Texts = std::vector<std::string>;

}  // namespace stentor::controller
