// SPDX-License-Identifier: Apache-2.0
#include "cli/app/reader.h"

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
  return kube::ParseJson(response->body);
}

}  // namespace

absl::Status Reader::Read(Snapshot& snapshot, std::span<const Resource> resources,
                          const std::optional<model::ServiceKey>& service) {
  outstanding_ = resources.size();
  readable_ = 0;
  first_error_ = absl::OkStatus();
  for (const Resource resource : resources) {
    ReadPage(snapshot, resource, RequestFor(resource, snapshot.name_space, service), "");
  }
  loop_.Run();
  if (readable_ > 0) {
    return absl::OkStatus();
  }
  return Annotate(first_error_, StrCat("API server ", client_.server()));
}

void Reader::ReadPage(Snapshot& snapshot, Resource resource, const ResourceRequest& request,
                      const std::string& next) {
  std::string path = request.path;
  if (!request.single) {
    StrAppend(&path, path.find('?') == std::string::npos ? "?" : "&", "limit=", kPageSize);
    if (!next.empty()) {
      StrAppend(&path, "&continue=", kube::PercentEncode(next));
    }
  }
  client_.Request({.path = std::move(path), .time_limit = limit_}, [this, &snapshot, resource,
                                                                    request](auto response) {
    const auto body = BodyOf(response);
    if (!body.ok() || request.single) {
      if (body.ok()) {
        snapshot.Add(resource, *body);
      }
      Finish(snapshot, resource, body.status());
      return;
    }
    for (const nlohmann::json& item : kube::Member(*body, "items")) {
      snapshot.Add(resource, item);
    }
    const std::string more = kube::TextMember(kube::Member(*body, "metadata"), "continue");
    if (more.empty()) {
      Finish(snapshot, resource, absl::OkStatus());
    } else {
      ReadPage(snapshot, resource, request, more);
    }
  });
}

void Reader::Finish(Snapshot& snapshot, Resource resource, const absl::Status& status) {
  if (status.ok() || absl::IsNotFound(status)) {
    ++readable_;
  } else if (first_error_.ok()) {
    first_error_ = status;
  }
  if (!status.ok()) {
    snapshot.Refuse(resource, status);
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
