// SPDX-License-Identifier: Apache-2.0
/// \file
/// The wired controller against the in-memory API server: what it writes when the API server or the
/// objects are not as they should be.

#include "controller/app/controller.h"

#include <map>
#include <string>
#include <vector>

#include "common/io/random.h"
#include "test/component/io/fixture.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor::controller {
namespace {

using nlohmann::json;

constexpr const char* kServiceWrite = "PUT /api/v1/";

json Service(const std::string& type = "LoadBalancer") {
  return {{"metadata", {{"namespace", "default"}, {"name", "web"}, {"uid", "u1"}}},
          {"spec", {{"type", type}, {"clusterIP", "198.18.0.10"}}}};
}

json HoldingService(const std::string& address, const std::string& type = "LoadBalancer") {
  json service = Service(type);
  service["metadata"]["annotations"][std::string(kAllocatedFromAnnotation)] = "pool";
  service["status"]["loadBalancer"]["ingress"] = {{{"ip", address}}};
  return service;
}

json Pool(const std::string& name, const std::string& addresses) {
  return {{"metadata", {{"namespace", "metallb-system"}, {"name", name}}},
          {"spec", {{"addresses", {addresses}}}}};
}

// How often each event was logged.
struct Counts final : obs::LogSink {
  std::map<std::string, int> of;
  void Write(obs::Level /*level*/, std::string_view event_id, std::string_view message,
             std::span<const obs::Field> /*fields*/) override {
    ++of[std::string(event_id)];
    UNSCOPED_INFO(event_id << ": " << message);
  }
};

struct Setup {
  test::FakeApiServer server;
  io::EventLoop loop;
  io::KubeClient client{loop, test::Transport(loop, {.server = server.url()}), server.url(),
                        io::RandomUniform};
  Counts counts;
  obs::Logger log{counts, obs::Level::kDebug};
  obs::Health health{TimePoint{}, std::chrono::seconds(5)};
  Controller controller;

  explicit Setup(Flags flags = {.common = {.name_space = "metallb-system"},
                                .webhook_mode = WebhookMode::kDisabled})
      : controller(std::move(flags), loop, client, log, health) {}

  void Start() { REQUIRE(controller.Start().ok()); }

  bool Eventually(const std::function<bool()>& condition) {
    return test::RunUntil(loop, condition);
  }
  [[nodiscard]] std::string Address() const {
    const json service = server.Get("services", "default", "web");
    const json::json_pointer ip("/status/loadBalancer/ingress/0/ip");
    return service.contains(ip) ? service[ip].get<std::string>() : "";
  }
  [[nodiscard]] int Writes() const { return server.CountOf(kServiceWrite); }
};

}  // namespace

TEST_CASE("A refused or lost status write is made good", "[controller]") {
  Setup s;
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.10-192.0.2.19"));
  const int code = GENERATE(409, 429, 500);
  DYNAMIC_SECTION("after " << code) {
    s.server.Inject({.match = kServiceWrite, .code = code, .count = 1});
    s.server.Put("services", Service());
    s.Start();
    REQUIRE(s.Eventually([&] { return s.Writes() == 1; }));
    if (code == 409) {  // somebody else was first, and the watch shows what they wrote
      json changed = Service();
      changed["metadata"]["labels"] = {{"new", "yes"}};
      s.server.Put("services", changed);
    }
    REQUIRE(s.Eventually([&] { return s.Address() == "192.0.2.10"; }));
    CHECK(s.Writes() == 2);
  }
}

TEST_CASE("A Service made anew while the former one's write is under way gets its own",
          "[controller]") {
  Setup s;
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.10-192.0.2.19"));
  s.server.Inject({.match = kServiceWrite, .kind = test::FaultKind::kReset, .count = 2});
  s.server.Put("services", Service());
  s.Start();
  REQUIRE(s.Eventually([&] { return s.Writes() >= 1; }));
  s.server.Remove("services", "default", "web");
  json anew = Service();
  anew["metadata"]["uid"] = "u2";
  s.server.Put("services", anew);
  REQUIRE(s.Eventually([&] { return s.Address() == "192.0.2.10"; }));
  CHECK(s.server.Get("services", "default", "web")["metadata"]["uid"] == "u2");
}

TEST_CASE("A pool that cannot be read takes no Service's address away", "[controller]") {
  Setup s;
  json bad = Pool("bad", "192.0.2.10-192.0.2.19");
  bad["spec"]["serviceAllocation"]["serviceSelectors"] = {
      {{"matchExpressions", {{{"key", "team"}, {"operator", "Like"}}}}}};
  s.server.Put("ipaddresspools", bad);
  s.server.Put("ipaddresspools", Pool("good", "192.0.2.20-192.0.2.29"));
  s.server.Put("services", HoldingService("192.0.2.10"));
  s.Start();
  REQUIRE(s.Eventually([&] { return s.counts.of["configStale"] == 1; }));
  CHECK(s.Writes() == 0);

  s.server.Put("ipaddresspools", Pool("bad", "192.0.2.10-192.0.2.19"));
  REQUIRE(s.Eventually([&] { return s.Writes() == 1; }));  // it names the pool "bad" now
  CHECK(s.Address() == "192.0.2.10");
}

TEST_CASE("What an address is left on while it is no load balancer is cleared", "[controller]") {
  Setup s;
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.10-192.0.2.19"));
  SECTION("also after a conflict, of which no watch tells") {
    s.server.Inject({.match = kServiceWrite, .code = 409, .count = 1});
  }
  SECTION("at once") {}
  s.server.Put("services", HoldingService("192.0.2.10", "ClusterIP"));
  s.Start();
  REQUIRE(s.Eventually([&] { return s.Address().empty(); }));
  CHECK_FALSE(s.server.Get("services", "default", "web")["metadata"].contains("annotations"));
}

TEST_CASE("While no pool can be read, nobody loses an address", "[controller]") {
  Setup s;
  const int code = GENERATE(403, 404);
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.10-192.0.2.19"));
  s.server.Put("services", HoldingService("192.0.2.10"));
  json waiting = Service();
  waiting["metadata"]["name"] = "waiting";
  s.server.Put("services", waiting);
  s.server.Inject({.match = "/ipaddresspools", .code = code, .count = 3});
  s.Start();
  REQUIRE(s.Eventually([&] { return s.counts.of["apiTrouble"] == 1; }));
  CHECK(s.Writes() == 0);
  CHECK_FALSE(s.health.Ready().ok);
  REQUIRE(s.Eventually([&] { return s.Writes() == 1; }));
  CHECK(s.Address() == "192.0.2.10");
  CHECK(s.health.Ready().ok);
  CHECK(s.counts.of["apiTrouble"] == 1);
}

TEST_CASE("An address of a pool that cannot be read for a moment stays", "[controller]") {
  Setup s;
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.20-192.0.2.29"));
  json older = Pool("older", "192.0.2.10-192.0.2.19");
  older["spec"]["protocol"] = "layer2";
  s.server.Put("addresspools", older);
  s.server.Put("services", HoldingService("192.0.2.10"));
  s.server.Inject({.match = "/addresspools", .code = 403, .count = 1});
  s.Start();
  REQUIRE(s.Eventually([&] { return s.counts.of["ready"] == 1; }));
  CHECK(s.Writes() == 0);
  REQUIRE(s.Eventually([&] { return s.Writes() == 1; }));  // it names the pool "older" now
  CHECK(s.Address() == "192.0.2.10");
}

TEST_CASE("Pools come to a cluster that had none: nobody moves between the first and the last",
          "[controller]") {
  Setup s;
  s.server.Put("services", HoldingService("198.51.100.9"));
  json waiting = Service();
  waiting["metadata"]["name"] = "waiting";
  s.server.Put("services", waiting);
  s.Start();
  REQUIRE(s.Eventually([&] { return s.counts.of["ready"] == 1; }));
  s.server.Put("ipaddresspools", Pool("a-first", "192.0.2.10-192.0.2.19"));
  REQUIRE(s.Eventually([&] { return s.Writes() == 1; }));  // who waits is served at once
  s.server.Put("ipaddresspools", Pool("pool", "198.51.100.0/24"));
  SECTION("and stays where its pool has come") {
    REQUIRE(s.Eventually([&] { return s.counts.of["configLoaded"] == 3; }));
    s.server.Put("ipaddresspools", Pool("third", "203.0.113.0/24"));
    REQUIRE(s.Eventually([&] { return s.counts.of["configLoaded"] == 4; }));
    CHECK(s.Address() == "198.51.100.9");
    CHECK(s.Writes() == 1);
  }
  SECTION("and moves only when its pool has not come for a while") {
    s.server.Remove("ipaddresspools", "metallb-system", "pool");
    REQUIRE(s.Eventually([&] { return s.Writes() == 2; }));
    CHECK(s.Address() == "192.0.2.11");
  }
}

TEST_CASE("Without the right to read namespaces, other pools are served", "[controller]") {
  Setup s;
  json selective = Pool("selective", "192.0.2.10-192.0.2.19");
  selective["spec"]["serviceAllocation"]["namespaceSelectors"] = {
      {{"matchLabels", {{"team", "blue"}}}}};
  s.server.Put("ipaddresspools", selective);
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.20-192.0.2.29"));
  s.server.Put("services", Service());
  s.server.Inject({.match = "/namespaces?", .code = 403, .count = 1000});
  s.Start();
  REQUIRE(s.Eventually([&] { return s.Address() == "192.0.2.20"; }));
  CHECK(s.counts.of["resourceRefused"] == 1);
  CHECK(s.counts.of["apiTrouble"] == 0);
}

TEST_CASE("Of two replicas one writes, and the other goes on when that one is asked to stop",
          "[controller]") {
  Setup s({.common = {.name_space = "metallb-system", .pod_name = "first"},
           .webhook_mode = WebhookMode::kDisabled});
  Counts other_counts;
  const obs::Logger other_log{other_counts, obs::Level::kDebug};
  obs::Health other_health{TimePoint{}, std::chrono::seconds(5)};
  Controller other({.common = {.name_space = "metallb-system", .pod_name = "second"},
                    .webhook_mode = WebhookMode::kDisabled},
                   s.loop, s.client, other_log, other_health);
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.10-192.0.2.19"));
  s.server.Put("services", Service());
  s.Start();
  REQUIRE(s.Eventually([&] { return s.Address() == "192.0.2.10"; }));
  REQUIRE(other.Start().ok());
  REQUIRE(s.Eventually([&] { return other_health.Ready().ok; }));
  CHECK(other_counts.of["leading"] == 0);
  const auto leads = [](const Controller& controller) {
    obs::MetricSet metrics;
    controller.Collect(metrics);
    return metrics.families().at("leader_election_master_status").series.begin()->second;
  };
  CHECK(leads(s.controller) == 1.0);
  CHECK(leads(other) == 0.0);

  bool released = false;
  s.controller.Stop([&] { released = true; });
  REQUIRE(s.Eventually([&] { return released && other_counts.of["leading"] == 1; }));
  json next = Service();
  next["metadata"]["name"] = "next";
  s.server.Put("services", next);
  REQUIRE(s.Eventually([&] { return other_counts.of["serviceUpdated"] == 1; }));
  CHECK(s.Writes() == 2);
  CHECK(s.Address() == "192.0.2.10");
}

TEST_CASE("Whose Lease another has taken writes no more", "[controller]") {
  Setup s;
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.10-192.0.2.19"));
  s.Start();
  REQUIRE(s.Eventually([&] { return s.counts.of["ready"] == 1; }));
  json lease = s.server.Get("leases", "metallb-system", "stentor-controller");
  lease["spec"]["holderIdentity"] = "another";
  lease["metadata"].erase("resourceVersion");
  s.server.Put("leases", lease);
  REQUIRE(s.Eventually([&] { return s.counts.of["leadingEnded"] == 1; }));
  s.server.Put("services", Service());
  s.server.Put("ipaddresspools", Pool("second", "192.0.2.20-192.0.2.29"));
  REQUIRE(s.Eventually([&] { return s.counts.of["configLoaded"] == 2; }));
  CHECK(s.Writes() == 0);
}

TEST_CASE("Without the right to use Leases, one replica works as before", "[controller]") {
  Setup s;
  s.server.Inject({.match = "/leases", .code = 403, .count = 1000});
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.10-192.0.2.19"));
  s.server.Put("services", Service());
  s.Start();
  REQUIRE(s.Eventually([&] { return s.Address() == "192.0.2.10"; }));
  CHECK(s.counts.of["resourceRefused"] == 1);
}

TEST_CASE("A Secret that may not be made is told of once", "[controller]") {
  Setup s({.common = {.name_space = "metallb-system"},
           .memberlist_secret = "memberlist",
           .deployment = "controller",
           .webhook_mode = WebhookMode::kDisabled});
  s.server.Inject({.match = "/deployments/", .code = 403, .count = 1000});
  s.server.Inject(
      {.match = "POST /api/v1/namespaces/metallb-system/secrets", .code = 403, .count = 1000});
  s.Start();
  REQUIRE(s.Eventually([&] { return s.counts.of["resourceRefused"] == 1; }));
  CHECK(s.counts.of["writeFailed"] == 0);
}

}  // namespace stentor::controller
