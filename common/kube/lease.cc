// SPDX-License-Identifier: Apache-2.0
#include "common/kube/lease.h"

#include <chrono>
#include <limits>
#include <utility>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/kube/bodies.h"
#include "common/kube/codec.h"
#include "common/kube/json_cursor.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxInt32 = std::numeric_limits<std::int32_t>::max();

std::string Text(const json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_object()) {
    return "{}";
  }
  json copy = *it;
  copy.erase("managedFields");  // a spec has none
  return DumpJson(copy);
}

// What the decoder kept. That it reads is our own invariant.
json Kept(const std::string& text) {
  absl::StatusOr<json> parsed = ParseJson(text);
  STENTOR_CHECK(parsed.ok() && parsed->is_object()) << "a Lease that was not decoded";
  return *std::move(parsed);
}

std::string Body(json metadata, json spec, const LeaseClaim& claim) {
  spec["holderIdentity"] = claim.holder;
  spec["leaseDurationSeconds"] = claim.duration_seconds;
  spec["leaseTransitions"] = claim.transitions;
  spec["renewTime"] = FormatMicroTime(claim.renewed);
  if (claim.acquired) {
    spec["acquireTime"] = FormatMicroTime(*claim.acquired);
  }
  return DumpJson({{"apiVersion", "coordination.k8s.io/v1"},
                   {"kind", "Lease"},
                   {"metadata", std::move(metadata)},
                   {"spec", std::move(spec)}});
}

}  // namespace

absl::StatusOr<Lease> DecodeLease(const json& json) {
  absl::Status error;
  const JsonCursor root(json, &error);
  const JsonCursor metadata = root.At("metadata");
  Lease lease;
  lease.key = {metadata.At("namespace").String(), metadata.At("name").String()};
  lease.resource_version = metadata.At("resourceVersion").String();
  const JsonCursor spec = root.At("spec");
  lease.holder = spec.At("holderIdentity").String();
  lease.duration = std::chrono::seconds(spec.At("leaseDurationSeconds").Integer(0, kMaxInt32));
  lease.transitions = static_cast<std::int32_t>(spec.At("leaseTransitions").Integer(0, kMaxInt32));
  if (lease.key.name.empty()) {
    metadata.At("name").Fail("a name");
  }
  if (lease.resource_version.empty()) {
    metadata.At("resourceVersion").Fail("a version");
  }
  if (!error.ok()) {
    return absl::InvalidArgumentError(
        StrCat("Lease ", lease.key.ToString(), ": ", std::string(error.message())));
  }
  lease.metadata_json = Text(json, "metadata");
  lease.spec_json = Text(json, "spec");
  return lease;
}

std::string BuildNewLeaseBody(const model::ObjectKey& key, const LeaseClaim& claim) {
  return Body({{"name", key.name}, {"namespace", key.name_space}}, json::object(), claim);
}

std::string BuildLeaseBody(const Lease& former, const LeaseClaim& claim) {
  return Body(Kept(former.metadata_json), Kept(former.spec_json), claim);
}

std::string LeasesPath(std::string_view name_space) {
  return StrCat("/apis/coordination.k8s.io/v1/namespaces/", name_space, "/leases");
}

std::string LeasePath(const model::ObjectKey& key) {
  return StrCat(LeasesPath(key.name_space), "/", key.name);
}

std::string FormatMicroTime(WallTime time) {
  using std::chrono::microseconds;
  const auto fraction =
      std::chrono::floor<microseconds>(time) - std::chrono::floor<std::chrono::seconds>(time);
  std::string text = FormatTime(time);
  text.back() = '.';  // in place of the Z
  // Seven digits of which the first is 1: leading zeros stay.
  const std::string digits = std::to_string(1'000'000 + fraction.count());
  return text.append(digits, 1).append("Z");
}

}  // namespace stentor::kube
