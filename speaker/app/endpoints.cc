// SPDX-License-Identifier: Apache-2.0

/// \file
/// Where Services have endpoints: EndpointSlices, or Endpoints where the account may not read those
/// (manifests of MetalLB before 0.10) or the server does not know them. To the reconciler, the
/// Endpoints of a Service are one slice. Of both only what a LoadBalancer Service needs is decoded.

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/io/watch_logging.h"
#include "common/kube/codec.h"
#include "speaker/app/facts.h"

namespace stentor::speaker {
namespace {

constexpr const char* kSlices = "endpointslices";
constexpr const char* kSlicesGroup = "/apis/discovery.k8s.io/v1";
constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";
// Headless Services have no address; their endpoints are the many that nobody needs here.
constexpr const char* kNotHeadless = "!service.kubernetes.io/headless";
constexpr Duration kListAgain = std::chrono::seconds(2);

}  // namespace

void Facts::WatchSlices() {
  io::WatchHandlers handlers = LoggingHandlers(kSlices);
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const kube::SliceHeader header = kube::PeekEndpointSlice(object);
    if (!reconciler_.Wants(header)) {
      return;
    }
    seeds_.Confirm(Resource::kSlices, header.key);
    const auto slice = kube::DecodeEndpointSlice(object);
    if (!slice.ok()) {
      Unreadable(slice.status());
      return;
    }
    TakeSlice(*slice);
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    seeds_.Confirm(Resource::kSlices, key);
    Forget(Resource::kSlices, key);
  };
  handlers.on_synced = [this] {
    if (endpoints_watch_) {
      context_.log.Log(obs::Event::kApiRecovered, "endpointslices can be read now",
                       {{"resource", kSlices}});
      DropEndpoints();
    }
    reconciler_.OnSlicesSynced();
    OnSynced(Resource::kSlices);
  };
  handlers.on_refused = [this](const absl::Status& status) {
    if (!endpoints_watch_) {
      context_.log.Log(obs::Event::kResourceRefused,
                       StrCat(std::string(status.message()), "; endpoints are read instead"),
                       {{"resource", kSlices}});
      WatchEndpoints();
    }
    // Where neither can be read, nothing goes on.
    return read_.at(Resource::kSlices) == Read::kRead ? io::RetryPace::kPatient
                                                      : io::RetryPace::kSoon;
  };
  slices_watch_ = context_.client.Watch({.name = kSlices,
                                         .path = StrCat(kSlicesGroup, "/endpointslices"),
                                         .field_selector = "",
                                         .label_selector = kNotHeadless},
                                        std::move(handlers));
}

void Facts::WatchEndpoints() {
  io::WatchHandlers handlers = LoggingHandlers("endpoints");
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const kube::SliceHeader header = kube::PeekEndpoints(object);
    if (!reconciler_.Wants(header)) {
      return;
    }
    seeds_.Confirm(Resource::kSlices, header.key);
    const auto slice = kube::DecodeEndpoints(object);
    if (!slice.ok()) {
      Unreadable(slice.status());
      return;
    }
    endpoints_.insert(slice->key);
    TakeSlice(*slice);
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    const model::ObjectKey as_slice = kube::EndpointsKey(key);
    endpoints_.erase(as_slice);
    seeds_.Confirm(Resource::kSlices, as_slice);
    Forget(Resource::kSlices, as_slice);
  };
  handlers.on_synced = [this] {
    reconciler_.OnSlicesSynced();
    OnSynced(Resource::kSlices);
  };
  endpoints_watch_ = context_.client.Watch({.name = "endpoints",
                                            .path = "/api/v1/endpoints",
                                            .field_selector = "",
                                            .label_selector = kNotHeadless},
                                           std::move(handlers));
}

void Facts::TakeSlice(const model::EndpointSlice& slice) {
  ++metrics_.updates;
  Put(slice);
  handlers_.on_change();
}

void Facts::DropEndpoints() {
  endpoints_watch_.reset();
  for (const model::ObjectKey& key : std::exchange(endpoints_, {})) {
    Forget(Resource::kSlices, key);
  }
}

// Of a Service that became a LoadBalancer after its slices were seen and left out.
void Facts::ListSlices(const model::ServiceKey& service) {
  kube::Request request;
  if (endpoints_watch_) {
    request.path = StrCat("/api/v1/namespaces/", service.name_space,
                          "/endpoints?fieldSelector=metadata.name%3D", service.name);
  } else {
    request.path = StrCat(kSlicesGroup, "/namespaces/", service.name_space,
                          "/endpointslices?labelSelector=", kServiceNameLabel, "%3D", service.name);
  }
  const bool as_endpoints = endpoints_watch_ != nullptr;
  context_.client.Request(
      std::move(request),
      lifetime_.Bind([this, service, as_endpoints](const absl::StatusOr<kube::Response>& response) {
        OnSlices(service, as_endpoints, response);
      }));
}

void Facts::OnSlices(const model::ServiceKey& service, bool as_endpoints,
                     const absl::StatusOr<kube::Response>& response) {
  const auto list = kube::StatusOf(response).ok()
                        ? kube::ParseApiJson(response->body)
                        : absl::StatusOr<nlohmann::json>(kube::StatusOf(response));
  if (!list.ok() || !list->contains("items") || !(*list)["items"].is_array()) {
    ++metrics_.update_errors;
    io::Timer& timer = list_again_.try_emplace(service, context_.loop).first->second;
    timer.ArmAfter(kListAgain, [this, service] {
      reconciler_.OnSlicesListFailed(service);
      handlers_.on_change();
      list_again_.erase(service);  // this timer: nothing of it is used any more
    });
    return;
  }
  std::vector<model::EndpointSlice> slices;
  for (const nlohmann::json& item : (*list)["items"]) {
    auto slice = as_endpoints ? kube::DecodeEndpoints(item) : kube::DecodeEndpointSlice(item);
    if (!slice.ok()) {
      Unreadable(slice.status());
      continue;
    }
    slices.push_back(*std::move(slice));
  }
  reconciler_.OnSlicesListed(service, slices);
  handlers_.on_change();
}

}  // namespace stentor::speaker
