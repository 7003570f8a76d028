// SPDX-License-Identifier: Apache-2.0
#include "cli/app/reader.h"

#include <array>
#include <memory>
#include <string>

#include "cli/app/session.h"
#include "common/base/strings.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor::cli {
namespace {

nlohmann::json Named(const std::string& name_space, const std::string& name) {
  return {{"metadata", {{"namespace", name_space}, {"name", name}}},
          {"spec", {{"type", "LoadBalancer"}}}};
}

std::unique_ptr<Session> Open(const std::string& server) {
  auto session = Session::Open({.server = server, .timeout_seconds = 10});
  REQUIRE(session.ok());
  return *std::move(session);
}

}  // namespace

TEST_CASE("Resources are read page by page", "[cli]") {
  test::FakeApiServer server;
  for (int i = 0; i < 1100; ++i) {
    server.Put("services", Named("default", StrCat("s", i)));
  }
  server.Put("nodes", {{"metadata", {{"name", "node-1"}}}});
  const auto session = Open(server.url());
  Snapshot snapshot("ns");
  REQUIRE(session->reader().Read(snapshot, std::array{Resource::kServices, Resource::kNodes}).ok());
  CHECK(snapshot.services.size() == 1100);
  CHECK(snapshot.nodes.size() == 1);
  CHECK(snapshot.problems.empty());
  // A session reads as often as it is asked to.
  REQUIRE(session->reader().Read(snapshot, std::array{Resource::kNodes}).ok());
  CHECK(snapshot.nodes.size() == 2);
}

TEST_CASE("What may not be read is told, and the rest is there", "[cli]") {
  test::FakeApiServer server;
  server.Put("services", Named("default", "web"));
  server.Put("nodes", {{"metadata", {{"name", "node-1"}}}});
  server.Inject({.match = "/api/v1/nodes", .code = 403});
  const auto session = Open(server.url());
  Snapshot snapshot("ns");
  REQUIRE(session->reader().Read(snapshot, std::array{Resource::kServices, Resource::kNodes}).ok());
  CHECK(snapshot.services.size() == 1);
  CHECK(snapshot.WasRefused(Resource::kNodes));
  REQUIRE(snapshot.problems.size() == 1);
  CHECK(snapshot.problems[0].starts_with("cannot read nodes: "));
}

TEST_CASE("Where nothing can be read there is an error that names the server", "[cli]") {
  test::FakeApiServer server;
  server.Inject({.match = "GET", .code = 403, .count = 2});
  const auto session = Open(server.url());
  Snapshot snapshot("ns");
  const absl::Status status =
      session->reader().Read(snapshot, std::array{Resource::kServices, Resource::kNodes});
  CHECK(absl::IsPermissionDenied(status));
  CHECK(std::string(status.message()).starts_with(StrCat("API server ", server.url(), ": ")));
}

TEST_CASE("One object is read, or is not there", "[cli]") {
  test::FakeApiServer server;
  server.Put("services", Named("default", "web"));
  const auto session = Open(server.url());
  const auto found = session->reader().Get("/api/v1/namespaces/default/services/web");
  REQUIRE(found.ok());
  CHECK((*found)["metadata"]["name"] == "web");
  CHECK(
      absl::IsNotFound(session->reader().Get("/api/v1/namespaces/default/services/none").status()));
}

TEST_CASE("What can't be used for a session is an error", "[cli]") {
  CHECK_FALSE(Session::Open({.kubeconfig = "/nonexistent/kubeconfig"}).ok());
  CHECK_FALSE(Session::Open({.server = "no address"}).ok());
}

}  // namespace stentor::cli
