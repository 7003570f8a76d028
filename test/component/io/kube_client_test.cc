// SPDX-License-Identifier: Apache-2.0
#include "common/io/kube_client.h"

#include <malloc.h>

#include <cstdlib>
#include <string>

#include "common/io/client_config.h"
#include "common/io/random.h"
#include "test/component/io/fixture.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor {
namespace {

using test::FakeApiServer;
using test::FaultKind;
using test::Mirror;
using test::RunUntil;

nlohmann::json Service(const std::string& name, const std::string& note = "") {
  return {
      {"metadata", {{"namespace", "default"}, {"name", name}, {"annotations", {{"note", note}}}}},
      {"spec", {{"type", "LoadBalancer"}}}};
}

#if defined(__SANITIZE_ADDRESS__)
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();
std::size_t AllocatedBytes() { return __sanitizer_get_current_allocated_bytes(); }
#else
std::size_t AllocatedBytes() { return mallinfo2().uordblks; }
#endif

// A client of a fake server, and a mirror of its Services.
struct Setup {
  FakeApiServer server;
  io::EventLoop loop;
  std::unique_ptr<io::KubeClient> client;
  Mirror mirror;
  std::unique_ptr<io::WatchHandle> watch;

  Setup() {
    client = std::make_unique<io::KubeClient>(loop, test::Transport(loop, {.server = server.url()}),
                                              server.url(), io::RandomUniform);
  }

  void Start() {
    watch = client->Watch({.name = "services", .path = "/api/v1/services"}, mirror.Handlers());
  }
  void StartAndSync() {
    Start();
    REQUIRE(RunUntil(loop, [&] { return mirror.synced == 1 && server.open_watches() == 1; }));
  }
  bool Eventually(const std::function<bool()>& condition) { return RunUntil(loop, condition); }
};

}  // namespace

TEST_CASE("A watch lists in pages, and then follows", "[client]") {
  Setup s;
  for (int i = 0; i < 1203; ++i) {
    s.server.Put("services", Service("s" + std::to_string(i)));
  }
  s.StartAndSync();
  CHECK(s.mirror.objects.size() == 1203);
  CHECK(s.server.CountOf("limit=500") == 3);

  s.server.Put("services", Service("new"));
  s.server.Put("services", Service("s7", "changed"));
  s.server.Remove("services", "default", "s8");
  s.server.Bookmark();
  REQUIRE(s.Eventually([&] { return s.mirror.deletes == 1; }));
  CHECK(s.mirror.objects.size() == 1203);
  CHECK(s.mirror.upserts == 1205);
  CHECK(s.mirror.objects[{"default", "s7"}]["metadata"]["annotations"]["note"] == "changed");
  CHECK(s.mirror.troubles.empty());
}

TEST_CASE("Events arrive whole, however they are cut", "[client]") {
  Setup s;
  s.server.SetChunkSize(static_cast<std::size_t>(GENERATE(1, 2, 3, 7, 64)));
  s.StartAndSync();
  const std::string note = "Grüße \"aus\" \\ 東京 \xF0\x9F\x8F\x94";
  s.server.Put("services", Service("a", note));
  s.server.Put("services", Service("b", note));
  REQUIRE(s.Eventually([&] { return s.mirror.objects.size() == 2; }));
  CHECK(s.mirror.objects[{"default", "b"}]["metadata"]["annotations"]["note"] == note);
  CHECK(s.mirror.troubles.empty());
}

TEST_CASE("A long stream takes no more memory than a short one", "[client]") {
  Setup s;
  s.StartAndSync();
  const auto change = [&s](int times) {
    for (int i = 0; i < times; ++i) {
      s.server.Put("services", Service("a", std::to_string(i)));
      const int next = s.mirror.upserts + 1;
      REQUIRE(s.Eventually([&] { return s.mirror.upserts == next; }));
    }
    s.server.Compact();  // it remembers all of them until then
    return AllocatedBytes();
  };
  const std::size_t before = change(200);
  const std::size_t after = change(2000);
  REQUIRE(before > 0);
  INFO(before << " octets before");
  CHECK(after < before + (std::size_t{512} << 10U));
  s.server.EndWatches(false);
  s.server.Put("services", Service("b"));
  CHECK(s.Eventually([&] { return s.mirror.objects.size() == 2; }));
}

TEST_CASE("A stream that ends is resumed without a list", "[client]") {
  Setup s;
  s.server.Put("services", Service("a"));
  s.StartAndSync();
  const bool in_line = GENERATE(false, true);
  DYNAMIC_SECTION((in_line ? "in the middle of a chunk" : "in order")) {
    s.server.EndWatches(in_line);
    s.server.Put("services", Service("b"));
    s.server.Remove("services", "default", "a");
    REQUIRE(s.Eventually([&] { return s.mirror.deletes == 1; }));
    CHECK(s.mirror.objects.count({"default", "b"}) == 1);
    CHECK(s.server.CountOf("limit=500") == 1);
    CHECK(s.mirror.troubles.empty());
  }
}

TEST_CASE("After 410 the list finds what was deleted meanwhile", "[client]") {
  Setup s;
  s.server.Put("services", Service("a"));
  s.server.Put("services", Service("b"));
  s.StartAndSync();
  // The next watch is refused until the history is gone.
  s.server.Inject({.match = "watch=true", .code = 503, .count = 1});
  s.server.EndWatches(false);
  REQUIRE(s.Eventually([&] { return s.server.CountOf("watch=true") >= 2; }));
  s.server.Remove("services", "default", "a");
  s.server.Compact();
  s.server.EndWatches(false);
  REQUIRE(s.Eventually([&] { return s.mirror.synced == 2; }));
  CHECK(s.mirror.objects.size() == 1);
  CHECK(s.mirror.upserts == 2);  // b was known and is not repeated
  CHECK(s.mirror.deletes == 1);
}

TEST_CASE("A server that was restored from a backup is listed anew", "[client]") {
  Setup s;
  for (int i = 0; i < 20; ++i) {
    s.server.Put("services", Service("s" + std::to_string(i)));
  }
  s.StartAndSync();
  s.server.Remove("services", "default", "s0");
  REQUIRE(s.Eventually([&] { return s.mirror.deletes == 1; }));
  s.server.Restore();
  s.server.EndWatches(false);
  REQUIRE(s.Eventually([&] { return s.mirror.synced == 2 && s.server.open_watches() == 1; }));
  CHECK(s.mirror.objects.size() == 19);
  s.server.Put("services", Service("new"));
  CHECK(s.Eventually([&] { return s.mirror.objects.size() == 20; }));
}

TEST_CASE("A resource that is missing is told once, and heals", "[client]") {
  Setup s;
  s.server.Inject({.match = "services", .code = 404, .count = 2});
  s.Start();
  REQUIRE(s.Eventually([&] { return s.mirror.synced == 1; }));
  REQUIRE(s.mirror.troubles.size() == 1);
  CHECK(std::string(s.mirror.troubles[0].message()) ==
        "the server does not know \"services\": is the CRD installed?");
  CHECK(s.mirror.recovered == 1);
}

TEST_CASE("An unreachable server is one trouble, in one line", "[client]") {
  Setup s;
  s.server.Inject({.match = "services", .kind = FaultKind::kReset, .count = 6});
  s.Start();
  REQUIRE(s.Eventually([&] { return s.mirror.synced == 1; }));
  REQUIRE(s.mirror.troubles.size() == 1);
  CHECK(std::string(s.mirror.troubles[0].message())
            .rfind("API server " + s.server.url() + " is unreachable: ", 0) == 0);
  CHECK(s.mirror.recovered == 1);
}

TEST_CASE("A handler may end its own watch", "[client]") {
  Setup s;
  s.server.Put("services", Service("a"));
  s.server.Put("services", Service("b"));
  int upserts = 0;
  s.watch = s.client->Watch({.name = "services", .path = "/api/v1/services"},
                            {.on_upsert = [&](const nlohmann::json& /*object*/) {
                              ++upserts;
                              s.watch.reset();
                            }});
  REQUIRE(s.Eventually([&] { return upserts == 1; }));
  CHECK(RunUntil(s.loop, [] { return true; }));
  CHECK(upserts == 1);
}

TEST_CASE("A request of the client is answered; a destroyed client is silent", "[client]") {
  Setup s;
  int answers = 0;
  s.client->Request({.path = "/api/v1/services"}, [&](const auto& response) {
    answers += response.ok() ? 1 : 0;
    s.client->Request({.path = "/api/v1/services"}, [&](const auto& /*second*/) { ++answers; });
  });
  REQUIRE(s.Eventually([&] { return answers == 2; }));
  s.client->Request({.path = "/api/v1/services"}, [&](const auto& /*late*/) { ++answers; });
  s.client.reset();
  CHECK(RunUntil(s.loop, [] { return true; }));
  CHECK(answers == 2);
}

TEST_CASE("Requests beyond the limit wait for their turn, and all are answered", "[client]") {
  Setup s;
  constexpr int kMany = 3 * static_cast<int>(io::KubeClient::kMaxRequests);
  int answers = 0;
  for (int i = 0; i < kMany; ++i) {
    s.client->Request({.path = "/api/v1/services"},
                      [&](const auto& response) { answers += response.ok() ? 1 : 0; });
  }
  REQUIRE(s.Eventually([&] { return answers == kMany; }));
  // Twice, because a connection may be given back a little after its answer.
  CHECK(s.server.most_connections() <= 2 * static_cast<int>(io::KubeClient::kMaxRequests));
}

// Hidden (the dot): where there is no such server it does not run, and is not counted as passed.
// test/lab/test_kubernetes_client.py starts one and asks for the tag.
TEST_CASE("The real API server: list, watch and write of a ConfigMap", "[client][.real-server]") {
  const char* const kubeconfig = std::getenv("STENTOR_TEST_KUBECONFIG");
  INFO("STENTOR_TEST_KUBECONFIG has to name the kubeconfig of a real API server");
  REQUIRE(kubeconfig != nullptr);
  io::InitializeTransportThreads();
  const auto config = io::LoadClientConfig(kubeconfig);
  INFO(config.status());
  REQUIRE(config.ok());
  io::EventLoop loop;
  auto client = io::KubeClient::Connect(loop, *config);
  REQUIRE(client.ok());
  Mirror mirror;
  const std::string list = "/api/v1/namespaces/default/configmaps";
  const auto watch = (*client)->Watch({.name = "configmaps", .path = list}, mirror.Handlers());
  REQUIRE(RunUntil(loop, [&] { return mirror.synced == 1; }));

  const std::string name = "stentor-test-" + std::to_string(io::RandomU64());
  const model::ObjectKey key{"default", name};
  const auto send = [&](kube::Request request) {
    int code = 0;
    (*client)->Request(std::move(request),
                       [&](const auto& response) { code = response.ok() ? response->code : -1; });
    REQUIRE(RunUntil(loop, [&] { return code != 0; }));
    return code;
  };
  nlohmann::json object = {{"apiVersion", "v1"},
                           {"kind", "ConfigMap"},
                           {"metadata", {{"name", name}, {"namespace", "default"}}}};
  REQUIRE(send({.method = "POST", .path = list, .body = object.dump()}) == 201);
  REQUIRE(RunUntil(loop, [&] { return mirror.objects.count(key) == 1; }));
  object = mirror.objects[key];
  object["data"] = {{"k", "Grüße"}};
  CHECK(send({.method = "PUT", .path = list + "/" + name, .body = object.dump()}) == 200);
  CHECK(send({.method = "PUT", .path = list + "/" + name, .body = object.dump()}) == 409);
  CHECK(RunUntil(loop, [&] { return mirror.objects[key].contains("data"); }));
  CHECK(send({.method = "DELETE", .path = list + "/" + name}) == 200);
  CHECK(RunUntil(loop, [&] { return mirror.objects.count(key) == 0; }));
  CHECK(mirror.troubles.empty());
}

// Hidden likewise. STENTOR_TEST_CUT is a command that makes the way to the server swallow
// everything, STENTOR_TEST_MEND one that undoes it.
TEST_CASE("A way to the real API server that swallows everything ends a watch",
          "[transport][.silent-way]") {
  const char* const kubeconfig = std::getenv("STENTOR_TEST_KUBECONFIG");
  const char* const cut = std::getenv("STENTOR_TEST_CUT");
  const char* const mend = std::getenv("STENTOR_TEST_MEND");
  REQUIRE((kubeconfig != nullptr && cut != nullptr && mend != nullptr));
  const auto config = io::LoadClientConfig(kubeconfig);
  REQUIRE(config.ok());
  io::EventLoop loop;
  // All other limits are far longer.
  const auto transport = test::Transport(loop, *config, {.dead_after = std::chrono::seconds(4)});
  bool open = false;
  std::optional<absl::Status> ended;
  const auto watch =
      transport->Watch("/api/v1/configmaps?watch=true&timeoutSeconds=300",
                       {.on_open = [&] { open = true; },
                        .on_bytes = [](std::string_view) {},
                        .on_end = [&](const absl::Status& status, auto) { ended = status; }});
  REQUIRE(RunUntil(loop, [&] { return open; }));
  REQUIRE(std::system(cut) == 0);  // NOLINT(concurrency-mt-unsafe)
  CHECK(RunUntil(loop, [&] { return ended.has_value(); }, std::chrono::seconds(60)));
  REQUIRE(std::system(mend) == 0);  // NOLINT(concurrency-mt-unsafe)
  REQUIRE(ended.has_value());
  CHECK_FALSE(ended->ok());
  CHECK(test::Send(loop, *transport, {.path = "/version"}).ok());
}

}  // namespace stentor
