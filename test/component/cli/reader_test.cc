// SPDX-License-Identifier: Apache-2.0
#include "cli/app/reader.h"

#include <array>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
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

TEST_CASE("Of a list that breaks off nothing is taken for all", "[cli]") {
  test::FakeApiServer server;
  for (int i = 0; i < 600; ++i) {
    server.Put("services", Named("default", StrCat("s", i)));
  }
  server.Put("nodes", {{"metadata", {{"name", "node-1"}}}});
  server.Inject({.match = "continue=", .code = 403, .count = 5});
  const auto session = Open(server.url());
  Snapshot snapshot("ns");
  REQUIRE(session->reader().Read(snapshot, std::array{Resource::kServices, Resource::kNodes}).ok());
  CHECK(snapshot.services.empty());
  CHECK_FALSE(snapshot.Knows(Resource::kServices));
  CHECK(snapshot.Knows(Resource::kNodes));
}

TEST_CASE("A list that became too old between two pages is begun anew", "[cli]") {
  test::FakeApiServer server;
  for (int i = 0; i < 600; ++i) {
    server.Put("services", Named("default", StrCat("s", i)));
  }
  server.Inject({.match = "continue=", .code = 410});
  const auto session = Open(server.url());
  Snapshot snapshot("ns");
  REQUIRE(session->reader().Read(snapshot, std::array{Resource::kServices}).ok());
  CHECK(snapshot.services.size() == 600);
  CHECK(snapshot.Knows(Resource::kServices));
}

TEST_CASE("Only of kinds that may be absent 404 is no error", "[cli]") {
  test::FakeApiServer server;
  server.Put("nodes", {{"metadata", {{"name", "node-1"}}}});
  server.Inject({.match = "/api/v1/services", .code = 404});
  server.Inject({.match = "servicel2statuses", .code = 404});
  server.Inject({.match = "/configmaps/config", .code = 404});
  const auto session = Open(server.url());
  Snapshot snapshot("ns");
  REQUIRE(session->reader()
              .Read(snapshot, std::array{Resource::kServices, Resource::kStatuses,
                                         Resource::kConfigMap, Resource::kNodes})
              .ok());
  CHECK_FALSE(snapshot.Knows(Resource::kServices));
  CHECK_FALSE(snapshot.Lacks(Resource::kServices));
  CHECK(snapshot.Lacks(Resource::kStatuses));
  CHECK(snapshot.Knows(Resource::kConfigMap));  // that there is none
  REQUIRE(snapshot.problems.size() == 1);
  CHECK(snapshot.problems[0].starts_with("cannot read services: "));
}

TEST_CASE("The ConfigMap that is read is the one that the pods name", "[cli]") {
  test::FakeApiServer server;
  server.Put(
      "pods",
      {{"metadata",
        {{"namespace", "ns"}, {"name", "controller-1"}, {"labels", {{"component", "controller"}}}}},
       {"spec", {{"containers", {{{"args", {"--config=old"}}}}}}}});
  const auto session = Open(server.url());
  Snapshot snapshot("ns");
  REQUIRE(session->reader().ReadAll(snapshot).ok());
  CHECK(server.CountOf("/api/v1/namespaces/ns/configmaps/old") == 1);
}

TEST_CASE("Documents one after the other can be told from each other", "[cli]") {
  const nlohmann::ordered_json json{{"a", "b"}};
  const auto printed = [&json](Format format) {
    std::ostringstream out;
    std::streambuf* const before = std::cout.rdbuf(out.rdbuf());
    const bool both = Print(format, "text\x1b\n", json) && Print(format, "text\n", json, true);
    std::cout.rdbuf(before);
    CHECK(both);
    return out.str();
  };
  CHECK(printed(Format::kYaml) == "a: b\n---\na: b\n");
  CHECK(printed(Format::kText) == "text\\x1b\n\ntext\n");
}

TEST_CASE("Output that can't be written is noticed", "[cli]") {
  std::ofstream full("/dev/full");
  std::streambuf* const before = std::cout.rdbuf(full.rdbuf());
  const bool printed = Print(Format::kText, "text\n", {});
  std::cout.rdbuf(before);
  std::cout.clear();
  CHECK_FALSE(printed);
}

TEST_CASE("--watch rests the longer, the longer a look takes", "[cli]") {
  CHECK(WatchPause(std::chrono::milliseconds(10)) == std::chrono::seconds(2));
  CHECK(WatchPause(std::chrono::seconds(3)) == std::chrono::seconds(12));
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
  CHECK_FALSE(snapshot.Knows(Resource::kNodes));
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
