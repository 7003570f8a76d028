// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Events about objects of any kind.

#include <string>

#include "common/kube/bodies.h"
#include "common/model/types.h"

namespace stentor::kube {

/// What an event is about (involvedObject).
struct EventObject {
  std::string api_version;  ///< "v1", "metallb.io/v1beta1"
  std::string kind;
  model::ObjectKey key;
  std::string uid;
  std::string resource_version;  ///< Empty: left out.
};

/// Body of `POST EventsPath(about.key.name_space)`; as for a Service.
[[nodiscard]] std::string BuildEventBody(const EventObject& about, const ServiceEvent& event);

}  // namespace stentor::kube
