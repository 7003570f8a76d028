// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string>

#include "test/support/catch.h"
#include "test/unit/leader/leader_fixture.h"

namespace stentor::controller {

TEST_CASE("What a watch shows", "[leader]") {
  Fixture f;
  SECTION("a standby takes a released Lease with one request") {
    f.server.Store(OtherLease());
    f.Poll();
    f.Serve();
    f.Pass(milliseconds(100));
    f.server.Edit("holderIdentity", "");
    f.Sent();
    f.Watch();
    f.Serve();
    CHECK(f.Sent() == Texts{"PUT"});
    CHECK(f.elector.MayWrite(f.now));
  }
  SECTION("a standby that sees renewals need not ask") {
    f.server.Store(OtherLease());
    f.Poll();
    f.Serve();
    f.Sent();
    for (int i = 0; i < 20; ++i) {
      f.RunFor(seconds(2), true);
      f.server.Edit("renewTime", std::to_string(i));
      f.Watch();
    }
    CHECK(f.Sent().empty());
    CHECK_FALSE(f.elector.Leads());
  }
  SECTION("a standby whose watch is behind takes nothing") {
    f.server.Store(OtherLease());
    f.Poll();
    f.Serve();
    f.server.Edit("holderIdentity", "");
    const kube::Lease released = f.server.Decoded();
    f.server.Edit("holderIdentity", "c_3");
    f.Carry(f.elector.OnLease(f.At(), released));
    f.Serve();
    CHECK_FALSE(f.elector.Leads());
    CHECK(f.Told() == Texts{"newHolder b_2", "newHolder ", "newHolder c_3"});
  }
  SECTION("what is newer than the answer under way counts") {
    f.Poll();
    f.server.Store(OtherLease());
    const kube::Response old = f.server.Handle(f.waiting->request);
    f.server.Edit("renewTime", "1");
    f.Watch();
    f.Answer(old);
    CHECK_FALSE(f.waiting);
    f.RunFor(seconds(15), true);
    CHECK(f.elector.Leads());  // at once when it has expired, without a conflict
  }
  SECTION("so does what was created since") {
    f.Poll();
    const kube::Response none = f.server.Handle(f.waiting->request);
    f.server.Store(OtherLease());
    f.Watch();
    f.Answer(none);
    CHECK_FALSE(f.waiting);
    f.RunFor(seconds(15), true);
    CHECK(f.elector.Leads());
  }
  SECTION("a claim that was granted and overwritten is none") {
    f.server.Store(OtherLease(""));
    f.Poll();
    f.Answer(f.server.Handle(f.waiting->request));
    const kube::Response granted = f.server.Handle(f.waiting->request);
    f.server.Store(OtherLease());
    f.Watch();
    f.Answer(granted);
    CHECK(f.Told() == Texts{"newHolder b_2"});
  }
  SECTION("a renewal too") {
    f.Lead();
    f.Pass(seconds(2));
    f.Poll();
    const kube::Response granted = f.server.Handle(f.waiting->request);
    f.server.Store(OtherLease());
    f.Watch();
    f.Answer(granted);
    CHECK(f.Told() == Texts{"newHolder b_2", "stopped taken"});
  }
  SECTION("a leader stops at once when it shows another holder") {
    f.Lead();
    f.server.Store(OtherLease());
    f.Watch();
    CHECK(f.Told() == Texts{"newHolder b_2", "stopped taken"});
  }
  SECTION("a leader heeds neither old news nor itself") {
    f.server.Store(OtherLease(""));
    f.server.Edit("holderIdentity", kOther);
    const kube::Lease old = f.server.Decoded();
    f.server.Edit("holderIdentity", "");
    f.Lead();
    f.Carry(f.elector.OnLease(f.At(), old));
    f.Watch();
    CHECK(f.Told().empty());
    CHECK(f.Sent().empty());
  }
  SECTION("a leader asks where it can't tell old from new") {
    f.Lead();
    kube::Lease other = f.server.Decoded();
    other.resource_version = "abc";
    other.holder = kOther;
    f.Carry(f.elector.OnLease(f.At(), other));
    CHECK(f.elector.MayWrite(f.now));
    f.Serve();
    CHECK(f.Sent() == Texts{"GET", "PUT"});
    CHECK(f.Told().empty());
  }
  SECTION("a leader creates a deleted Lease again") {
    f.Lead();
    f.server.Delete();
    f.Carry(f.elector.OnLeaseDeleted(f.At()));
    f.Serve();
    CHECK(f.server.Holder() == kSelf);
    CHECK(f.Told().empty());
  }
  SECTION("a standby does so when its holder would have expired, had it been renewed just then") {
    f.server.Store(OtherLease());
    f.Poll();
    f.Serve();
    f.RunFor(seconds(5), true);
    f.server.Delete();
    f.Carry(f.elector.OnLeaseDeleted(f.At()));
    f.Serve();
    f.RunFor(seconds(15) - milliseconds(1), true);
    CHECK_FALSE(f.elector.Leads());
    f.RunFor(milliseconds(1), true);
    CHECK(f.elector.Leads());
  }
}

}  // namespace stentor::controller
