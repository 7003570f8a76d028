// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string>

#include "test/support/catch.h"
#include "test/unit/leader/leader_fixture.h"

namespace stentor::controller {

TEST_CASE("Release", "[leader]") {
  Fixture f;
  SECTION("a leader stops writing, then gives the Lease up") {
    f.Lead();
    f.Pass(seconds(1));
    f.Carry(f.elector.Release(f.At()));
    CHECK(f.Told() == Texts{"stopped released"});
    CHECK(f.server.Holder() == kSelf);
    f.Serve();
    CHECK(f.elector.ReleaseComplete());
    CHECK(f.elector.NextDeadline() == std::nullopt);
    CHECK(f.Sent() == Texts{"PUT"});
    CHECK(f.Spec() == json{{"holderIdentity", ""},
                           {"leaseDurationSeconds", 1},
                           {"leaseTransitions", 0},
                           {"acquireTime", "2026-01-31T23:59:01.000000Z"},
                           {"renewTime", "2026-01-31T23:59:01.000000Z"}});
    f.Carry(f.elector.Release(f.At()));
    f.Watch();
    f.Poll();
    CHECK_FALSE(f.waiting);
  }
  SECTION("a renewal that is under way comes first") {
    f.Lead();
    f.Pass(seconds(2));
    f.Poll();
    const kube::Request renewal = f.waiting->request;
    f.Carry(f.elector.Release(f.At()));
    (void)f.server.Handle(renewal);
    f.Serve();
    CHECK(f.elector.ReleaseComplete());
    CHECK(f.server.Holder().empty());
  }
  SECTION("a renewal that is under way comes last") {
    f.Lead();
    f.Pass(seconds(2));
    f.Poll();
    const kube::Request renewal = f.waiting->request;
    f.Carry(f.elector.Release(f.At()));
    f.Serve();
    (void)f.server.Handle(renewal);
    CHECK(f.server.Holder().empty());
  }
  SECTION("a standby has nothing to give up") {
    f.server.Store(OtherLease());
    f.Poll();
    f.Serve();
    f.Carry(f.elector.Release(f.At()));
    CHECK(f.elector.ReleaseComplete());
    CHECK_FALSE(f.waiting);
    CHECK(f.Told() == Texts{"newHolder b_2"});
  }
  SECTION("a standby that claims waits for the answer, and gives up what it got") {
    f.server.Store(OtherLease(""));
    f.Poll();
    f.Answer(f.server.Handle(f.waiting->request));
    f.Carry(f.elector.Release(f.At()));
    CHECK_FALSE(f.elector.ReleaseComplete());
    f.Serve();
    CHECK(f.elector.ReleaseComplete());
    CHECK(f.server.Holder().empty());
    CHECK_FALSE(f.elector.Leads());
  }
  SECTION("a standby whose claim's answer is lost looks") {
    f.server.Store(OtherLease(""));
    f.Poll();
    f.Answer(f.server.Handle(f.waiting->request));
    (void)f.server.Handle(f.waiting->request);
    f.waiting.reset();
    f.Carry(f.elector.Release(f.At()));
    f.RunFor(seconds(5), false);
    f.RunFor(seconds(2), true);
    CHECK(f.elector.ReleaseComplete());
    CHECK(f.server.Holder().empty());
  }
  SECTION("a standby that does not know what became of its claim looks") {
    f.Poll();
    f.Answer(f.server.Handle(f.waiting->request));
    (void)f.server.Handle(f.waiting->request);
    f.Answer(absl::UnavailableError("connection reset"));
    f.Carry(f.elector.Release(f.At()));
    f.Serve();
    CHECK(f.elector.ReleaseComplete());
    CHECK(f.Sent() == Texts{"GET", "POST", "GET", "PUT"});
    CHECK(f.server.Holder().empty());
  }
  SECTION("one that was just started") {
    SECTION("before its first request") { f.Carry(f.elector.Release(f.At())); }
    SECTION("with its first request under way") {
      f.Poll();
      f.Carry(f.elector.Release(f.At()));
    }
    CHECK(f.elector.ReleaseComplete());
  }
  SECTION("another one that took the Lease keeps it") {
    f.Lead();
    f.server.Store(OtherLease());
    f.Carry(f.elector.Release(f.At()));
    f.Serve();
    CHECK(f.elector.ReleaseComplete());
    CHECK(f.server.Holder() == kOther);
  }
  SECTION("without an API server it ends, in time") {
    f.Lead();
    f.Carry(f.elector.Release(f.At()));
    f.RunFor(seconds(10) - milliseconds(1), false);
    CHECK_FALSE(f.elector.ReleaseComplete());
    f.RunFor(milliseconds(1), false);
    CHECK(f.elector.ReleaseComplete());
  }
  SECTION("whose right to it was taken ends soon, but believes it only the second time") {
    f.Lead();
    f.Carry(f.elector.Release(f.At()));
    f.Answer(403);
    f.RunFor(milliseconds(999), false);
    CHECK_FALSE(f.elector.ReleaseComplete());
    SECTION("it is refused again") {
      f.RunFor(milliseconds(1), false);
      f.Answer(403);
      CHECK(f.elector.ReleaseComplete());
      CHECK(f.server.Holder() == kSelf);
    }
    SECTION("the server was just starting") {
      f.RunFor(milliseconds(10), true);
      CHECK(f.elector.ReleaseComplete());
      CHECK(f.server.Holder().empty());
    }
  }
  SECTION("an API server that stutters is asked again soon") {
    f.Lead();
    f.Carry(f.elector.Release(f.At()));
    f.Answer(503);
    f.RunFor(milliseconds(200), true);
    CHECK(f.elector.ReleaseComplete());
    CHECK(f.server.Holder().empty());
  }
}

}  // namespace stentor::controller
