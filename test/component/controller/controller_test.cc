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
  void Write(obs::Level /*level*/, std::string_view event_id, std::string_view /*message*/,
             std::span<const obs::Field> /*fields*/) override {
    ++of[std::string(event_id)];
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
  Controller controller{Flags{.common = {.name_space = "metallb-system"}}, loop, client, log,
                        health};

  bool Eventually(const std::function<bool()>& condition) {
    return test::RunUntil(loop, condition);
  }
  [[nodiscard]] std::string Address() const {
    const json service = server.Get("services", "default", "web");
    const json::json_pointer ip("/status/loadBalancer/ingress/0/ip");
    return service.contains(ip) ? service[ip].get<std::string>() : "";
  }
  [[nodiscard]] int Writes() const { return server.CountOf("PUT "); }
};

}  // namespace

TEST_CASE("A refused or lost status write is made good", "[controller]") {
  Setup s;
  s.server.Put("ipaddresspools", Pool("pool", "192.0.2.10-192.0.2.19"));
  const int code = GENERATE(409, 429, 500);
  DYNAMIC_SECTION("after " << code) {
    s.server.Inject({.match = "PUT ", .code = code, .count = 1});
    s.server.Put("services", Service());
    s.controller.Start();
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
  s.server.Inject({.match = "PUT ", .kind = test::FaultKind::kReset, .count = 2});
  s.server.Put("services", Service());
  s.controller.Start();
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
  s.controller.Start();
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
    s.server.Inject({.match = "PUT ", .code = 409, .count = 1});
  }
  SECTION("at once") {}
  s.server.Put("services", HoldingService("192.0.2.10", "ClusterIP"));
  s.controller.Start();
  REQUIRE(s.Eventually([&] { return s.Address().empty(); }));
  CHECK_FALSE(s.server.Get("services", "default", "web")["metadata"].contains("annotations"));
}

}  // namespace stentor::controller
