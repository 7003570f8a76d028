// SPDX-License-Identifier: Apache-2.0

/// \file
/// Many Services at once.

#include <chrono>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/speaker_status/l2_bench.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

model::ServiceKey Numbered(int i) { return {"default", "s" + std::to_string(i)}; }

ServiceInterfaces Numbered(int begin, int end) {
  ServiceInterfaces services;
  for (int i = begin; i < end; ++i) {
    services[Numbered(i)] = {"eth0"};
  }
  return services;
}

std::string OldName(int i) { return "l2-old" + std::to_string(i); }

}  // namespace

TEST_CASE("A thousand Services of a dead node: true within a second, few requests at a time",
          "[l2_status]") {
  L2Bench bench;
  for (int i = 0; i < 1000; ++i) {
    bench.server.Store(L2Object(OldName(i), Numbered(i), "dead"));
  }
  bench.Start();
  bench.latency = 8ms;  // of an API server that has something to do
  bench.keeper().SetAnnounced(Numbered(0, 1000));
  bench.Run(1s);
  CHECK(bench.keeper().pending() == 0);
  CHECK(bench.requests == 3000);
  CHECK(bench.speakers[0].most_under_way == 32);
  for (int i = 0; i < 1000; i += 111) {
    CHECK(bench.Stored(Numbered(i)) == Texts{"n1: eth0"});
  }
  CHECK(bench.server.names.size() == 1000);
}

TEST_CASE("Deletions do not wait behind creations, nor those behind deletions", "[l2_status]") {
  L2Bench bench;
  for (int i = 0; i < 1000; ++i) {
    bench.server.Store(L2Object(OldName(i), Numbered(i), "n1"));
  }
  bench.Start();
  bench.latency = 8ms;
  SECTION("a few deletions") {
    bench.keeper().SetAnnounced(Numbered(10, 2000));
    bench.Run(30ms);
    CHECK(bench.server.objects.Find(OldName(0)) == nullptr);
    CHECK(bench.server.objects.Find(OldName(9)) == nullptr);
    CHECK(bench.keeper().pending() > 500);
  }
  SECTION("a few creations") {
    bench.keeper().SetAnnounced(Numbered(1000, 1003));
    bench.Run(30ms);
    CHECK(bench.Stored(Numbered(1000)) == Texts{"n1: eth0"});
    CHECK(bench.Stored(Numbered(1002)) == Texts{"n1: eth0"});
    CHECK(bench.keeper().pending() > 500);
  }
  bench.Run(3s);
  CHECK(bench.keeper().pending() == 0);
}

TEST_CASE("Who came first is served first", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.latency = 8ms;
  bench.keeper().SetAnnounced(Numbered(500, 1000));
  bench.Run(1ms);
  bench.keeper().SetAnnounced(Numbered(0, 1000));  // earlier by name
  bench.Run(100ms);
  CHECK(bench.server.names.size() > 150);
  for (const std::string& name : bench.server.names) {
    const auto seen = DecodeL2Status(*bench.server.objects.Find(name));
    CHECK(std::stoi(seen->Service()->name.substr(1)) >= 500);
  }
}

TEST_CASE("Five nodes share what a sixth had", "[l2_status]") {
  L2Bench bench({"n0", "n1", "n2", "n3", "n4"});
  for (int i = 0; i < 500; ++i) {
    bench.server.Store(L2Object(OldName(i), Numbered(i), "dead"));
  }
  bench.Start();
  bench.latency = 8ms;
  std::vector<ServiceInterfaces> shares(5);
  for (int i = 0; i < 500; ++i) {
    shares[static_cast<std::size_t>(i % 5)][Numbered(i)] = {};
  }
  for (std::size_t n = 0; n < 5; ++n) {
    bench.keeper(n).SetAnnounced(shares[n]);
  }
  bench.Run(1s);
  for (int i = 0; i < 500; i += 49) {
    CHECK(bench.Stored(Numbered(i)) == Texts{"n" + std::to_string(i % 5)});
  }
  CHECK(bench.requests == 1500);
}

TEST_CASE("One Service that always fails does not hold up a thousand", "[l2_status]") {
  L2Bench bench;
  bench.Start();
  bench.latency = 2ms;
  bench.faults = [](const kube::Request& request) -> std::optional<Answer> {
    if (request.body.find("\"s0\"") != std::string::npos) {
      return kube::Response{500, "{}", std::nullopt};
    }
    return std::nullopt;
  };
  bench.keeper().SetAnnounced(Numbered(0, 1000));
  bench.Run(5s);
  CHECK(bench.keeper().pending() == 1);
  CHECK(bench.server.names.size() == 999);
  bench.TakeRequests();
  bench.Run(1h);
  CHECK(bench.TakeRequests() < 250);
}

}  // namespace stentor::speaker
