// SPDX-License-Identifier: Apache-2.0
#include "controller/app/departed.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/url.h"
#include "controller/reconcile/reconciler.h"

namespace stentor::controller {
namespace {

constexpr Duration kAskAgain = std::chrono::seconds(5);
constexpr Duration kTimeLimit = std::chrono::seconds(10);
constexpr int kAtOnce = 8;
constexpr int kRefusalsBelieved = 4;
constexpr std::string_view kOtherServices =
    "/api/v1/services?fieldSelector=spec.type%21%3DLoadBalancer&limit=500";

bool HasOurAnnotation(const nlohmann::json& object) {
  const nlohmann::json::json_pointer annotations("/metadata/annotations");
  return object.contains(annotations) && object[annotations].is_object() &&
         object[annotations].contains(std::string(kAllocatedFromAnnotation));
}

}  // namespace

Departed::Departed(io::EventLoop& loop, io::KubeClient& client, Handlers handlers)
    : client_(client), handlers_(std::move(handlers)), timer_(loop) {}

void Departed::LookAt(const model::ServiceKey& key) {
  if (asking_ < kAtOnce) {
    Ask(key);
  } else {
    to_ask_.push_back(key);
  }
}

// Where thousands are deleted at once, status writes are not to wait for it.
void Departed::Ask(const model::ServiceKey& key) {
  ++asking_;
  client_.Request({.path = StrCat("/api/v1/namespaces/", key.name_space, "/services/", key.name),
                   .time_limit = kTimeLimit},
                  lifetime_.Bind([this, key](const absl::StatusOr<kube::Response>& response) {
                    --asking_;
                    TakeAnswer(key, response);
                    if (!to_ask_.empty() && asking_ < kAtOnce) {
                      const model::ServiceKey next = to_ask_.front();
                      to_ask_.pop_front();
                      Ask(next);
                    }
                  }));
}

// A refusal is not an absence: an API server that has just started may not know its roles yet.
// Only one that lasts is believed, by whoever may watch Services and may not ask for one.
void Departed::TakeAnswer(const model::ServiceKey& key,
                          const absl::StatusOr<kube::Response>& response) {
  const absl::Status status = kube::StatusOf(response);
  const bool refused = absl::IsPermissionDenied(status);
  refusals_ = refused ? refusals_ + 1 : 0;
  if (absl::IsNotFound(status) || (refused && refusals_ >= kRefusalsBelieved)) {
    handlers_.gone(key);
    return;
  }
  const auto object =
      status.ok() ? kube::ParseApiJson(response->body) : absl::StatusOr<nlohmann::json>(status);
  auto service = object.ok() ? kube::DecodeService(*object, kube::Verbatim::kKeep)
                             : absl::StatusOr<model::Service>(object.status());
  if (!service.ok()) {
    unanswered_.insert(key);
    timer_.ArmAfter(kAskAgain, [this] { AskAgain(); });
  } else if (!service->IsLoadBalancer()) {
    handlers_.found(*std::move(service));
  }
}

void Departed::FindOnce() {
  if (!std::exchange(sought_, true)) {
    List("");
  }
}

void Departed::List(const std::string& continue_token) {
  std::string path(kOtherServices);
  if (!continue_token.empty()) {
    StrAppend(&path, "&continue=", kube::PercentEncode(continue_token));
  }
  client_.Request({.path = std::move(path), .accept = kube::kMetadataOnlyList},
                  lifetime_.Bind([this](const absl::StatusOr<kube::Response>& response) {
                    const absl::Status status = kube::StatusOf(response);
                    if (status.ok()) {
                      TakePage(*response);
                    } else if (!absl::IsNotFound(status)) {  // also where its pages grew too old
                      list_failed_ = true;
                      timer_.ArmAfter(kAskAgain, [this] { AskAgain(); });
                    }
                  }));
}

void Departed::TakePage(const kube::Response& response) {
  const auto page = kube::ParseApiJson(response.body);
  const nlohmann::json::json_pointer items("/items");
  if (!page.ok() || !page->contains(items) || !(*page)[items].is_array()) {
    return;
  }
  for (const nlohmann::json& item : (*page)[items]) {
    const auto key = kube::DecodeKey(item);
    if (key.ok() && HasOurAnnotation(item)) {
      LookAt(*key);
    }
  }
  const nlohmann::json::json_pointer next("/metadata/continue");
  if (page->contains(next) && (*page)[next].is_string() && (*page)[next] != "") {
    List((*page)[next].get<std::string>());
  }
}

void Departed::AskAgain() {
  if (std::exchange(list_failed_, false)) {
    List("");
  }
  for (const model::ServiceKey& key : std::exchange(unanswered_, {})) {
    LookAt(key);
  }
}

}  // namespace stentor::controller
