// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The bodies of what Stentor writes to the API server; those of events are in event_body.h.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/time.h"
#include "common/kube/event_body.h"
#include "common/model/objects.h"

namespace stentor::kube {

/// Sets an annotation, or removes it where `value` is absent.
struct AnnotationChange {
  std::string key;
  std::optional<std::string> value;
};

/// Sets a condition, or removes it where `value` is absent.
struct ConditionChange {
  std::string type;
  std::optional<model::Condition> value;
  WallTime now;  ///< Becomes lastTransitionTime where the condition is new or its status changes.
};

/// Body of `PUT .../services/NAME/status`. Such a PUT takes all metadata from the body, so it
/// carries the Service's metadata as it was (with resourceVersion, without managedFields),
/// annotations changed; spec.type, without which the server refuses it; and the former status, in
/// which loadBalancer.ingress becomes `ingress_ips`, in this order. An entry that was there keeps
/// its other fields (ipMode, ports); entries that have only a hostname are another's and stay, at
/// the end. Where no entry is left, loadBalancer is {}. Of status.conditions those in `conditions`
/// are changed, the others stay. Precondition: `service` was decoded with Verbatim::kKeep.
[[nodiscard]] std::string BuildServiceStatusBody(const model::Service& service,
                                                 std::span<const std::string> ingress_ips,
                                                 std::span<const AnnotationChange> annotations,
                                                 std::span<const ConditionChange> conditions = {});

/// `/api/v1/namespaces/NS/services/NAME/status`
[[nodiscard]] std::string ServiceStatusPath(const model::ServiceKey& key);

/// RFC 3339 in UTC with whole seconds, as metav1.Time: 2026-01-31T23:59:59Z.
[[nodiscard]] std::string FormatTime(WallTime time);

}  // namespace stentor::kube
