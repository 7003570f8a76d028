// SPDX-License-Identifier: Apache-2.0

/// \file
/// What a ServiceL2StatusKeeper makes of lost answers, late watches and others who are faster.

#include <chrono>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/speaker_status/l2_bench.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("An answer that is lost", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  const bool watch = GENERATE(true, false);
  DYNAMIC_SECTION("the watch works: " << watch) {
    bench.speakers[0].watch = watch;
    bench.lose_answers = true;
    SECTION("of the creation: no second object") {
      bench.keeper().SetAnnounced({{kWeb, {}}});
      bench.Run(1s);
      CHECK(bench.server.names.size() == 1);
      bench.lose_answers = false;
      bench.Run(40s);
      CHECK(bench.Stored(kWeb) == Texts{"n1"});
    }
    SECTION("of the creation, and it is announced no more") {
      bench.keeper().SetAnnounced({{kWeb, {}}});
      bench.Run(1s);
      bench.lose_answers = false;
      bench.keeper().SetAnnounced({});
      bench.Run(40s);
      if (!watch) {
        bench.speakers[0].watch = true;
        bench.Sync();
        bench.Run(1s);
      }
      CHECK(bench.Stored(kWeb).empty());
    }
    SECTION("of the status") {
      bench.lose_answers = false;
      bench.keeper().SetAnnounced({{kWeb, {}}});
      bench.Run(1s);
      bench.lose_answers = true;
      bench.keeper().Announce(kWeb, {"eth0"});
      bench.Run(1s);
      bench.lose_answers = false;
      bench.keeper().Announce(kWeb, {"eth1"});
      bench.Run(2min);
      CHECK(bench.Stored(kWeb) == Texts{"n1: eth1"});
    }
    SECTION("of a deletion") {
      bench.lose_answers = false;
      bench.keeper().SetAnnounced({{kWeb, {}}});
      bench.Run(1s);
      bench.lose_answers = true;
      bench.keeper().SetAnnounced({});
      bench.Run(1s);
      bench.lose_answers = false;
      bench.Run(40s);
      CHECK(bench.Stored(kWeb).empty());
    }
    bench.TakeRequests();
    bench.Run(10min);
    CHECK(bench.TakeRequests() <= (watch ? 0 : 11));
    CHECK(bench.keeper().pending() <= 1);
  }
}

TEST_CASE("Somebody was faster", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().SetAnnounced({{kWeb, {}}});
  bench.Run(10s);
  bench.TakeRequests();
  SECTION("the watch is late: it is read again") {
    bench.speakers[0].watch = false;
    bench.server.objects.Edit(bench.OnlyName(), "/metadata/labels/a", "b");
    bench.keeper().Announce(kWeb, {"eth0"});
    bench.Run(2s);
    CHECK(bench.Stored(kWeb) == Texts{"n1: eth0"});
    CHECK(bench.TakeRequests() == 3);
  }
  SECTION("the watch shows it meanwhile: it is not read") {
    bench.hold = true;
    bench.keeper().Announce(kWeb, {"eth0"});
    bench.Run(0s);
    REQUIRE(bench.held.size() == 1);
    bench.Edit(bench.OnlyName(), "/metadata/labels/a", "b");
    bench.hold = false;
    bench.AnswerHeld();
    bench.Run(2s);
    CHECK(bench.Stored(kWeb) == Texts{"n1: eth0"});
    CHECK(bench.verbs["GET"] == 0);
  }
  SECTION("it was deleted, and the watch is late") {
    bench.speakers[0].watch = false;
    bench.server.Delete(bench.OnlyName());
    bench.keeper().Announce(kWeb, {"eth0"});
    bench.Run(2s);
    CHECK(bench.Stored(kWeb) == Texts{"n1: eth0"});
    CHECK(bench.speakers[0].notices.empty());
  }
  SECTION("what is to be deleted is gone") {
    bench.speakers[0].watch = false;
    bench.server.Delete(bench.OnlyName());
    bench.keeper().SetAnnounced({});
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 2);  // it makes sure
    CHECK(bench.keeper().Known(kWeb) == false);
  }
  SECTION("another object has its name now") {
    bench.speakers[0].watch = false;
    const std::string name = bench.OnlyName();
    bench.server.Delete(name);
    bench.server.Store(L2Object(name, kDns, "n2"));
    bench.keeper().SetAnnounced({});
    bench.Run(1h);
    CHECK(bench.Stored(kDns) == Texts{"n2"});
    CHECK(bench.TakeRequests() <= 3);
  }
}

TEST_CASE("The name is taken", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.hold = true;
  bench.keeper().SetAnnounced({{kWeb, {}}});
  bench.Run(0s);
  REQUIRE(bench.held.size() == 1);
  bench.speakers[0].watch = false;
  bench.server.Store(L2Object(L2Server::NameOf(bench.held[0].request.request), kDns, "n2"));
  bench.hold = false;
  bench.AnswerHeld();
  bench.Run(2s);
  CHECK(bench.Stored(kWeb) == Texts{"n1"});
  CHECK(bench.Stored(kDns) == Texts{"n2"});
}

TEST_CASE("Created while the watch was broken, and gone before it was back", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.speakers[0].watch = false;
  bench.keeper().SetAnnounced({{kWeb, {}}});
  bench.Run(1s);
  const std::string name = bench.OnlyName();
  SECTION("it is still there") {
    bench.Run(10min);
    CHECK(bench.verbs["GET"] <= 11);
    CHECK(bench.OnlyName() == name);
  }
  SECTION("it is gone") {
    bench.server.Delete(name);
    bench.speakers[0].watch = true;
    bench.Sync();  // which shows nothing of it
    bench.Run(15s);
    CHECK(bench.Stored(kWeb) == Texts{"n1"});
  }
}

}  // namespace stentor::speaker
