// SPDX-License-Identifier: Apache-2.0
#include "speaker/status/l2_status_keeper.h"

#include <chrono>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/speaker_status/l2_bench.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("An announced Service gets one object, in two requests", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().Announce(kWeb, {"eth1", "eth0", "eth1"});
  CHECK(bench.keeper().pending() == 1);
  bench.Run(1h);
  CHECK(bench.TakeRequests() == 2);
  CHECK(bench.keeper().pending() == 0);
  CHECK_FALSE(bench.keeper().NextDeadline());
  const json& object = bench.Only();
  CHECK(bench.OnlyName().starts_with("l2-"));
  CHECK(object["metadata"]["generateName"] == "l2-");
  CHECK(object["metadata"]["labels"] == json::parse(R"({"metallb.io/node": "n1",
      "metallb.io/service-name": "web", "metallb.io/service-namespace": "default"})"));
  CHECK(object["metadata"]["ownerReferences"] ==
        json::parse(R"([{"apiVersion": "v1", "kind": "Pod", "name": "speaker-n1",
                         "uid": "uid-n1"}])"));
  CHECK(object["status"] == json::parse(R"({"node": "n1", "serviceName": "web",
      "serviceNamespace": "default", "interfaces": [{"name": "eth0"}, {"name": "eth1"}]})"));
}

TEST_CASE("What is announced is news once", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  CHECK(bench.keeper().SetAnnounced({{kWeb, {}}}));
  CHECK_FALSE(bench.keeper().SetAnnounced({{kWeb, {}}}));
  bench.Run(1s);
  CHECK_FALSE(bench.keeper().SetAnnounced({{kWeb, {}}}));
  CHECK(bench.keeper().SetAnnounced({{kWeb, {"eth1", "eth0"}}}));
  CHECK_FALSE(bench.keeper().SetAnnounced({{kWeb, {"eth0", "eth1"}}}));
  CHECK(bench.keeper().SetAnnounced({{kWeb, {"eth0", "eth1"}}, {kDns, {}}}));
  CHECK_FALSE(bench.keeper().SetAnnounced({{kDns, {}}}));  // that one is gone is told at once
  CHECK(bench.keeper().Announce(kWeb, {}));
}

TEST_CASE("Writes of what is new wait for the answers, deletions don't", "[l2_status]") {
  L2Bench bench;
  bench.Store(L2Object("l2-old", kDns, "n1"));
  bench.Start();
  bench.Run(1s);
  bench.Store(L2Object("l2-old", kDns, "n1"));
  bench.TakeRequests();
  const auto announce = [&](const model::ServiceKey& service) {
    bench.keeper().Announce(service, {});
    bench.keeper().HoldWrites(bench.now);
  };
  announce(kWeb);
  bench.Run(29ms);
  CHECK(bench.server.objects.Find("l2-old") == nullptr);
  CHECK(bench.Stored(kWeb).empty());
  bench.Run(1ms);
  CHECK(bench.Stored(kWeb) == Texts{"n1"});
  // Those that go on being announced hold them for 100 ms, and not for longer.
  bench.TakeRequests();
  for (int i = 0; i < 5; ++i) {
    announce({"default", std::to_string(i)});
    CHECK(bench.TakeRequests() == 0);
    bench.Run(20ms);
  }
  CHECK(bench.TakeRequests() == 10);
}

TEST_CASE("All interfaces are none", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().SetAnnounced({{kWeb, {}}});
  bench.Run(1s);
  CHECK_FALSE(bench.Only()["status"].contains("interfaces"));
}

TEST_CASE("Nothing is asked for before enough is known", "[l2_status]") {
  L2Bench bench;
  bench.Store(L2Object("l2-old", kDns, "n1"));
  SECTION("which Services are announced") {
    bench.Sync();
    bench.keeper().Announce(kWeb, {});
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 0);
    bench.keeper().SetAnnounced({{kWeb, {}}});
    bench.Run(1s);
    CHECK(bench.Stored(kWeb) == Texts{"n1"});
    CHECK(bench.Stored(kDns).empty());
  }
  SECTION("which objects there are") {
    bench.keeper().SetAnnounced({{kDns, {}}, {kWeb, {}}});
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 0);
    CHECK_FALSE(bench.keeper().Known(kDns));
    bench.Sync();
    bench.Run(1s);
    CHECK(bench.TakeRequests() == 2);
  }
}

TEST_CASE("What a node does with the objects that it finds", "[l2_status]") {
  struct Case {
    const char* name;
    std::vector<json> objects;
    bool announced;
    Texts left;
    int requests;
  };
  json deleting = L2Object("l2-a", kWeb, "n1");
  deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  json no_status = L2Object("l2-a", kWeb, "n1");
  no_status.erase("status");
  json other_owner = L2Object("l2-a", kWeb, "n1");
  other_owner["metadata"]["ownerReferences"][0]["uid"] = "of the pod before";
  json no_labels = L2Object("l2-a", kWeb, "n1");
  no_labels["metadata"].erase("labels");
  json moved = L2Object("l2-a", kWeb, "n1");
  moved["status"]["node"] = "n2";
  json renamed = L2Object("l2-a", kWeb, "n1");
  renamed["status"]["serviceName"] = "dns";
  const auto c = GENERATE_COPY(values<Case>({
      {"its own, true: nothing", {L2Object("l2-a", kWeb, "n1")}, true, {"n1"}, 0},
      {"its own, without status", {no_status}, true, {"n1"}, 1},
      {"its own, of the pod before", {other_owner}, true, {"n1"}, 1},
      {"its own, whose labels somebody took away", {no_labels}, true, {"n1"}, 1},
      {"its own, with other interfaces", {L2Object("l2-a", kWeb, "n1", {"x"})}, true, {"n1"}, 1},
      {"its own, which says another node: anew", {moved}, true, {"n1"}, 3},
      {"its own, which says another Service: anew", {renamed}, true, {"n1"}, 3},
      {"its own that is being deleted: another", {deleting}, true, {"n1", "n1"}, 2},
      {"two of its own: one goes",
       {L2Object("l2-a", kWeb, "n1"), L2Object("l2-b", kWeb, "n1")},
       true,
       {"n1"},
       1},
      {"two of its own: the true one stays",
       {L2Object("l2-a", kWeb, "n1", {"x"}), L2Object("l2-b", kWeb, "n1")},
       true,
       {"n1"},
       1},
      {"another's", {L2Object("l2-a", kWeb, "n2")}, true, {"n1"}, 3},
      {"those of three others",
       {L2Object("l2-a", kWeb, "n2"), L2Object("l2-b", kWeb, "n3"), L2Object("l2-c", kWeb, "n4")},
       true,
       {"n1"},
       5},
      {"its own of a Service that it does not announce",
       {L2Object("l2-a", kWeb, "n1"), L2Object("l2-b", kWeb, "n1")},
       false,
       {},
       2},
      {"others' of a Service that it does not announce",
       {L2Object("l2-a", kWeb, "n2"), L2Object("l2-b", kWeb, "n3")},
       false,
       {"n2", "n3"},
       0},
  }));
  DYNAMIC_SECTION(c.name) {
    L2Bench bench;
    for (const json& object : c.objects) {
      bench.server.Store(object);
    }
    bench.Sync();
    bench.keeper().SetAnnounced(c.announced ? ServiceInterfaces{{kWeb, {}}} : ServiceInterfaces{});
    bench.Run(1h);
    CHECK(bench.Stored(kWeb) == c.left);
    CHECK(bench.TakeRequests() == c.requests);
    CHECK(bench.speakers[0].notices.empty());
    for (const std::string& name : bench.server.names) {
      const auto seen = DecodeL2Status(*bench.server.objects.Find(name));
      if (c.announced && !seen->deleting) {
        CHECK(seen->labels == L2StatusLabels(kWeb, "n1"));
        CHECK(IsOwnedOnlyBy(seen->owners, {"speaker-n1", "uid-n1"}));
      }
    }
  }
}

TEST_CASE("Objects that are not looked at", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  json elsewhere = L2Object("l2-a", kWeb, "n1");
  elsewhere["metadata"]["namespace"] = "other";
  CHECK_FALSE(bench.keeper().Seen(elsewhere));
  CHECK_FALSE(bench.keeper().Seen(json()));
  CHECK_FALSE(bench.keeper().Gone({"ns", "never-seen"}));
  json of_nothing = L2Object("l2-a", kWeb, "n1");
  of_nothing["metadata"]["labels"] = json::object();
  of_nothing.erase("status");
  of_nothing["metadata"]["uid"] = "u";
  of_nothing["metadata"]["resourceVersion"] = "5";
  CHECK_FALSE(bench.keeper().Seen(of_nothing));
  bench.Run(1h);
  CHECK(bench.TakeRequests() == 0);
}

TEST_CASE("A Service moves from node to node", "[l2_status]") {
  L2Bench bench({"n1", "n2", "n3"});
  bench.Start();
  bench.keeper(0).SetAnnounced({{kWeb, {"eth0"}}});
  bench.Run(1s);
  CHECK(bench.Stored(kWeb) == Texts{"n1: eth0"});
  SECTION("its speaker lives") {
    bench.keeper(0).Withdraw(kWeb);
    bench.keeper(1).Announce(kWeb, {});
    bench.Run(1s);
    CHECK(bench.Stored(kWeb) == Texts{"n2"});
  }
  SECTION("its speaker is dead") {
    bench.speakers[0].keeper = std::make_unique<ServiceL2StatusKeeper>(
        L2StatusOptions{.name_space = "ns", .node = "n1"}, [] { return 0.5; });
    bench.keeper(2).Announce(kWeb, {});
    bench.Run(1s);
    CHECK(bench.Stored(kWeb) == Texts{"n3"});
  }
  SECTION("and is gone") {
    bench.keeper(0).SetAnnounced({});
    bench.Run(1s);
    CHECK(bench.Stored(kWeb).empty());
  }
  bench.TakeRequests();
  bench.Run(1h);
  CHECK(bench.TakeRequests() == 0);
}

TEST_CASE("Nothing is said twice", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().SetAnnounced({{kWeb, {"eth0"}}, {kDns, {}}});
  bench.Run(1s);
  bench.TakeRequests();
  SECTION("the same once more") {
    bench.keeper().SetAnnounced({{kWeb, {"eth0"}}, {kDns, {}}});
    bench.keeper().Announce(kWeb, {"eth0", "eth0"});
    bench.keeper().Withdraw({"default", "unknown"});
  }
  SECTION("the owner once more") { bench.keeper().SetOwner({"speaker-n1", "uid-n1"}); }
  SECTION("after a restart") {
    bench.Restart(0);
    bench.Sync();
    bench.keeper().SetAnnounced({{kWeb, {"eth0"}}, {kDns, {}}});
  }
  SECTION("the watch begins anew") { bench.Sync(); }
  SECTION("a label of somebody else") {
    bench.Edit(*bench.server.names.begin(), "/metadata/labels/a", "b");
  }
  SECTION("the order of interfaces is another's") {
    bench.keeper().Announce(kWeb, {"eth0", "eth1"});
    bench.Run(1s);
    CHECK(bench.TakeRequests() == 1);
    for (const std::string& name : std::set<std::string>(bench.server.names)) {
      if (bench.server.objects.Find(name)->at("status").contains("interfaces")) {
        bench.Edit(name, "/status/interfaces",
                   json::parse(R"([{"name": "eth1"}, {"name": "eth0"}])"));
      }
    }
  }
  bench.Run(1h);
  CHECK(bench.TakeRequests() == 0);
}

TEST_CASE("Changes of the interfaces: at once, then twice a second, the last one true",
          "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().Announce(kWeb, {"eth0"});
  bench.Run(10s);
  bench.TakeRequests();
  bench.keeper().Announce(kWeb, {"eth1"});
  bench.Run(0s);
  CHECK(bench.Stored(kWeb) == Texts{"n1: eth1"});
  for (int i = 0; i < 1000; ++i) {
    bench.keeper().Announce(kWeb, {"eth" + std::to_string(i)});
    bench.Run(10ms);
  }
  bench.Run(1s);
  CHECK(bench.Stored(kWeb) == Texts{"n1: eth999"});
  CHECK(bench.TakeRequests() <= 23);
}

TEST_CASE("What is edited by hand is restored", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().Announce(kWeb, {"eth0"});
  bench.Run(10s);
  bench.TakeRequests();
  const std::string name = bench.OnlyName();
  struct Case {
    const char* name;
    const char* pointer;
    json value;
    int requests;
  };
  const auto c = GENERATE(values<Case>({
      {"the interfaces", "/status/interfaces/0/name", "eth7", 1},
      {"the whole status", "/status", nullptr, 1},
      {"the label of the node", "/metadata/labels/metallb.io~1node", nullptr, 1},
      {"all labels", "/metadata/labels", nullptr, 1},
      {"the owner", "/metadata/ownerReferences", nullptr, 1},
      {"the node, past the rule", "/status/node", "n7", 3},
      {"the Service, past the rule", "/status/serviceNamespace", "other", 3},
      {"labels of another Service", "/metadata/labels/metallb.io~1service-name", "dns", 3},
      {"labels of another node", "/metadata/labels/metallb.io~1node", "n7", 3},
  }));
  DYNAMIC_SECTION(c.name) {
    bench.Edit(name, c.pointer, c.value);
    bench.Run(1min);
    CHECK(bench.Stored(kWeb) == Texts{"n1: eth0"});
    CHECK(bench.TakeRequests() == c.requests);
    CHECK(bench.Only()["metadata"]["labels"] == json(L2StatusLabels(kWeb, "n1")));
  }
}

TEST_CASE("What is deleted by hand is made again", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().Announce(kWeb, {});
  bench.Run(10s);
  bench.Delete(bench.OnlyName());
  bench.Run(1s);
  CHECK(bench.Stored(kWeb) == Texts{"n1"});
}

TEST_CASE("Who insists is answered less and less often", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().Announce(kWeb, {"eth0"});
  bench.Run(10s);
  bench.TakeRequests();
  struct Case {
    const char* name;
    std::function<void(L2Bench&)> meddle;
  };
  const auto c = GENERATE(values<Case>({
      {"on an edit", [](L2Bench& b) { b.Edit(b.OnlyName(), "/status/interfaces/0/name", "eth7"); }},
      {"on a label", [](L2Bench& b) { b.Edit(b.OnlyName(), "/metadata/labels", nullptr); }},
      {"on its absence",
       [](L2Bench& b) {
         for (const std::string& name : std::set<std::string>(b.server.names)) {
           b.Delete(name);
         }
       }},
      {"on an object of his own", [](L2Bench& b) { b.Store(L2Object("l2-rival", kWeb, "n2")); }},
  }));
  DYNAMIC_SECTION(c.name) {
    for (int i = 0; i < 3600; ++i) {
      c.meddle(bench);
      bench.Run(1s);
    }
    CHECK(bench.requests > 10);
    CHECK(bench.requests < 60);
    SECTION("but a change of our own is told at once") {
      bench.keeper().Withdraw(kWeb);
      bench.Run(0s);
      bench.keeper().Announce(kWeb, {"eth9"});
      bench.Run(1s);
      const Texts stored = bench.Stored(kWeb);
      CHECK(std::ranges::find(stored, "n1: eth9") != stored.end());
    }
  }
}

TEST_CASE("Two speakers that both think that it is theirs do not storm", "[l2_status]") {
  L2Bench bench({"n1", "n2"});
  bench.Start();
  bench.keeper(0).Announce(kWeb, {});
  bench.keeper(1).Announce(kWeb, {});
  bench.Run(1h);
  CHECK(bench.TakeRequests() < 200);
  bench.keeper(0).Withdraw(kWeb);
  bench.Run(6min);
  CHECK(bench.Stored(kWeb) == Texts{"n2"});
}

TEST_CASE("Whether anybody has announced a Service", "[l2_status]") {
  L2Bench bench;
  CHECK_FALSE(bench.keeper().Known(kWeb));
  bench.server.Store(L2Object("l2-a", kWeb, "n2"));
  CHECK(bench.keeper().Seen(*bench.server.objects.Find("l2-a")) == kWeb);
  CHECK_FALSE(bench.keeper().Known(kWeb));
  bench.keeper().Synced();
  CHECK(bench.keeper().Known(kWeb) == true);
  CHECK(bench.keeper().Known(kDns) == false);
  CHECK(bench.keeper().Gone({"ns", "l2-a"}) == kWeb);
  CHECK(bench.keeper().Known(kWeb) == false);
  bench.keeper().SetAnnounced({{kDns, {}}});
  CHECK(bench.keeper().Known(kDns) == false);
  bench.Run(1s);
  CHECK(bench.keeper().Known(kDns) == true);
}

TEST_CASE("The owner is known late", "[l2_status]") {
  L2Bench bench;
  bench.speakers[0].keeper = std::make_unique<ServiceL2StatusKeeper>(
      L2StatusOptions{.name_space = "ns", .node = "n1"}, [] { return 0.25; });
  bench.Start();
  bench.keeper().Announce(kWeb, {});
  bench.Run(1s);
  CHECK_FALSE(bench.Only()["metadata"].contains("ownerReferences"));
  bench.TakeRequests();
  bench.keeper().SetOwner({"p", "u"});
  bench.Run(1s);
  CHECK(bench.TakeRequests() == 1);
  CHECK(bench.Only()["metadata"]["ownerReferences"][0]["uid"] == "u");
  CHECK(bench.Stored(kWeb) == Texts{"n1"});
}

TEST_CASE("What was as it should be is mended when it is not any more", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.keeper().Announce(kWeb, {});
  bench.Run(1s);
  bench.TakeRequests();
  const std::string name = bench.OnlyName();
  const auto owner = [&bench](std::size_t i) {
    return bench.Only()["metadata"]["ownerReferences"].at(i)["name"].get<std::string>();
  };
  SECTION("the owner is another Pod") {
    bench.keeper().SetOwner({"p", "u"});
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 1);
    CHECK(bench.Only()["metadata"]["ownerReferences"].size() == 1);
    CHECK(owner(0) == "p");
    bench.keeper().SetOwner({"q", "v"});
    bench.Run(1h);
    CHECK(owner(0) == "q");
  }
  SECTION("somebody else owns it, too") {
    bench.Edit(name, "/metadata/ownerReferences/1",
               {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"name", "c"}, {"uid", "uid-c"}});
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 0);
    bench.keeper().SetOwner({"p", "u"});
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 1);
    CHECK(owner(0) == "c");
    CHECK(owner(1) == "p");
  }
  SECTION("somebody changes a label") {
    bench.Edit(name, "/metadata/labels/metallb.io~1service-name", "dns");
    bench.Run(1h);
    CHECK(bench.Only()["metadata"]["labels"] == json(L2StatusLabels(kWeb, "n1")));
  }
  SECTION("somebody takes the owner away") {
    bench.Edit(name, "/metadata/ownerReferences", json::array());
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 1);
    CHECK(owner(0) == "speaker-n1");
  }
  CHECK(bench.Stored(kWeb) == Texts{"n1"});
  CHECK_FALSE(bench.keeper().NextDeadline());
}

TEST_CASE("A node whose name is too long for a label", "[l2_status]") {
  const std::string node(64, 'n');
  const bool owned = GENERATE(true, false);
  DYNAMIC_SECTION("owned: " << owned) {
    L2Bench bench({node});
    if (!owned) {
      bench.speakers[0].keeper = std::make_unique<ServiceL2StatusKeeper>(
          L2StatusOptions{.name_space = "ns", .node = node}, [] { return 0.25; });
    }
    bench.Start();
    bench.keeper().Announce(kWeb, {});
    bench.Run(1h);
    CHECK(bench.TakeRequests() == 2);
    CHECK(bench.Stored(kWeb) == Texts{node});
    bench.keeper().Withdraw(kWeb);
    bench.Run(1s);
    CHECK(bench.Stored(kWeb).empty());
  }
}

}  // namespace stentor::speaker
