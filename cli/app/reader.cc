// SPDX-License-Identifier: Apache-2.0
#include "cli/app/reader.h"

#include <array>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"
#include "common/kube/transport.h"
#include "common/kube/url.h"

namespace stentor::cli {
namespace {

constexpr const char* kPageSize = "500";

absl::StatusOr<nlohmann::json> BodyOf(const absl::StatusOr<kube::Response>& response) {
  if (absl::Status status = kube::StatusOf(response); !status.ok()) {
    return status;
  }
  return kube::ParseApiJson(response->body);
}

}  // namespace

absl::Status Reader::Read(Snapshot& snapshot, std::span<const Resource> resources,
                          const std::optional<model::ServiceKey>& service) {
  outstanding_ = resources.size();
  readable_ = 0;
  first_error_ = absl::OkStatus();
  for (const Resource resource : resources) {
    ReadPage(snapshot,
             std::make_shared<Pages>(
                 Pages{.resource = resource, .request = RequestFor(resource, snapshot, service)}));
  }
  loop_.Run();
  if (readable_ > 0) {
    return absl::OkStatus();
  }
  return Annotate(first_error_, StrCat("API server ", client_.server()));
}

absl::Status Reader::ReadAll(Snapshot& snapshot, std::span<const Resource> more) {
  std::vector<Resource> resources(kAlways.begin(), kAlways.end());
  resources.insert(resources.end(), more.begin(), more.end());
  absl::Status status = Read(snapshot, resources);
  if (status.ok()) {
    // What can't be read of it, the snapshot tells.
    (void)Read(snapshot, std::array{Resource::kConfigMap});
  }
  return status;
}

void Reader::ReadPage(Snapshot& snapshot, const std::shared_ptr<Pages>& pages) {
  std::string path = pages->request.path;
  if (!pages->request.single) {
    StrAppend(&path, path.find('?') == std::string::npos ? "?" : "&", "limit=", kPageSize);
    if (!pages->next.empty()) {
      StrAppend(&path, "&continue=", kube::PercentEncode(pages->next));
    }
  }
  client_.Request({.path = std::move(path), .time_limit = limit_}, [this, &snapshot,
                                                                    pages](const auto& response) {
    auto body = BodyOf(response);
    if (absl::IsOutOfRange(body.status()) && !pages->next.empty() && !pages->again) {
      // The list has become too old between two pages.
      pages->again = true;
      pages->next.clear();
      pages->items.clear();
      return ReadPage(snapshot, pages);
    }
    if (!body.ok()) {
      return Finish(snapshot, pages->resource, body.status());
    }
    if (pages->request.single) {
      pages->items.push_back(*std::move(body));
    } else {
      for (const nlohmann::json& item : kube::Member(*body, "items")) {
        pages->items.push_back(item);
      }
      pages->next = kube::TextMember(kube::Member(*body, "metadata"), "continue");
      if (!pages->next.empty()) {
        return ReadPage(snapshot, pages);
      }
    }
    for (const nlohmann::json& item : pages->items) {
      snapshot.Add(pages->resource, item);
    }
    Finish(snapshot, pages->resource, absl::OkStatus());
  });
}

void Reader::Finish(Snapshot& snapshot, Resource resource, const absl::Status& status) {
  if (status.ok()) {
    snapshot.Done(resource);
    ++readable_;
  } else {
    snapshot.Refuse(resource, status);
    first_error_.Update(status);
  }
  if (--outstanding_ == 0) {
    loop_.Stop();
  }
}

absl::StatusOr<nlohmann::json> Reader::Get(const std::string& path) {
  absl::StatusOr<nlohmann::json> body = absl::UnknownError("no answer");
  client_.Request({.path = path, .time_limit = limit_}, [this, &body](const auto& response) {
    body = BodyOf(response);
    loop_.Stop();
  });
  loop_.Run();
  return body;
}

}  // namespace stentor::cli
