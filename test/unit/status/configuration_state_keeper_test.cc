// SPDX-License-Identifier: Apache-2.0
#include "common/status/configuration_state_keeper.h"

#include <string>

#include "common/kube/codec.h"
#include "test/support/catch.h"
#include "test/unit/status/state_bench.h"

namespace stentor::status {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const absl::Status kBad = absl::InvalidArgumentError("missing pool name");

}  // namespace

TEST_CASE("The object is made as MetalLB makes it", "[status]") {
  struct Case {
    const char* name;
    ConfigurationStateOptions options;
    const char* object;
    json labels;
  };
  const auto c = GENERATE(values<Case>({
      {"controller",
       ControllerState("ns"),
       "controller",
       {{"metallb.io/component-type", "controller"}}},
      {"speaker",
       SpeakerState("ns", "node-1"),
       "speaker-node-1",
       {{"metallb.io/component-type", "speaker"}, {"metallb.io/node-name", "node-1"}}},
      {"speaker of a node whose name is longer than a label",
       SpeakerState("ns", std::string(64, 'n')),
       "speaker-nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
       {{"metallb.io/component-type", "speaker"}}},
  }));
  DYNAMIC_SECTION(c.name) {
    ConfigurationStateKeeper keeper(c.options, [] { return 0.5; });
    keeper.SetOwner({"pod-1", "uid-1"});
    keeper.SetCondition(ReconcilerCondition(c.options.types.front(), absl::OkStatus()), {});
    keeper.Gone();
    const StatusActions actions = keeper.Poll(TimePoint(1h));
    REQUIRE(actions.requests.size() == 1);
    const kube::Request& request = actions.requests[0].request;
    CHECK(request.method == "POST");
    CHECK(request.path ==
          "/apis/metallb.io/v1beta1/namespaces/ns/configurationstates?fieldManager=stentor");
    CHECK(json::parse(request.body) == json({{"apiVersion", "metallb.io/v1beta1"},
                                             {"kind", "ConfigurationState"},
                                             {"metadata",
                                              {{"name", c.object},
                                               {"namespace", "ns"},
                                               {"labels", c.labels},
                                               {"ownerReferences",
                                                {{{"apiVersion", "v1"},
                                                  {"kind", "Pod"},
                                                  {"name", "pod-1"},
                                                  {"uid", "uid-1"}}}}}}}));
  }
}

TEST_CASE("A start without an object: made, then its status, and silence", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(1h);
  CHECK(bench.TakeLog() == Log{"POST", "PATCH status"});
  CHECK(bench.Status() == json::parse(R"({"result": "Valid", "errorSummary": "", "conditions": [
      {"type": "poolReconcilerValid", "status": "True", "reason": "Reconciled", "message": "",
       "lastTransitionTime": "2026-01-01T00:00:00Z"}]})"));
  CHECK(bench.notices.empty());
  CHECK_FALSE(bench.keeper.NextDeadline());
}

TEST_CASE("The status write is a merge patch of the version that was seen", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(kBad);
  bench.Run(0s);
  CHECK(bench.last.request.method == "PATCH");
  CHECK(bench.last.request.content_type == "application/merge-patch+json");
  CHECK(bench.last.request.path ==
        "/apis/metallb.io/v1beta1/namespaces/ns/configurationstates/controller/status"
        "?fieldManager=stentor");
  CHECK(json::parse(bench.last.request.body) == json::parse(R"({
      "metadata": {"resourceVersion": "101"},
      "status": {"result": "Invalid", "errorSummary": "configuration error: missing pool name",
        "conditions": [{"type": "poolReconcilerValid", "status": "False",
          "reason": "ConfigurationError", "message": "configuration error: missing pool name",
          "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})"));
}

TEST_CASE("A restart writes nothing where nothing has changed", "[status]") {
  StateBench first;
  first.Sync();
  first.Verdict(absl::OkStatus());
  first.Run(0s);

  StateBench second;
  second.server.Store(*first.Object());
  second.Sync();
  second.Advance(24h);
  SECTION("the same verdict") {
    second.Verdict(absl::OkStatus());
    second.Run(1h);
    CHECK(second.TakeLog().empty());
  }
  SECTION("a remark is added: the time of the verdict stays") {
    second.Verdict(absl::OkStatus());
    second.Remark("x");
    second.Run(1h);
    CHECK(second.Short() == "Valid poolReconcilerValid=True bgpAnnounced=False");
    const json status = second.Status();
    for (const json& condition : status["conditions"]) {
      CHECK(
          condition["lastTransitionTime"] ==
          (condition["type"] == "bgpAnnounced" ? "2026-01-02T00:00:00Z" : "2026-01-01T00:00:00Z"));
    }
  }
  SECTION("another verdict: its time is new") {
    second.Verdict(kBad);
    second.Run(1h);
    CHECK(second.Status()["conditions"][0]["lastTransitionTime"] == "2026-01-02T00:00:00Z");
  }
  SECTION("the watch comes after the verdict") {
    StateBench third;
    third.server.Store(*first.Object());
    third.Advance(24h);
    third.Verdict(absl::OkStatus());
    third.Run(1s);
    third.Sync();
    third.Run(1h);
    CHECK(third.TakeLog().empty());
  }
}

TEST_CASE("The time of transition changes with the status only", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(kBad);
  bench.Run(10s);
  bench.Verdict(absl::InvalidArgumentError("another error"));
  bench.Run(10s);
  json condition = bench.Status()["conditions"][0];
  CHECK(condition["message"] == "configuration error: another error");
  CHECK(condition["lastTransitionTime"] == "2026-01-01T00:00:00Z");

  bench.Verdict(absl::OkStatus());
  bench.Run(10s);
  condition = bench.Status()["conditions"][0];
  CHECK(condition["lastTransitionTime"] == "2026-01-01T00:00:20Z");
  CHECK(bench.Status()["result"] == "Valid");
  CHECK(bench.Status()["errorSummary"] == "");
}

TEST_CASE("Turned and back while nothing could be written: nothing has changed", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(0s);
  (void)bench.TakeLog();
  bench.Advance(100ms);
  bench.Verdict(kBad);
  bench.Run(100ms);
  bench.Verdict(absl::OkStatus());
  bench.Run(1h);
  CHECK(bench.TakeLog().empty());
  CHECK(bench.Status()["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z");
}

TEST_CASE("Turned back while a write is under way: its time is its own", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(10s);
  bench.Verdict(kBad);
  const StatusActions under_way = bench.keeper.Poll(bench.now);
  REQUIRE(under_way.requests.size() == 1);
  bench.Advance(5s);
  bench.Verdict(absl::OkStatus());
  bench.keeper.OnAnswer(bench.now, under_way.requests[0].ticket,
                        bench.server.Handle(under_way.requests[0].request));
  CHECK(bench.Short() == "Invalid poolReconcilerValid=False");
  bench.Run(10s);
  CHECK(bench.Short() == "Valid poolReconcilerValid=True");
  CHECK(bench.Status()["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:15Z");
}

TEST_CASE("Changes come to one write a second, the first at once, the last one true", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(5s);
  (void)bench.TakeLog();
  for (int i = 0; i < 6000; ++i) {  // for a minute
    bench.Verdict(absl::InvalidArgumentError("error " + std::to_string(i)));
    bench.Run(10ms);
    if (i == 0) {
      CHECK(bench.log.size() == 1);
    }
  }
  bench.Run(1s);
  CHECK(bench.log.size() >= 60);
  CHECK(bench.log.size() <= 62);
  CHECK(bench.Status()["errorSummary"] == "configuration error: error 5999");
}

TEST_CASE("What others change is restored, what is theirs stays", "[status]") {
  StateBench bench;
  bench.keeper.SetOwner({"pod-1", "uid-1"});
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(5s);
  const json before = bench.Status();
  (void)bench.TakeLog();
  struct Case {
    const char* name;
    const char* pointer;
    json value;
    Log want;
  };
  const auto c = GENERATE(values<Case>({
      {"result", "/status/result", "Invalid", {"PATCH status"}},
      {"result removed", "/status/result", nullptr, {"PATCH status"}},
      {"errorSummary", "/status/errorSummary", "x", {"PATCH status"}},
      {"errorSummary removed, which says the same", "/status/errorSummary", nullptr, {}},
      {"a condition's status", "/status/conditions/0/status", "False", {"PATCH status"}},
      {"a condition's message", "/status/conditions/0/message", "x", {"PATCH status"}},
      {"a condition's reason", "/status/conditions/0/reason", "X", {"PATCH status"}},
      {"a condition's time, which nobody can know better",
       "/status/conditions/0/lastTransitionTime",
       "2025-01-01T00:00:00Z",
       {}},
      {"all conditions", "/status/conditions", json::array(), {"PATCH status"}},
      {"a condition of ours that is not set",
       "/status/conditions/1",
       {{"type", "bgpAnnounced"}, {"status", "False"}},
       {"PATCH status"}},
      {"the whole status", "/status", nullptr, {"PATCH status"}},
      {"conditions of a wrong type", "/status/conditions", "x", {"PATCH status"}},
      {"a condition of another's",
       "/status/conditions/1",
       {{"type", "example.com/theirs"}, {"status", "False"}, {"reason", "ConfigurationError"}},
       {}},
      {"a label of ours", "/metadata/labels/metallb.io~1component-type", "x", {"PATCH"}},
      {"a label of another's", "/metadata/labels/theirs", "x", {}},
      {"an annotation", "/metadata/annotations", {{"a", "b"}}, {}},
      {"the owner", "/metadata/ownerReferences", json::array(), {"PATCH"}},
      {"another Pod besides",
       "/metadata/ownerReferences",
       {{{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", "old"}, {"uid", "old"}},
        {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", "pod-1"}, {"uid", "uid-1"}}},
       {"PATCH"}},
      {"another owner, not a Pod",
       "/metadata/ownerReferences/1",
       {{"apiVersion", "example.com/v1"}, {"kind", "Operator"}, {"name", "o"}, {"uid", "o"}},
       {}},
  }));
  DYNAMIC_SECTION(c.name) {
    bench.Edit(c.pointer, c.value);
    const json edited = *bench.Object();
    bench.Run(1h);
    CHECK(bench.TakeLog() == c.want);
    if (c.want.empty()) {
      CHECK(*bench.Object() == edited);
    } else {
      CHECK(bench.Status() == before);
      CHECK(bench.Object()->at("metadata").at("labels") ==
            json{{"metallb.io/component-type", "controller"}});
      CHECK(bench.Object()->at("metadata").at("ownerReferences").size() == 1);
    }
  }
}

TEST_CASE("Conditions of others are carried along, and count for nothing", "[status]") {
  StateBench bench;
  const json theirs = {{"type", "theirs"},
                       {"status", "False"},
                       {"reason", "ConfigurationError"},
                       {"message", "m"},
                       {"lastTransitionTime", "2025-01-01T00:00:00Z"},
                       {"observedGeneration", 7}};
  bench.server.Store({{"metadata", {{"name", "controller"}, {"namespace", "ns"}}},
                      {"status", {{"result", "Invalid"}, {"conditions", {theirs}}}}});
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(10s);
  CHECK(bench.Short() == "Valid poolReconcilerValid=True theirs=False");
  CHECK(bench.Status()["conditions"][1] == theirs);

  SECTION("unless the server refuses them") {
    bench.faults = [](const kube::Request& request) -> std::optional<Answer> {
      if (request.body.find("theirs") != std::string::npos) {
        return test::CustomResourceServer::Failure(422, "Invalid", "conditions[1]: no");
      }
      return std::nullopt;
    };
    bench.Verdict(kBad);
    bench.Run(10s);
    CHECK(bench.Short() == "Invalid poolReconcilerValid=False");
    CHECK(bench.notices.empty());
  }
}

TEST_CASE("An object that MetalLB left is taken over", "[status]") {
  StateBench bench;
  bench.keeper.SetOwner({"pod-2", "uid-2"});
  bench.server.Store(json::parse(R"({
    "metadata": {"name": "controller", "namespace": "ns",
      "labels": {"metallb.io/component-type": "controller"},
      "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "pod-1", "uid": "uid-1",
                           "controller": true, "blockOwnerDeletion": true}]},
    "status": {"result": "Invalid", "errorSummary": "configuration error: x",
      "conditions": [{"type": "poolReconcilerValid", "status": "False",
        "reason": "ConfigurationError", "message": "configuration error: x",
        "lastTransitionTime": "2025-01-01T00:00:00Z"}]}})"));
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(1h);
  CHECK(bench.TakeLog() == Log{"PATCH", "PATCH status"});
  CHECK(bench.Object()->at("metadata").at("ownerReferences") ==
        json::parse(R"([{"apiVersion": "v1", "kind": "Pod", "name": "pod-2", "uid": "uid-2"}])"));
  CHECK(bench.Short() == "Valid poolReconcilerValid=True");
}

TEST_CASE("The owner", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(5s);
  (void)bench.TakeLog();
  SECTION("becomes known later") {
    bench.keeper.SetOwner({"pod-1", "uid-1"});
    bench.Run(1h);
    CHECK(bench.TakeLog() == Log{"PATCH"});
    CHECK(bench.Object()->at("metadata").at("ownerReferences")[0]["uid"] == "uid-1");
    SECTION("and is told again") {
      bench.keeper.SetOwner({"pod-1", "uid-1"});
      bench.Run(1h);
      CHECK(bench.TakeLog().empty());
    }
  }
  SECTION("of another kind stays beside ours") {
    bench.Edit("/metadata/ownerReferences", json::parse(R"([
        {"apiVersion": "example.com/v1", "kind": "Operator", "name": "o", "uid": "o", "x": 1},
        {"apiVersion": "v1", "kind": "Pod", "name": "old", "uid": "old"}])"));
    bench.keeper.SetOwner({"pod-1", "uid-1"});
    bench.Run(1h);
    CHECK(bench.Object()->at("metadata").at("ownerReferences") == json::parse(R"([
        {"apiVersion": "example.com/v1", "kind": "Operator", "name": "o", "uid": "o", "x": 1},
        {"apiVersion": "v1", "kind": "Pod", "name": "pod-1", "uid": "uid-1"}])"));
  }
  SECTION("without one of our own, the others' stay") {
    bench.Edit("/metadata/ownerReferences",
               json::parse(R"([{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "x"}])"));
    bench.Run(1h);
    CHECK(bench.TakeLog().empty());
  }
}

TEST_CASE("A deleted object is made again, with its conditions and their times", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(60s);
  (void)bench.TakeLog();
  const json before = bench.Status();
  bench.Delete();
  bench.Run(0s);
  CHECK(bench.TakeLog() == Log{"POST", "PATCH status"});
  CHECK(bench.Status() == before);
}

TEST_CASE("Whoever insists is answered less and less often", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(5s);
  (void)bench.TakeLog();
  SECTION("by edits") {
    for (int i = 0; i < 3600; ++i) {
      bench.Edit("/status/result", "Unknown");
      bench.Run(1s);
    }
    CHECK(bench.log.size() < 25);  // 9 while doubling, then one in 5 minutes
    CHECK(bench.log.size() > 15);
    SECTION("but a new verdict is told at once") {
      (void)bench.TakeLog();
      bench.Verdict(kBad);
      bench.Run(1s);
      CHECK(bench.log.size() == 1);
    }
  }
  SECTION("by deletions") {
    for (int i = 0; i < 3600; ++i) {
      bench.Delete();
      bench.Run(1s);
    }
    CHECK(bench.log.size() < 50);  // each made again, and its status written
  }
  bench.Run(6min);
  CHECK((bench.Short() == "Valid poolReconcilerValid=True" ||
         bench.Short() == "Invalid poolReconcilerValid=False"));
}

TEST_CASE("Without a word of the configuration", "[status]") {
  StateBench bench;
  SECTION("a new object says Unknown, in the end") {
    bench.Sync();
    bench.Run(9s);
    CHECK(bench.TakeLog().empty());
    bench.Run(1h);
    CHECK(bench.TakeLog() == Log{"POST", "PATCH status"});
    CHECK(bench.Short() == "Unknown");
  }
  SECTION("one of a former run is not touched before its time") {
    bench.server.Store({{"metadata",
                         {{"name", "controller"},
                          {"namespace", "ns"},
                          {"labels", {{"metallb.io/component-type", "controller"}}}}},
                        {"status", {{"result", "Valid"}}}});
    bench.Sync();
    bench.Run(9s);
    CHECK(bench.TakeLog().empty());
    bench.Run(1h);
    CHECK(bench.Short() == "Unknown");
  }
  SECTION("a remark alone makes it no more known") {
    bench.Sync();
    bench.Remark("x");
    bench.Run(1h);
    CHECK(bench.Short() == "Unknown bgpAnnounced=False");
  }
}

TEST_CASE("A condition that is removed goes, whoever wrote it", "[status]") {
  StateBench bench;
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Remark("x");
  bench.Run(5s);
  CHECK(bench.keeper.Recorded(kBgpAnnounced) == true);
  bench.keeper.RemoveCondition(kBgpAnnounced);
  bench.keeper.RemoveCondition(kLegacyConfiguration);  // was never set
  bench.Run(5s);
  CHECK(bench.Short() == "Valid poolReconcilerValid=True");
  CHECK(bench.keeper.Recorded(kBgpAnnounced) == false);
}

TEST_CASE("Only who is active writes", "[status]") {
  StateBench bench;
  bench.keeper.SetOwner({"pod-1", "uid-1"});
  bench.keeper.SetActive(false);
  bench.Sync();
  bench.Verdict(absl::OkStatus());
  bench.Run(1h);
  CHECK(bench.TakeLog().empty());
  CHECK_FALSE(bench.keeper.NextDeadline());
  SECTION("a new leader makes the object") {
    bench.keeper.SetActive(true);
    bench.Run(0s);
    CHECK(bench.TakeLog() == Log{"POST", "PATCH status"});
  }
  SECTION("a new leader takes over what the old one wrote, and the collector may delete it then") {
    bench.server.Store(json::parse(R"({"metadata": {"name": "controller", "namespace": "ns",
      "labels": {"metallb.io/component-type": "controller"},
      "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "old", "uid": "old"}]},
      "status": {"result": "Valid", "conditions": [{"type": "poolReconcilerValid", "status": "True",
        "reason": "Reconciled", "message": "", "lastTransitionTime": "2025-01-01T00:00:00Z"}]}})"));
    bench.keeper.Seen(*bench.Object());
    bench.keeper.SetActive(true);
    bench.Run(0s);
    CHECK(bench.TakeLog() == Log{"PATCH"});  // the owner; the rest is as it should be
    bench.Delete();
    bench.Run(5s);
    CHECK(bench.TakeLog() == Log{"POST", "PATCH status"});
    CHECK(bench.Object()->at("metadata").at("ownerReferences")[0]["uid"] == "uid-1");
    CHECK(bench.Status()["conditions"][0]["lastTransitionTime"] == "2025-01-01T00:00:00Z");
  }
  SECTION("what was under way when leadership ended is of no interest") {
    bench.keeper.SetActive(true);
    const StatusActions under_way = bench.keeper.Poll(bench.now);
    REQUIRE(under_way.requests.size() == 1);
    bench.keeper.SetActive(false);
    bench.keeper.OnAnswer(bench.now, under_way.requests[0].ticket,
                          kube::Response{403, "", std::nullopt});
    CHECK(bench.keeper.Poll(bench.now).requests.empty());
    bench.keeper.SetActive(true);
    bench.Run(1s);
    CHECK(bench.TakeLog() == Log{"POST", "PATCH status"});
  }
}

TEST_CASE("Any message fits, and what is stored is what is compared", "[status]") {
  struct Case {
    const char* name;
    std::string message;
    std::size_t max_octets;
  };
  const auto c = GENERATE(values<Case>({
      {"as long as it may be", std::string(32768 - 21, 'x'), 32768},
      {"longer", std::string(1'000'000, 'x'), 32768},
      {"longer, of many octets a character",
       [] {
         std::string text;
         for (int i = 0; i < 20'000; ++i) {
           text += "\xe2\x82\xac";
         }
         return text;
       }(),
       32768},
      {"not UTF-8", "\xff\xfe\x80 \xc3", 64},
      {"zero and other controls", std::string("a\0b\n\x7f\x01", 6), 64},
  }));
  DYNAMIC_SECTION(c.name) {
    StateBench bench;
    bench.Sync();
    bench.Verdict(absl::InvalidArgumentError(c.message));
    bench.Run(1h);
    CHECK(bench.TakeLog() == Log{"POST", "PATCH status"});
    const auto message = bench.Status()["conditions"][0]["message"].get<std::string>();
    CHECK(message.size() <= c.max_octets);
    CHECK(kube::ParseJson(kube::DumpJson(json(message))).ok());
    CHECK(bench.Status()["errorSummary"] == message);
  }
}

}  // namespace stentor::status
