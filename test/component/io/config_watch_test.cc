// SPDX-License-Identifier: Apache-2.0

/// \file
/// What a configuration is made of, read from an API server that does not grant or know all of it.

#include "common/io/config_watch.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/io/random.h"
#include "test/component/io/fixture.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor {
namespace {

using nlohmann::json;

constexpr const char* kYaml =
    "address-pools: [{name: old, protocol: layer2, addresses: [203.0.113.0/28]}]";

json Named(const std::string& name, json rest) {
  rest["metadata"] = {{"namespace", "m"}, {"name", name}};
  return rest;
}

// Event ids, with the resource where there is one: "resourceRefused configmaps".
struct Lines final : obs::LogSink {
  std::map<std::string, int> of;
  void Write(obs::Level /*level*/, std::string_view event_id, std::string_view /*message*/,
             std::span<const obs::Field> fields) override {
    std::string key(event_id);
    for (const obs::Field& field : fields) {
      if (field.key == "resource") {
        key += " " + std::get<std::string>(field.value);
      }
    }
    ++of[key];
  }
};

struct Setup {
  test::FakeApiServer server;
  io::EventLoop loop;
  io::KubeClient client{loop, test::Transport(loop, {.server = server.url()}), server.url(),
                        io::RandomUniform};
  Lines lines;
  obs::Logger log{lines, obs::Level::kDebug};
  std::vector<std::string> pools;  // of the last configuration
  int taken = 0;
  std::string error;
  io::ConfigWatch watch;

  // `named`: --config is given, as in manifests of the time of the ConfigMap.
  explicit Setup(bool named = false)
      : watch(client, log, {.name_space = "m", .config_map = "config", .config_map_named = named},
              {.on_change = [this] { Take(); }, .on_unreadable = [] {}}) {}

  void Take() {
    const auto config = watch.Take();
    if (!config) {
      return;
    }
    ++taken;
    error = std::string(config->status().message());
    if (config->ok()) {
      pools.clear();
      for (const config::Pool& pool : (*config)->pools) {
        pools.push_back(pool.name);
      }
    }
  }
  void Refuse(const std::string& what, int code = 403, int count = 1000) {
    server.Inject({.match = what, .code = code, .count = count});
  }
  void PutPool(const std::string& name) {
    server.Put("ipaddresspools", Named(name, {{"spec", {{"addresses", {"192.0.2.0/28"}}}}}));
  }
  void PutMap(const std::string& name, const std::string& text) {
    server.Put("configmaps", Named(name, {{"data", {{"config", text}}}}));
  }
  bool Eventually(const std::function<bool()>& condition) {
    return test::RunUntil(loop, condition);
  }
  using Names = std::vector<std::string>;
};

}  // namespace

TEST_CASE("Under the rights of MetalLB 0.9.5 the ConfigMap is all there is", "[config-watch]") {
  Setup s(true);
  const int code = GENERATE(403, 404);
  s.Refuse("metallb.io", code);
  s.PutMap("config", kYaml);
  s.PutMap("another", "[");
  s.watch.Start();
  REQUIRE(s.Eventually([&] { return s.pools == Setup::Names{"old"}; }));
  CHECK(s.watch.Settled());
  CHECK(s.error.empty());
  for (const char* kind : {"ipaddresspools", "l2advertisements", "addresspools"}) {
    CHECK(s.lines.of[std::string("resourceRefused ") + kind + ".metallb.io"] == 1);
  }
  CHECK(s.lines.of.count("apiTrouble ipaddresspools.metallb.io") == 0);
  CHECK(s.lines.of["configRemark"] == 1);
  CHECK(s.server.CountOf("fieldSelector=metadata.name%3Dconfig") >= 1);

  s.PutMap("config", "address-pools: [");
  REQUIRE(s.Eventually([&] { return !s.error.empty(); }));
  CHECK(s.pools == Setup::Names{"old"});
  CHECK(s.lines.of["configStale"] == 1);
}

TEST_CASE("Where no pool can be read nothing is concluded, and it heals", "[config-watch]") {
  Setup s;
  s.PutPool("p");
  s.Refuse("metallb.io", 403, 6);
  s.watch.Start();
  REQUIRE(s.Eventually([&] { return s.lines.of["apiTrouble ipaddresspools.metallb.io"] == 1; }));
  CHECK_FALSE(s.watch.Settled());
  CHECK(s.taken == 0);
  REQUIRE(s.Eventually([&] { return s.pools == Setup::Names{"p"}; }));
  CHECK(s.watch.Settled());
  CHECK(s.lines.of["apiTrouble ipaddresspools.metallb.io"] == 1);
  CHECK(s.lines.of["apiRecovered ipaddresspools.metallb.io"] == 1);
}

TEST_CASE("Kinds that today's manifests don't grant are one line each", "[config-watch]") {
  Setup s;
  s.PutPool("p");
  s.Refuse("/addresspools");
  s.Refuse("/configmaps");
  s.watch.Start();
  REQUIRE(s.Eventually([&] {
    return s.pools == Setup::Names{"p"} && s.lines.of["resourceRefused configmaps"] == 1 &&
           s.lines.of["resourceRefused addresspools.metallb.io"] == 1;
  }));
  s.PutPool("q");  // overlaps, and what worked goes on
  REQUIRE(s.Eventually([&] { return !s.error.empty(); }));
  CHECK(s.pools == Setup::Names{"p"});
  s.server.Remove("ipaddresspools", "m", "q");
  REQUIRE(s.Eventually([&] { return s.error.empty(); }));
  CHECK(s.lines.of["configStale"] == 1);
  CHECK(s.lines.of["configLoaded"] == 2);
  CHECK(s.lines.of["resourceRefused configmaps"] == 1);
}

TEST_CASE("A refusal after the start takes no pool away", "[config-watch]") {
  Setup s;
  const int code = GENERATE(403, 404);
  s.PutPool("p");
  s.watch.Start();
  REQUIRE(
      s.Eventually([&] { return s.pools == Setup::Names{"p"} && s.server.open_watches() == 4; }));
  s.Refuse("/ipaddresspools", code, 2);
  s.server.Compact();  // watches have to list again
  s.server.EndWatches(false);
  REQUIRE(s.Eventually([&] { return s.lines.of["apiTrouble ipaddresspools.metallb.io"] == 1; }));
  CHECK(s.pools == Setup::Names{"p"});
  CHECK(s.watch.Settled());
  REQUIRE(s.Eventually([&] { return s.lines.of["apiRecovered ipaddresspools.metallb.io"] == 1; }));
  CHECK(s.pools == Setup::Names{"p"});
}

TEST_CASE("What was known before the start counts until the API server tells", "[config-watch]") {
  // The program that keeps it: what the API server tells of, and what it never does.
  test::FakeApiServer server;
  server.Put("ipaddresspools", Named("both", {{"spec", {{"addresses", {"192.0.2.16/28"}}}}}));
  io::EventLoop loop;
  io::KubeClient client(loop, test::Transport(loop, {.server = server.url()}), server.url(),
                        io::RandomUniform);
  Lines lines;
  obs::Logger log(lines, obs::Level::kDebug);
  std::set<model::ObjectKey> unheard = {{"m", "both"}, {"m", "gone"}};
  std::map<std::string, std::string> pools;  // and their first address
  std::unique_ptr<io::ConfigWatch> watch;
  const auto take = [&] {
    const auto config = watch->Take();
    if (config && config->ok()) {
      pools.clear();
      for (const config::Pool& pool : (*config)->pools) {
        pools[pool.name] = pool.ranges.front().first.ToString();
      }
    }
  };
  watch = std::make_unique<io::ConfigWatch>(
      client, log, io::ConfigWatchOptions{.name_space = "m", .config_map = "config"},
      io::ConfigWatchHandlers{.on_change = take,
                              .on_unreadable = [] {},
                              .on_object = [&](config::Source, const model::ObjectKey& key,
                                               const io::ConfigObject*) { unheard.erase(key); },
                              .on_source_synced =
                                  [&](config::Source source) {
                                    if (source == config::Source::kPools) {
                                      for (const model::ObjectKey& key :
                                           std::exchange(unheard, {})) {
                                        watch->Forget(source, key);
                                      }
                                    }
                                  }});
  const auto pool = [](const std::string& name, const std::string& addresses) {
    model::IpAddressPoolResource resource;
    resource.key = {"m", name};
    resource.addresses = {addresses};
    return io::ConfigObject(resource);
  };
  watch->Seed(config::Source::kPools,
              {pool("both", "198.51.100.0/28"), pool("gone", "203.0.113.0/28")});
  for (const config::Source source : {config::Source::kAdvertisements,
                                      config::Source::kAddressPools, config::Source::kConfigMap}) {
    watch->Seed(source, {});
  }
  CHECK(watch->Settled());
  CHECK(pools ==
        std::map<std::string, std::string>{{"both", "198.51.100.0"}, {"gone", "203.0.113.0"}});

  watch->Start();
  CHECK(test::RunUntil(
      loop, [&] { return pools == std::map<std::string, std::string>{{"both", "192.0.2.16"}}; }));
}

}  // namespace stentor
