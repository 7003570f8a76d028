// SPDX-License-Identifier: Apache-2.0
#include "common/kube/bodies.h"

#include <array>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

// What the decoder kept. That it reads is our own invariant.
json Kept(const std::string& text) {
  absl::StatusOr<json> parsed = ParseJson(text);
  STENTOR_CHECK(parsed.ok() && parsed->is_object()) << "a Service without verbatim metadata";
  return *std::move(parsed);
}

void Change(json& metadata, std::span<const AnnotationChange> changes) {
  json annotations = metadata.value("annotations", json::object());
  if (!annotations.is_object()) {
    annotations = json::object();
  }
  for (const AnnotationChange& change : changes) {
    if (change.value) {
      annotations[change.key] = *change.value;
    } else {
      annotations.erase(change.key);
    }
  }
  if (annotations.empty()) {
    metadata.erase("annotations");
  } else {
    metadata["annotations"] = std::move(annotations);
  }
}

json Ingress(const json& former, std::span<const std::string> ips) {
  json entries = json::array();
  for (const std::string& ip : ips) {
    json entry = json::object({{"ip", ip}});
    for (const json& old : former) {
      if (TextMember(old, "ip") == ip) {
        entry = old;
        break;
      }
    }
    entries.push_back(std::move(entry));
  }
  for (const json& old : former) {
    if (TextMember(old, "ip").empty() && !TextMember(old, "hostname").empty()) {
      entries.push_back(old);
    }
  }
  return entries;
}

// In the place of the former one; a duplicate, which nobody should have made, goes.
void Change(json& status, const ConditionChange& change) {
  json former = status.value("conditions", json::array());
  if (!former.is_array()) {
    former = json::array();
  }
  json::array_t conditions;
  std::optional<json> ours;
  std::size_t place = 0;
  for (json& condition : former) {
    if (TextMember(condition, "type") != change.type) {
      conditions.push_back(std::move(condition));
    } else if (!ours) {
      place = conditions.size();
      ours = std::move(condition);
    }
  }
  if (change.value) {
    const model::Condition& value = *change.value;
    const bool same_status = ours && TextMember(*ours, "status") == value.status;
    std::string since = same_status ? TextMember(*ours, "lastTransitionTime") : "";
    json entry = {
        {"type", change.type},
        {"status", value.status},
        {"reason", value.reason},
        {"message", value.message},
        {"lastTransitionTime", since.empty() ? FormatTime(change.now) : std::move(since)}};
    if (value.observed_generation != 0) {
      entry["observedGeneration"] = value.observed_generation;
    }
    place = ours ? place : conditions.size();
    conditions.insert(conditions.begin() + static_cast<std::ptrdiff_t>(place), std::move(entry));
  }
  if (conditions.empty()) {
    status.erase("conditions");
  } else {
    status["conditions"] = std::move(conditions);
  }
}

std::string Padded(std::int64_t value, std::size_t width) {
  const std::string text = std::to_string(value);
  return text.size() < width ? std::string(width - text.size(), '0') + text : text;
}

}  // namespace

std::string FormatTime(WallTime time) {
  using std::chrono::days;
  using std::chrono::seconds;
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<seconds>(time - day));
  return StrCat(
      Padded(static_cast<int>(date.year()), 4), "-", Padded(static_cast<unsigned>(date.month()), 2),
      "-", Padded(static_cast<unsigned>(date.day()), 2), "T", Padded(clock.hours().count(), 2), ":",
      Padded(clock.minutes().count(), 2), ":", Padded(clock.seconds().count(), 2), "Z");
}

std::string ServiceStatusPath(const model::ServiceKey& key) {
  return StrCat("/api/v1/namespaces/", key.name_space, "/services/", key.name, "/status");
}

std::string BuildServiceStatusBody(const model::Service& service,
                                   std::span<const std::string> ingress_ips,
                                   std::span<const AnnotationChange> annotations,
                                   std::span<const ConditionChange> conditions) {
  json metadata = Kept(service.metadata_json);
  Change(metadata, annotations);
  json status = Kept(service.status_json);

  json load_balancer = status.value("loadBalancer", json::object());
  if (!load_balancer.is_object()) {
    load_balancer = json::object();
  }
  const json former = load_balancer.value("ingress", json::array());
  json entries = Ingress(former, ingress_ips);
  if (entries.empty()) {
    load_balancer.erase("ingress");
  } else {
    load_balancer["ingress"] = std::move(entries);
  }
  status["loadBalancer"] = std::move(load_balancer);
  for (const ConditionChange& change : conditions) {
    Change(status, change);
  }

  return DumpJson({{"apiVersion", "v1"},
                   {"kind", "Service"},
                   {"metadata", std::move(metadata)},
                   {"spec", {{"type", service.type}}},
                   {"status", std::move(status)}});
}

}  // namespace stentor::kube
