// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// One Lease as the API server keeps it: created once, replaced only under its resourceVersion.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/lease.h"
#include "common/kube/transport.h"

namespace stentor::test {

class LeaseServer {
 public:
  explicit LeaseServer(model::ObjectKey key) : key_(std::move(key)) {}

  /// Serves a request, all at once.
  [[nodiscard]] kube::Response Handle(const kube::Request& request) {
    const bool create = request.method == "POST";
    if (request.path != (create ? kube::LeasesPath(key_.name_space) : kube::LeasePath(key_))) {
      return Failure(404, "NotFound");
    }
    if (request.method == "GET") {
      return lease_ ? Object() : Failure(404, "NotFound");
    }
    const auto body = kube::ParseJson(request.body);
    if (!body.ok() || body->at("spec").at("leaseDurationSeconds").get<int>() <= 0) {
      return Failure(422, "Invalid");
    }
    const std::string version = body->at("metadata").value("resourceVersion", "");
    if (create) {
      if (lease_) {
        return Failure(409, "AlreadyExists");
      }
    } else {
      if (!lease_) {
        return Failure(404, "NotFound");
      }
      if (version != StoredVersion()) {
        return Failure(409, "Conflict");
      }
    }
    Store(*body);
    return Object();
  }

  /// Stores `lease` as somebody else would.
  void Store(nlohmann::json lease) {
    lease["metadata"]["resourceVersion"] = std::to_string(++version_);
    lease_ = std::move(lease);
  }
  void Edit(const char* field, const nlohmann::json& value) {
    nlohmann::json lease = *lease_;
    lease["spec"][field] = value;
    Store(std::move(lease));
  }
  void Delete() {
    ++version_;
    lease_.reset();
  }

  [[nodiscard]] const std::optional<nlohmann::json>& lease() const { return lease_; }
  [[nodiscard]] kube::Lease Decoded() const { return *kube::DecodeLease(*lease_); }
  [[nodiscard]] std::string Holder() const {
    return lease_ ? (*lease_)["spec"]["holderIdentity"].get<std::string>() : std::string();
  }
  /// Grows with each change.
  [[nodiscard]] std::uint64_t version() const { return version_; }

 private:
  [[nodiscard]] std::string StoredVersion() const {
    return (*lease_)["metadata"]["resourceVersion"].get<std::string>();
  }
  [[nodiscard]] kube::Response Object() const { return {200, lease_->dump(), std::nullopt}; }
  [[nodiscard]] static kube::Response Failure(int code, const char* reason) {
    return {code, StrCat(R"({"kind":"Status","message":"no","reason":")", reason, R"("})"),
            std::nullopt};
  }

  const model::ObjectKey key_;
  std::optional<nlohmann::json> lease_;
  std::uint64_t version_ = 100;
};

}  // namespace stentor::test
