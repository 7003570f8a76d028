// SPDX-License-Identifier: Apache-2.0

/// \file
/// Where Services have endpoints: EndpointSlices, or Endpoints where the account may not read those
/// (manifests of MetalLB before 0.10) or the server does not know them. To the reconciler, the
/// Endpoints of a Service are one slice.

#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "speaker/app/speaker.h"

namespace stentor::speaker {
namespace {

constexpr const char* kSlices = "endpointslices";
// Headless Services have no address; their endpoints are the many that nobody needs here.
constexpr const char* kNotHeadless = "!service.kubernetes.io/headless";

}  // namespace

void SpeakerApp::WatchSlices() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto slice = kube::DecodeEndpointSlice(object);
    if (!slice.ok()) {
      Unreadable(slice.status());
      return;
    }
    reconciler_.UpsertSlice(*slice);
    ScheduleReconcile();
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    reconciler_.DeleteSlice(key);
    ScheduleReconcile();
  };
  handlers.on_synced = [this] {
    if (endpoints_watch_) {
      log_.Log(obs::Event::kApiRecovered, "endpointslices can be read now",
               {{"resource", kSlices}});
      DropEndpoints();
    }
    Synced(kSlices);
  };
  handlers.on_refused = [this](const absl::Status& status) {
    if (!endpoints_watch_) {
      log_.Log(obs::Event::kResourceRefused,
               StrCat(std::string(status.message()), "; endpoints are read instead"),
               {{"resource", kSlices}});
      WatchEndpoints();
    }
    // Where neither can be read, nothing goes on.
    return synced_[kSlices] ? io::RetryPace::kPatient : io::RetryPace::kSoon;
  };
  synced_[kSlices] = false;
  watches_.push_back(Watch({.name = kSlices,
                            .path = "/apis/discovery.k8s.io/v1/endpointslices",
                            .field_selector = "",
                            .label_selector = kNotHeadless},
                           std::move(handlers)));
}

void SpeakerApp::WatchEndpoints() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto slice = kube::DecodeEndpoints(object);
    if (!slice.ok()) {
      Unreadable(slice.status());
      return;
    }
    endpoints_.insert(slice->key);
    reconciler_.UpsertSlice(*slice);
    ScheduleReconcile();
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    endpoints_.erase(kube::EndpointsKey(key));
    reconciler_.DeleteSlice(kube::EndpointsKey(key));
    ScheduleReconcile();
  };
  handlers.on_synced = [this] { Synced(kSlices); };
  endpoints_watch_ = Watch({.name = "endpoints",
                            .path = "/api/v1/endpoints",
                            .field_selector = "",
                            .label_selector = kNotHeadless},
                           std::move(handlers));
}

void SpeakerApp::DropEndpoints() {
  endpoints_watch_.reset();
  for (const model::ObjectKey& key : std::exchange(endpoints_, {})) {
    reconciler_.DeleteSlice(key);
  }
  ScheduleReconcile();
}

}  // namespace stentor::speaker
