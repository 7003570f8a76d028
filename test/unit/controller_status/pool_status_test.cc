// SPDX-License-Identifier: Apache-2.0
#include "controller/status/pool_status.h"

#include <cstdint>
#include <limits>
#include <ostream>
#include <string>

#include "common/kube/codec.h"
#include "test/support/catch.h"

namespace stentor::controller {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxUnsigned = std::numeric_limits<std::uint64_t>::max();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

const json kPool = json::parse(R"({
    "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7",
                 "labels": {"a": "b"}},
    "spec": {"addresses": ["192.0.2.0/24"]}})");

}  // namespace

TEST_CASE("MakePoolFigures", "[status]") {
  struct Case {
    const char* name;
    FamilyUsage ipv4;
    FamilyUsage ipv6;
    PoolFigures want;
  };
  const auto c = GENERATE(values<Case>({
      {"an empty pool", {0, 0}, {0, 0}, {0, 0, 0, 0}},
      {"nothing in use", {256, 0}, {0, 0}, {0, 0, 256, 0}},
      {"some of each", {256, 3}, {16, 5}, {3, 5, 253, 11}},
      {"all in use", {2, 2}, {1, 1}, {2, 1, 0, 0}},
      {"2^63-1 addresses, the most that a status can say",
       {0, 0},
       {static_cast<std::uint64_t>(kMax), 1},
       {0, 1, 0, kMax - 1}},
      {"more addresses than that", {0, 0}, {kMaxUnsigned, 0}, {0, 0, 0, kMax}},
      {"more in use than that", {kMaxUnsigned, kMaxUnsigned}, {0, 0}, {kMax, 0, 0, 0}},
      {"more in use than there are", {2, 3}, {0, 1}, {3, 1, 0, 0}},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(MakePoolFigures(c.ipv4, c.ipv6) == c.want); }
}

TEST_CASE("DecodeSeenPool reads the figures where all four are numbers", "[status]") {
  struct Case {
    const char* name;
    const char* status;
    std::optional<PoolFigures> want;
  };
  const auto c = GENERATE(values<Case>({
      {"no status", "null", std::nullopt},
      {"an empty one", "{}", std::nullopt},
      {"all four", R"({"assignedIPv4":1,"assignedIPv6":2,"availableIPv4":3,"availableIPv6":4})",
       PoolFigures{1, 2, 3, 4}},
      {"the greatest",
       R"({"assignedIPv4":0,"assignedIPv6":0,"availableIPv4":0,
           "availableIPv6":9223372036854775807})",
       PoolFigures{0, 0, 0, kMax}},
      {"beyond",
       R"({"assignedIPv4":0,"assignedIPv6":0,"availableIPv4":0,
           "availableIPv6":9223372036854775808})",
       std::nullopt},
      {"far beyond",
       R"({"assignedIPv4":0,"assignedIPv6":0,"availableIPv4":0,
           "availableIPv6":18446744073709551615})",
       std::nullopt},
      {"negative", R"({"assignedIPv4":-1,"assignedIPv6":2,"availableIPv4":3,"availableIPv6":4})",
       std::nullopt},
      {"one is missing", R"({"assignedIPv4":1,"assignedIPv6":2,"availableIPv4":3})", std::nullopt},
      {"a text", R"({"assignedIPv4":"1","assignedIPv6":2,"availableIPv4":3,"availableIPv6":4})",
       std::nullopt},
      {"a fraction", R"({"assignedIPv4":1.5,"assignedIPv6":2,"availableIPv4":3,"availableIPv6":4})",
       std::nullopt},
      {"no object", "[1,2,3,4]", std::nullopt},
  }));
  DYNAMIC_SECTION(c.name) {
    json object = kPool;
    object["status"] = json::parse(c.status);
    const auto pool = DecodeSeenPool(object);
    REQUIRE(pool.ok());
    CHECK(pool->key == model::ObjectKey{"ns", "p"});
    CHECK(pool->uid == "u");
    CHECK(pool->resource_version == "7");
    CHECK(pool->figures == c.want);
  }
}

TEST_CASE("DecodeSeenPool refuses what nobody could write to", "[status]") {
  const std::string missing = GENERATE("name", "uid", "resourceVersion");
  json object = kPool;
  SECTION("missing: " + missing) { object["metadata"].erase(missing); }
  SECTION("a number: " + missing) { object["metadata"][missing] = 7; }
  SECTION("no object: " + missing) { object = missing; }
  CHECK(absl::IsInvalidArgument(DecodeSeenPool(object).status()));
}

TEST_CASE("PoolStatusRequest says what is to be written, and no more", "[status]") {
  const auto pool = DecodeSeenPool(kPool);
  REQUIRE(pool.ok());
  const kube::Request request = PoolStatusRequest(*pool, {1, 2, 3, kMax});
  CHECK(request.method == "PUT");
  CHECK(request.path ==
        "/apis/metallb.io/v1beta1/namespaces/ns/ipaddresspools/p/status?fieldManager=stentor");
  CHECK(request.body.find(":9223372036854775807") != std::string::npos);
  CHECK(json::parse(request.body) == json::parse(R"({
      "apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool",
      "metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
      "status": {"assignedIPv4": 1, "assignedIPv6": 2, "availableIPv4": 3,
                 "availableIPv6": 9223372036854775807}})"));
}

}  // namespace stentor::controller
