// SPDX-License-Identifier: Apache-2.0

/// \file
/// Resources that the account may not read, or may list but not watch.

#include <string>

#include "common/io/kube_client.h"
#include "common/io/random.h"
#include "test/component/io/fixture.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor {
namespace {

struct Setup {
  test::FakeApiServer server;
  io::EventLoop loop;
  io::KubeClient client{loop, test::Transport(loop, {.server = server.url()}), server.url(),
                        io::RandomUniform};
  test::Mirror mirror;
  int refusals = 0;
  int pollings = 0;
  std::unique_ptr<io::WatchHandle> watch;

  void Start(io::RetryPace pace) {
    io::WatchHandlers handlers = mirror.Handlers();
    handlers.on_refused = [this, pace](const absl::Status& status) {
      CHECK((absl::IsPermissionDenied(status) || absl::IsNotFound(status)));
      ++refusals;
      return pace;
    };
    handlers.on_polling = [this] { ++pollings; };
    watch = client.Watch({.name = "pods", .path = "/api/v1/pods"}, std::move(handlers));
  }
  void Put(const std::string& name) {
    server.Put("pods", {{"metadata", {{"namespace", "d"}, {"name", name}}}});
  }
  bool Eventually(const std::function<bool()>& condition) {
    return test::RunUntil(loop, condition);
  }
};

}  // namespace

TEST_CASE("A resource that was never read is refused at each attempt, and no trouble", "[client]") {
  Setup s;
  s.Put("a");
  s.server.Inject({.match = "/pods", .code = GENERATE(403, 404), .count = 2});
  s.Start(io::RetryPace::kSoon);
  REQUIRE(s.Eventually([&] { return s.mirror.synced == 1; }));
  CHECK(s.refusals == 2);
  CHECK(s.mirror.objects.size() == 1);
  CHECK(s.mirror.troubles.empty());
  CHECK(s.mirror.recovered == 0);
}

TEST_CASE("Once it was read, a refusal is trouble", "[client]") {
  Setup s;
  s.Put("a");
  s.Start(io::RetryPace::kPatient);
  REQUIRE(s.Eventually([&] { return s.mirror.synced == 1 && s.server.open_watches() == 1; }));
  s.server.Inject({.match = "limit=500", .code = 403, .count = 1});
  s.server.Compact();
  s.server.EndWatches(false);
  REQUIRE(s.Eventually([&] { return s.mirror.synced == 2; }));
  CHECK(s.refusals == 0);
  CHECK(s.mirror.troubles.size() == 1);
  CHECK(s.mirror.recovered == 1);
  CHECK(s.mirror.deletes == 0);
}

TEST_CASE("What may be listed but not watched is polled, and sooner on a sign", "[client]") {
  Setup s;
  s.Put("a");
  s.server.Inject({.match = "watch=true", .code = 403, .count = 1000});
  s.Start(io::RetryPace::kSoon);
  REQUIRE(s.Eventually([&] { return s.pollings == 1; }));
  const int synced = s.mirror.synced;
  s.Put("b");
  s.watch->PollSoon(std::chrono::milliseconds(1));
  REQUIRE(s.Eventually([&] { return s.mirror.objects.size() == 2; }));
  CHECK(s.mirror.synced == synced + 1);
  CHECK(s.server.CountOf("watch=true") == 2);
  CHECK(s.mirror.troubles.empty());
  CHECK(s.refusals == 0);
}

}  // namespace stentor
