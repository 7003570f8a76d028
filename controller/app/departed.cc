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
constexpr std::string_view kOtherServices =
    "/api/v1/services?fieldSelector=spec.type%21%3DLoadBalancer&limit=500";
constexpr const char* kMetadataOnly =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

bool HasOurAnnotation(const nlohmann::json& object) {
  const nlohmann::json::json_pointer annotations("/metadata/annotations");
  return object.contains(annotations) && object[annotations].is_object() &&
         object[annotations].contains(std::string(kAllocatedFromAnnotation));
}

absl::Status StatusOfAnswer(const absl::StatusOr<kube::Response>& response) {
  return response.ok() ? kube::StatusOf(*response) : response.status();
}

// What may be another answer next time; a refusal is not, and a 404 is an answer.
bool IsPassing(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsOutOfRange(status);
}

}  // namespace

Departed::Departed(io::EventLoop& loop, io::KubeClient& client, Handlers handlers)
    : client_(client), handlers_(std::move(handlers)), timer_(loop) {}

void Departed::LookAt(const model::ServiceKey& key) {
  // In the background: where thousands are deleted at once, status writes are not to wait for it.
  client_.Request({.path = StrCat("/api/v1/namespaces/", key.name_space, "/services/", key.name),
                   .priority = kube::Priority::kBackground},
                  lifetime_.Bind([this, key](const absl::StatusOr<kube::Response>& response) {
                    const absl::Status status = StatusOfAnswer(response);
                    if (IsPassing(status)) {
                      unanswered_.insert(key);
                      timer_.ArmAfter(kAskAgain, [this] { AskAgain(); });
                      return;
                    }
                    if (!status.ok()) {  // who may not ask takes the watch's word
                      handlers_.gone(key);
                      return;
                    }
                    const auto object = kube::ParseJson(response->body);
                    auto service = object.ok() ? kube::DecodeService(*object, kube::Verbatim::kKeep)
                                               : absl::StatusOr<model::Service>(object.status());
                    if (!service.ok()) {
                      handlers_.gone(key);
                    } else if (!service->IsLoadBalancer()) {
                      handlers_.found(*std::move(service));
                    }
                  }));
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
  client_.Request({.path = std::move(path), .accept = kMetadataOnly},
                  lifetime_.Bind([this](const absl::StatusOr<kube::Response>& response) {
                    const absl::Status status = StatusOfAnswer(response);
                    if (status.ok()) {
                      TakePage(*response);
                    } else if (IsPassing(status)) {  // also where the pages grew too old: anew
                      list_failed_ = true;
                      timer_.ArmAfter(kAskAgain, [this] { AskAgain(); });
                    }
                  }));
}

void Departed::TakePage(const kube::Response& response) {
  const auto page = kube::ParseJson(response.body);
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
