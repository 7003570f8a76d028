// SPDX-License-Identifier: Apache-2.0
#include "common/kube/lease.h"

#include <chrono>
#include <string>

#include <nlohmann/json.hpp>

#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using nlohmann::json;
using std::chrono::microseconds;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::year;

json Object() {
  return json::parse(R"({
    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
    "metadata": {"namespace": "metallb-system", "name": "stentor-controller", "uid": "u",
      "resourceVersion": "17", "labels": {"a": "b"}, "managedFields": [{"manager": "m"}]},
    "spec": {"holderIdentity": "pod_1", "leaseDurationSeconds": 15, "leaseTransitions": 3,
      "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-02T00:00:00.000000Z",
      "preferredHolder": "x", "strategy": "s"}})");
}

const WallTime kNoon = WallTime(sys_days(year(2026) / 2 / 28)) + seconds(43200) + microseconds(7);

}  // namespace

TEST_CASE("A Lease is read", "[lease]") {
  const auto lease = DecodeLease(Object());
  REQUIRE(lease.ok());
  CHECK(lease->key == model::ObjectKey{"metallb-system", "stentor-controller"});
  CHECK(lease->resource_version == "17");
  CHECK(lease->holder == "pod_1");
  CHECK(lease->duration == seconds(15));
  CHECK(lease->transitions == 3);

  json bare = Object();
  bare.erase("spec");
  const auto nobody = DecodeLease(bare);
  REQUIRE(nobody.ok());
  CHECK(nobody->holder.empty());
  CHECK(nobody->duration == Duration::zero());
}

TEST_CASE("A Lease that is none is refused by field", "[lease]") {
  struct Case {
    const char* name;
    const char* pointer;
    json value;
    const char* error;
  };
  const auto c = GENERATE(values<Case>({
      {"holder is a number", "/spec/holderIdentity", 1, "spec.holderIdentity: expected a string"},
      {"duration is a text", "/spec/leaseDurationSeconds", "15",
       "spec.leaseDurationSeconds: expected a number"},
      {"duration is negative", "/spec/leaseDurationSeconds", -1,
       "spec.leaseDurationSeconds: expected a number"},
      {"duration is beyond int32", "/spec/leaseDurationSeconds", 1LL << 31,
       "spec.leaseDurationSeconds: expected a number"},
      {"transitions are a fraction", "/spec/leaseTransitions", 1.5,
       "spec.leaseTransitions: expected a number"},
      {"spec is a list", "/spec", json::array(), "spec: expected an object"},
      {"metadata is a text", "/metadata", "x", "metadata: expected an object"},
      {"no name", "/metadata/name", "", "metadata.name: expected a name"},
      {"no version", "/metadata/resourceVersion", nullptr,
       "metadata.resourceVersion: expected a version"},
  }));
  DYNAMIC_SECTION(c.name) {
    json object = Object();
    object[json::json_pointer(c.pointer)] = c.value;
    const auto lease = DecodeLease(object);
    REQUIRE_FALSE(lease.ok());
    CHECK(lease.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(lease.status().message()), Catch::Contains(c.error));
  }
  CHECK_FALSE(DecodeLease(json::array()).ok());
}

TEST_CASE("A write changes what it claims and nothing else", "[lease]") {
  const json object = Object();
  LeaseClaim claim{.holder = "pod_1",
                   .duration_seconds = 20,
                   .renewed = kNoon,
                   .acquired = std::nullopt,
                   .transitions = 3};
  json expected = object;
  expected["metadata"].erase("managedFields");
  expected["spec"]["leaseDurationSeconds"] = 20;
  expected["spec"]["renewTime"] = "2026-02-28T12:00:00.000007Z";
  CHECK(json::parse(BuildLeaseBody(*DecodeLease(object), claim)) == expected);

  claim.holder = "pod_2";
  claim.acquired = kNoon + microseconds(999'992);
  claim.transitions = 4;
  expected["spec"]["holderIdentity"] = "pod_2";
  expected["spec"]["acquireTime"] = "2026-02-28T12:00:00.999999Z";
  expected["spec"]["leaseTransitions"] = 4;
  CHECK(json::parse(BuildLeaseBody(*DecodeLease(object), claim)) == expected);

  const model::ObjectKey key{"ns", "name"};
  CHECK(json::parse(BuildNewLeaseBody(key, claim)) ==
        json{{"apiVersion", "coordination.k8s.io/v1"},
             {"kind", "Lease"},
             {"metadata", {{"namespace", "ns"}, {"name", "name"}}},
             {"spec",
              {{"holderIdentity", "pod_2"},
               {"leaseDurationSeconds", 20},
               {"leaseTransitions", 4},
               {"acquireTime", "2026-02-28T12:00:00.999999Z"},
               {"renewTime", "2026-02-28T12:00:00.000007Z"}}}});
  CHECK(LeasesPath("ns") == "/apis/coordination.k8s.io/v1/namespaces/ns/leases");
  CHECK(LeasePath(key) == "/apis/coordination.k8s.io/v1/namespaces/ns/leases/name");
}

TEST_CASE("MicroTime has six digits, always", "[lease]") {
  CHECK(FormatMicroTime(WallTime{}) == "1970-01-01T00:00:00.000000Z");
  CHECK(FormatMicroTime(WallTime{} + microseconds(120'000)) == "1970-01-01T00:00:00.120000Z");
  CHECK(FormatMicroTime(WallTime{} + seconds(1) - std::chrono::nanoseconds(1)) ==
        "1970-01-01T00:00:00.999999Z");
  CHECK(FormatMicroTime(WallTime{} - microseconds(1)) == "1969-12-31T23:59:59.999999Z");
}

}  // namespace stentor::kube
