// SPDX-License-Identifier: Apache-2.0
#include "common/kube/event_body.h"

#include <cstdint>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "common/kube/bodies.h"
#include "common/kube/codec.h"
#include "common/kube/text.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxMessageOctets = 1024;  // EventsV1 validation: NoteLengthLimit
constexpr std::size_t kMaxNameOctets = 253;      // of a DNS subdomain

std::string Hex(std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t i = text.size(); i-- > 0; value >>= 4U) {
    text[i] = kDigits[value & 0xfU];
  }
  return text;
}

// `object.hex`. An object's name may be as long as an event's: then its end is left out, and what
// stays must not end in a dot or dash.
std::string EventName(const std::string& object, std::uint64_t suffix) {
  const std::string end = StrCat(".", Hex(suffix));
  std::string name = object.substr(0, kMaxNameOctets - end.size());
  while (!name.empty() && (name.back() == '.' || name.back() == '-')) {
    name.pop_back();
  }
  return name + end;
}

}  // namespace

std::string BuildEventBody(const EventObject& about, const EventContent& event) {
  const std::string time = FormatTime(event.time);
  json object = {{"apiVersion", about.api_version},
                 {"kind", about.kind},
                 {"namespace", about.key.name_space},
                 {"name", about.key.name},
                 {"uid", about.uid}};
  if (!about.resource_version.empty()) {
    object["resourceVersion"] = about.resource_version;
  }
  json source = {{"component", event.component}};
  if (!event.host.empty()) {
    source["host"] = event.host;
  }
  return DumpJson(
      {{"apiVersion", "v1"},
       {"kind", "Event"},
       {"metadata",
        {{"name", EventName(about.key.name, event.suffix)}, {"namespace", about.key.name_space}}},
       {"involvedObject", std::move(object)},
       {"type", event.type == EventType::kNormal ? "Normal" : "Warning"},
       {"reason", event.reason},
       {"message", FitText(event.message, kMaxMessageOctets)},
       {"source", std::move(source)},
       {"reportingComponent", event.component},
       {"reportingInstance", event.host},
       {"firstTimestamp", time},
       {"lastTimestamp", time},
       {"count", 1}});
}

std::string BuildEventBody(const model::Service& service, const EventContent& event) {
  return BuildEventBody(EventObject{.api_version = "v1",
                                    .kind = "Service",
                                    .key = service.key,
                                    .uid = service.uid,
                                    .resource_version = service.resource_version},
                        event);
}

std::string EventsPath(std::string_view name_space) {
  return StrCat("/api/v1/namespaces/", name_space, "/events");
}

}  // namespace stentor::kube
