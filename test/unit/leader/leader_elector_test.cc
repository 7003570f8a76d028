// SPDX-License-Identifier: Apache-2.0
#include "controller/leader/leader_elector.h"

#include <chrono>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/leader/leader_fixture.h"

namespace stentor::controller {

TEST_CASE("The first replica creates the Lease and leads", "[leader]") {
  Fixture f;
  CHECK_FALSE(f.elector.MayWrite(f.now));
  f.Poll();
  f.Serve();
  CHECK(f.Sent() == Texts{"GET", "POST"});
  CHECK(f.Told() == Texts{"newHolder a_1", "started"});
  CHECK(f.elector.MayWrite(f.now));
  CHECK(f.elector.Leads());
  CHECK(f.Spec() == json{{"holderIdentity", kSelf},
                         {"leaseDurationSeconds", 15},
                         {"leaseTransitions", 0},
                         {"acquireTime", "2026-01-31T23:59:00.000000Z"},
                         {"renewTime", "2026-01-31T23:59:00.000000Z"}});
}

TEST_CASE("A leader renews every retry period, with one request", "[leader]") {
  Fixture f;
  f.Lead();
  f.RunFor(seconds(20), true);
  CHECK(f.Sent() == Texts(10, "PUT"));
  CHECK(f.Told().empty());
  CHECK(f.Spec()["acquireTime"] == "2026-01-31T23:59:00.000000Z");
  CHECK(f.Spec()["renewTime"] == "2026-01-31T23:59:20.000000Z");
  CHECK(f.Spec()["leaseTransitions"] == 0);
}

TEST_CASE("Who may be replaced, and when", "[leader]") {
  struct Case {
    const char* name;
    const char* holder;
    int duration;
    std::string predecessor;
    Duration taken_after;
  };
  const auto c = GENERATE(values<Case>({
      {"nobody holds it", "", 1, "", seconds(0)},
      {"this very replica", "a_1", 15, "", seconds(0)},
      {"another one, however old its renewTime", "b_2", 15, "", seconds(15)},
      {"another one that wants longer", "b_2", 40, "", seconds(40)},
      {"another one that says no duration", "b_2", 0, "", seconds(15)},
      {"an earlier run in this pod", "a_0", 15, "a_", seconds(0)},
      {"an earlier run of this name, but pods are not known", "a_0", 15, "", seconds(15)},
      {"a pod whose name begins like this one's", "aa_0", 15, "a_", seconds(15)},
  }));
  DYNAMIC_SECTION(c.name) {
    LeaderOptions options = Options();
    options.predecessor_prefix = c.predecessor;
    Fixture f(options);
    json lease = OtherLease(c.holder);
    lease["spec"]["leaseDurationSeconds"] = c.duration;
    f.server.Store(lease);
    f.Poll();
    f.Serve();
    if (c.taken_after > Duration::zero()) {
      CHECK_FALSE(f.elector.Leads());
      f.RunFor(c.taken_after - milliseconds(1), true);
      CHECK_FALSE(f.elector.Leads());
      CHECK(f.server.Holder() == c.holder);
      f.RunFor(milliseconds(1), true);
    }
    CHECK(f.elector.MayWrite(f.now));
    const bool same = c.holder == kSelf;
    CHECK(f.Spec()["leaseTransitions"] == (same ? 4 : 5));
    CHECK((f.Spec()["acquireTime"] == "2020-01-01T00:00:00.000000Z") == same);
    CHECK((*f.server.lease())["metadata"]["labels"] == json{{"l", "1"}});
  }
}

TEST_CASE("A standby waits from when it saw the Lease change, by its own clock", "[leader]") {
  Fixture f;
  f.server.Store(OtherLease());
  f.Poll();
  f.Serve();
  for (int i = 0; i < 10; ++i) {
    f.RunFor(seconds(10), true);
    f.server.Edit("renewTime", "2020-01-01T00:00:00.000000Z");  // its clock stands still
    f.wall += hours(i % 2 == 0 ? 24 : -48);                     // ours jumps
  }
  CHECK_FALSE(f.elector.Leads());
  f.RunFor(seconds(15) + Options().retry_period * 2, true);
  CHECK(f.elector.Leads());
}

TEST_CASE("A standby's attempts are spread", "[leader]") {
  for (const auto& [uniform, wait] :
       {std::pair{0.0, milliseconds(2000)}, std::pair{0.5, milliseconds(3200)},
        std::pair{1.0, milliseconds(4400)}}) {
    Fixture f(Options(), uniform);
    f.server.Store(OtherLease());
    f.Poll();
    f.Serve();
    CHECK(f.elector.NextDeadline() == f.now + wait);
  }
}

TEST_CASE("A leader without answers stops in time", "[leader]") {
  Fixture f;
  f.Lead();
  const TimePoint renewed = f.now;
  f.RunFor(seconds(10) - milliseconds(1), false);
  CHECK(f.elector.MayWrite(f.now));
  CHECK(f.elector.NextDeadline() == renewed + seconds(10));
  f.Pass(milliseconds(1));
  CHECK_FALSE(f.elector.MayWrite(f.now));  // before anybody polls
  f.Poll();
  CHECK(f.Told() == Texts{"trouble", "stopped notRenewed"});
  CHECK_FALSE(f.elector.Leads());
  // The API server is back, nobody else came: it leads again.
  f.RunFor(seconds(10), true);
  CHECK(f.Told() == Texts{"recovered", "started"});
  CHECK(f.Spec()["leaseTransitions"] == 0);
}

TEST_CASE("A renewal counts from when it was sent", "[leader]") {
  Fixture f;
  f.Lead();
  f.Pass(seconds(2));
  f.Poll();
  f.Pass(seconds(4));
  f.Answer(f.server.Handle(f.waiting->request));
  CHECK(f.elector.MayWrite(f.now + seconds(6) - milliseconds(1)));
  CHECK_FALSE(f.elector.MayWrite(f.now + seconds(6)));
}

TEST_CASE("An answer that comes too late to build on is followed by another renewal", "[leader]") {
  Fixture f;
  f.Lead();
  f.Pass(seconds(2));
  f.Poll();
  const kube::Response stored = f.server.Handle(f.waiting->request);
  f.Pass(seconds(10));  // the process is paused
  f.Answer(stored);
  CHECK(f.Told() == Texts{"stopped notRenewed"});
  CHECK_FALSE(f.elector.MayWrite(f.now));
  f.Serve();
  CHECK(f.Told() == Texts{"started"});
}

TEST_CASE("A renewal whose answer waited beyond the deadline begins another term", "[leader]") {
  LeaderOptions options = Options();
  options.request_timeout = seconds(60);
  Fixture f(options);
  f.Lead();
  f.Pass(seconds(2));
  f.Poll();
  f.Pass(seconds(9));  // 11 s after the one before; the renewal itself is young enough
  CHECK_FALSE(f.elector.MayWrite(f.now));
  f.Answer(f.server.Handle(f.waiting->request));
  CHECK(f.Told() == Texts{"stopped notRenewed"});
  CHECK_FALSE(f.elector.MayWrite(f.now));
  f.Serve();
  CHECK(f.Told() == Texts{"started"});
}

TEST_CASE("A standby whose claim is answered too late asks again before it leads", "[leader]") {
  LeaderOptions options = Options();
  options.request_timeout = seconds(60);
  Fixture f(options);
  f.Poll();
  f.Answer(f.server.Handle(f.waiting->request));
  const kube::Response granted = f.server.Handle(f.waiting->request);
  f.Pass(seconds(10));
  f.Answer(granted);
  CHECK(f.Told() == Texts{"newHolder a_1"});
  f.Serve();
  CHECK(f.Told() == Texts{"started"});
}

TEST_CASE("A conflict is reread at once", "[leader]") {
  Fixture f;
  f.Lead();
  SECTION("a label was added: it still leads, and keeps it") {
    json lease = *f.server.lease();
    lease["metadata"]["labels"] = {{"new", "1"}};
    f.server.Store(lease);
    f.RunFor(seconds(2), true);
    CHECK(f.Sent() == Texts{"PUT", "GET", "PUT"});
    CHECK(f.Told().empty());
    CHECK((*f.server.lease())["metadata"]["labels"] == json{{"new", "1"}});
  }
  SECTION("another one holds it") {
    f.server.Store(OtherLease());
    f.RunFor(seconds(2), true);
    CHECK(f.Sent() == Texts{"PUT", "GET"});
    CHECK(f.Told() == Texts{"newHolder b_2", "stopped taken"});
    CHECK(f.server.Holder() == kOther);
  }
  SECTION("somebody cleared the holder: it has to be acquired anew") {
    f.server.Edit("holderIdentity", "");
    f.RunFor(seconds(2), true);
    CHECK(f.Told() == Texts{"newHolder ", "stopped taken", "newHolder a_1", "started"});
    CHECK(f.Spec()["leaseTransitions"] == 1);
  }
  SECTION("somebody deleted it") {
    f.server.Delete();
    f.RunFor(seconds(2), true);
    CHECK(f.Sent() == Texts{"PUT", "GET", "POST"});
    CHECK(f.Told().empty());
    CHECK(f.server.Holder() == kSelf);
  }
  SECTION("one conflict after the other: it waits for the next attempt") {
    f.Pass(seconds(2));
    f.Poll();
    for (int i = 0; i < 3; ++i) {
      f.Answer(409);
      f.Answer(f.server.Handle(f.waiting->request));
    }
    f.Answer(409);
    CHECK_FALSE(f.waiting);
    CHECK(f.elector.NextDeadline() == f.now + seconds(2));
    CHECK(f.elector.MayWrite(f.now));
  }
}

TEST_CASE("Two that create at once: one leads", "[leader]") {
  Fixture f;
  f.Poll();
  f.Answer(f.server.Handle(f.waiting->request));
  CHECK(f.waiting->request.method == "POST");
  f.server.Store(OtherLease());
  f.Serve();
  CHECK(f.Sent() == Texts{"GET", "POST", "GET"});
  CHECK_FALSE(f.elector.Leads());
}

TEST_CASE("Without the right to Leases a replica leads alone", "[leader]") {
  Fixture f;
  f.Poll();
  const bool forbidden = GENERATE(true, false);
  CAPTURE(forbidden);
  if (forbidden) {
    f.Answer(403);
    CHECK(f.Told().empty());  // believed the second time
    CHECK(f.elector.NextDeadline() == f.now + seconds(1));
    f.RunFor(seconds(1), false);
    f.Answer(403);
  } else {
    for (int i = 0; i < 2; ++i) {
      f.RunFor(seconds(1), false);
      f.Answer(404);
      CHECK(f.waiting->request.method == "POST");
      f.Answer(404);  // the API has no such kind
    }
  }
  CHECK(f.Told() == Texts{"started", "withoutLease"});
  CHECK(f.elector.MayWrite(f.now + hours(1000)));
  // It asks later and later, and says nothing more.
  f.waiting.reset();
  f.Sent();
  for (int i = 0; i < 100 && f.now < TimePoint(hours(2)); ++i) {
    f.Pass(*f.elector.NextDeadline() - f.now);
    f.Poll();
    if (f.waiting) {
      f.Answer(403);
    }
  }
  CHECK(f.Told().empty());
  CHECK(f.Sent().size() < 30);
  SECTION("until it is allowed: it goes on") {
    f.RunFor(seconds(301), true);
    CHECK(f.Told() == Texts{"newHolder a_1", "withLease"});
    CHECK(f.elector.MayWrite(f.now));
    CHECK_FALSE(f.elector.MayWrite(f.now + seconds(10)));
  }
  SECTION("until it sees that there is another one: it stops") {
    f.server.Store(OtherLease());
    f.RunFor(seconds(301), true);
    CHECK(f.Told() == Texts{"newHolder b_2", "stopped taken", "newHolder a_1", "started"});
  }
  SECTION("the same by a watch") {
    f.server.Store(OtherLease());
    f.Watch();
    CHECK(f.Told() == Texts{"newHolder b_2", "stopped taken"});
  }
  SECTION("until it is asked to stop") {
    f.Carry(f.elector.Release(f.At()));
    CHECK(f.Told() == Texts{"stopped released"});
    CHECK(f.elector.ReleaseComplete());
    CHECK_FALSE(f.elector.MayWrite(f.now));
  }
}

TEST_CASE("A refusal of what was allowed is trouble, not permission", "[leader]") {
  Fixture f;
  SECTION("of a leader: it stops in time") {
    f.Lead();
    for (int i = 0; i < 100 && f.elector.Leads(); ++i) {
      f.RunFor(seconds(1), false);
      if (f.waiting) {
        f.Answer(403);
      }
    }
    CHECK(f.Told() == Texts{"trouble", "stopped notRenewed"});
  }
  SECTION("of a standby") {
    f.server.Store(OtherLease());
    f.Poll();
    f.Serve();
    for (int i = 0; i < 100; ++i) {
      f.RunFor(seconds(1), false);
      if (f.waiting) {
        f.Answer(403);
      }
    }
    CHECK(f.Told() == Texts{"newHolder b_2", "trouble"});
  }
  SECTION("unknown credentials are no refusal of Leases") {
    f.Poll();
    for (int i = 0; i < 10; ++i) {
      f.Answer(401);
      f.RunFor(seconds(4), false);
    }
    CHECK(f.Told() == Texts{"trouble"});
    CHECK_FALSE(f.elector.Leads());
  }
}

TEST_CASE("Trouble is told once for each kind, and its end", "[leader]") {
  Fixture f;
  f.server.Store(OtherLease(""));
  const std::vector<absl::StatusOr<kube::Response>> answers = {
      absl::UnavailableError("refused"),
      kube::Response{503, "", std::nullopt},
      kube::Response{429, "", seconds(1)},
      kube::Response{200, "not JSON", std::nullopt},
      kube::Response{200, std::string(2000, '['), std::nullopt},
      kube::Response{200, "{}", std::nullopt},
      kube::Response{200, R"({"metadata":{"name":"n","resourceVersion":7}})", std::nullopt}};
  for (const auto& answer : answers) {
    f.RunFor(seconds(4), false);
    f.Answer(answer);
    CHECK_FALSE(f.elector.Leads());
  }
  CHECK(f.Told() == Texts{"trouble", "trouble", "trouble"});  // Unavailable, DataLoss, Invalid
  f.RunFor(seconds(4), true);
  CHECK(f.Told() == Texts{"recovered", "newHolder a_1", "started"});
}

TEST_CASE("Retry-After is heeded as far as the Lease allows", "[leader]") {
  struct Case {
    const char* name;
    Duration asked;
    Duration waited;
  };
  const auto c = GENERATE(values<Case>({{"shorter than the next attempt", seconds(1), seconds(2)},
                                        {"longer", seconds(3), seconds(3)},
                                        {"too long", seconds(60), milliseconds(4400)}}));
  DYNAMIC_SECTION(c.name) {
    Fixture f;
    f.Lead();
    f.Pass(seconds(2));
    f.Poll();
    f.Answer(kube::Response{429, "", c.asked});
    CHECK(f.elector.NextDeadline() == f.now + c.waited);
  }
}

TEST_CASE("A claim whose answer was lost is found again", "[leader]") {
  Fixture f;
  f.server.Store(OtherLease(""));
  f.Poll();
  f.Answer(f.server.Handle(f.waiting->request));
  (void)f.server.Handle(f.waiting->request);
  f.waiting.reset();
  f.RunFor(seconds(5), false);
  CHECK_FALSE(f.elector.Leads());
  f.RunFor(seconds(5), true);
  CHECK(f.elector.MayWrite(f.now));
  CHECK(f.Spec()["leaseTransitions"] == 5);
}

TEST_CASE("A claim that was stored for somebody else is none", "[leader]") {
  Fixture f;
  f.Poll();
  f.Answer(f.server.Handle(f.waiting->request));
  f.server.Store(OtherLease());
  f.Answer(kube::Response{201, f.server.lease()->dump(), std::nullopt});
  CHECK(f.Told() == Texts{"trouble"});
  CHECK_FALSE(f.elector.Leads());
}

TEST_CASE("Answers to what is not asked any more change nothing", "[leader]") {
  Fixture f;
  f.Poll();
  const std::uint64_t ticket = f.waiting->ticket;
  f.Carry(f.elector.OnAnswer(f.At(), ticket + 1, kube::Response{403, "", std::nullopt}));
  f.Serve();
  f.Told();
  f.Carry(f.elector.OnAnswer(f.At(), ticket, kube::Response{403, "", std::nullopt}));
  f.Carry(f.elector.OnAnswer(f.At(), ticket, absl::UnavailableError("late")));
  CHECK(f.Told().empty());
  CHECK(f.elector.MayWrite(f.now));
}

TEST_CASE("Options", "[leader]") {
  struct Case {
    const char* name;
    std::function<void(LeaderOptions&)> change;
    bool valid;
  };
  const auto c = GENERATE(values<Case>({
      {"defaults", [](LeaderOptions&) {}, true},
      {"no identity", [](LeaderOptions& o) { o.identity = ""; }, false},
      {"no namespace", [](LeaderOptions& o) { o.lease.name_space = ""; }, false},
      {"deadline as long as the lease", [](LeaderOptions& o) { o.renew_deadline = seconds(15); },
       false},
      {"period too near to the deadline", [](LeaderOptions& o) { o.retry_period = seconds(9); },
       false},
      {"no period", [](LeaderOptions& o) { o.retry_period = seconds(0); }, false},
      {"half a second", [](LeaderOptions& o) { o.lease_duration = milliseconds(15500); }, false},
      {"beyond what a Lease can say", [](LeaderOptions& o) { o.lease_duration = hours(1 << 20); },
       false},
      {"no timeout", [](LeaderOptions& o) { o.request_timeout = seconds(0); }, false},
      {"negative jitter", [](LeaderOptions& o) { o.jitter_factor = -1; }, false},
  }));
  DYNAMIC_SECTION(c.name) {
    LeaderOptions options = Options();
    c.change(options);
    CHECK(ValidateLeaderOptions(options).ok() == c.valid);
  }
  CHECK(LeaderIdentity("controller-7d4b", 0xabc) == "controller-7d4b_0000000000000abc");
}

}  // namespace stentor::controller
