// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// core/v1 Events about objects of any kind.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/time.h"
#include "common/model/objects.h"
#include "common/model/types.h"

namespace stentor::kube {

enum class EventType : std::uint8_t { kNormal, kWarning };

/// What an event says.
struct EventContent {
  EventType type = EventType::kNormal;
  std::string reason;
  std::string message;       ///< Fitted into the API's 1,024 octets (FitText).
  std::string component;     ///< source.component and reportingComponent: metallb-controller.
  std::string host;          ///< source.host; empty: left out.
  WallTime time;             ///< Now.
  std::uint64_t suffix = 0;  ///< Random: makes the event's name, `object.hex`, unique.
};

/// What an event is about (involvedObject).
struct EventObject {
  std::string api_version;  ///< "v1", "metallb.io/v1beta1"
  std::string kind;
  model::ObjectKey key;
  std::string uid;
  std::string resource_version;  ///< Empty: left out.
};

/// Body of `POST EventsPath(about.key.name_space)`.
[[nodiscard]] std::string BuildEventBody(const EventObject& about, const EventContent& event);
/// The same about a Service.
[[nodiscard]] std::string BuildEventBody(const model::Service& service, const EventContent& event);

/// `/api/v1/namespaces/NS/events`
[[nodiscard]] std::string EventsPath(std::string_view name_space);

}  // namespace stentor::kube
