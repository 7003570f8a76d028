// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Leases of group coordination.k8s.io/v1: from JSON, and as the bodies of writes.
/// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/model/types.h"

namespace stentor::kube {

/// A Lease as it is stored.
struct Lease {
  model::ObjectKey key;
  std::string resource_version;  ///< Never empty.
  std::string holder;            ///< spec.holderIdentity; empty: nobody's.
  Duration duration{};           ///< spec.leaseDurationSeconds; 0 where absent.
  std::int32_t transitions = 0;  ///< spec.leaseTransitions.
  std::string metadata_json;     ///< Verbatim, without managedFields.
  std::string spec_json;         ///< Verbatim.
};

/// Ignores unknown fields, except that they are kept verbatim. InvalidArgument names Lease and
/// field; so it does where there is no name or no resourceVersion, without which an update could
/// overwrite another's. The times in a Lease are its writer's and are not read.
[[nodiscard]] absl::StatusOr<Lease> DecodeLease(const nlohmann::json& json);

/// What a writer states about itself.
struct LeaseClaim {
  std::string holder;                ///< Empty: the Lease is given up.
  std::int32_t duration_seconds{};   ///< Positive, as the API demands.
  WallTime renewed;                  ///< renewTime.
  std::optional<WallTime> acquired;  ///< acquireTime; absent: stays as it is.
  std::int32_t transitions = 0;
};

/// Body of `POST LeasesPath()`.
[[nodiscard]] std::string BuildNewLeaseBody(const model::ObjectKey& key, const LeaseClaim& claim);
/// Body of `PUT LeasePath()`: `former` with its resourceVersion and all that `claim` doesn't say.
[[nodiscard]] std::string BuildLeaseBody(const Lease& former, const LeaseClaim& claim);

/// `/apis/coordination.k8s.io/v1/namespaces/NS/leases`, and the path of one Lease in it.
[[nodiscard]] std::string LeasesPath(std::string_view name_space);
[[nodiscard]] std::string LeasePath(const model::ObjectKey& key);

/// metav1.MicroTime: RFC 3339 in UTC with six digits of a second, 2026-01-31T23:59:59.000001Z.
[[nodiscard]] std::string FormatMicroTime(WallTime time);

}  // namespace stentor::kube
