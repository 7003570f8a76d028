// SPDX-License-Identifier: Apache-2.0
#include "controller/status/pool_status.h"

#include <algorithm>
#include <limits>

#include "absl/status/status.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_cursor.h"

namespace stentor::controller {
namespace {

using nlohmann::json;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

std::int64_t Saturated(std::uint64_t value) {
  return static_cast<std::int64_t>(std::min(value, static_cast<std::uint64_t>(kMax)));
}

// Absent unless all four are there, as numbers of addresses.
std::optional<PoolFigures> FiguresOf(const kube::JsonCursor& object_status,
                                     const absl::Status& error) {
  bool complete = true;
  const auto read = [&](const char* key) {
    const kube::JsonCursor figure = object_status.At(key);
    complete = complete && figure.IsPresent();
    return figure.Integer(0, kMax);
  };
  const PoolFigures figures{.assigned_ipv4 = read("assignedIPv4"),
                            .assigned_ipv6 = read("assignedIPv6"),
                            .available_ipv4 = read("availableIPv4"),
                            .available_ipv6 = read("availableIPv6")};
  return complete && error.ok() ? std::optional(figures) : std::nullopt;
}

}  // namespace

PoolFigures MakePoolFigures(const FamilyUsage& ipv4, const FamilyUsage& ipv6) {
  const auto available = [](const FamilyUsage& usage) {
    const std::int64_t total = Saturated(usage.total);
    return total - std::min(Saturated(usage.in_use), total);
  };
  return {.assigned_ipv4 = Saturated(ipv4.in_use),
          .assigned_ipv6 = Saturated(ipv6.in_use),
          .available_ipv4 = available(ipv4),
          .available_ipv6 = available(ipv6)};
}

absl::StatusOr<SeenPool> DecodeSeenPool(const json& json_object) {
  absl::Status error;
  const kube::JsonCursor root(json_object, &error);
  const kube::JsonCursor metadata = root.At("metadata");
  SeenPool pool{.key = {metadata.At("namespace").String(), metadata.At("name").String()},
                .uid = metadata.At("uid").String(),
                .resource_version = metadata.At("resourceVersion").String()};
  if (pool.key.name.empty() || pool.uid.empty() || pool.resource_version.empty()) {
    return absl::InvalidArgumentError(
        "an IPAddressPool without metadata.name, uid or resourceVersion");
  }
  pool.figures = FiguresOf(root.At("status"), error);
  return pool;
}

kube::Request PoolStatusRequest(const SeenPool& pool, const PoolFigures& figures) {
  return {.method = "PUT",
          .path = StrCat("/apis/metallb.io/v1beta1/namespaces/", pool.key.name_space,
                         "/ipaddresspools/", pool.key.name, "/status?fieldManager=stentor"),
          .body = kube::DumpJson({{"apiVersion", "metallb.io/v1beta1"},
                                  {"kind", "IPAddressPool"},
                                  {"metadata",
                                   {{"namespace", pool.key.name_space},
                                    {"name", pool.key.name},
                                    {"uid", pool.uid},
                                    {"resourceVersion", pool.resource_version}}},
                                  {"status",
                                   {{"assignedIPv4", figures.assigned_ipv4},
                                    {"assignedIPv6", figures.assigned_ipv6},
                                    {"availableIPv4", figures.available_ipv4},
                                    {"availableIPv6", figures.available_ipv6}}}})};
}

}  // namespace stentor::controller
