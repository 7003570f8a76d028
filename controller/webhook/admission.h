// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// AdmissionReview (admission.k8s.io/v1, and v1beta1, which has the same fields): what the API
/// server asks before it stores an object, and the answer.
/// https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

namespace stentor::controller {

enum class Operation : std::uint8_t { kCreate, kUpdate, kDelete, kOther };

/// The part of a review that matters here. Who asks (userInfo) is not kept.
struct AdmissionRequest {
  std::string api_version;  ///< Of the review; the answer has the same.
  std::string uid;
  Operation operation = Operation::kOther;
  std::string kind;           ///< request.kind.kind
  std::string name_space;     ///< request.namespace
  std::string name;           ///< request.name; empty where the API server makes it up.
  nlohmann::json object;      ///< Null on DELETE.
  nlohmann::json old_object;  ///< Null on CREATE.
};

/// What the API server is told; `message` is what the user sees.
struct Verdict {
  bool allowed = true;
  int code = 200;  ///< 403 for a refusal, 400 for an object that can't be read.
  std::string message = {};
  std::vector<std::string> warnings = {};

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

/// A refusal as controller-runtime, and so MetalLB, gives it: 403 "Forbidden".
[[nodiscard]] Verdict Denied(std::string message);
/// The object can't be read: 400 "BadRequest".
[[nodiscard]] Verdict Unreadable(std::string message);

/// Reads a review that was parsed within bounds (kube::ParseJson). InvalidArgument, with the field,
/// where it is none.
[[nodiscard]] absl::StatusOr<AdmissionRequest> DecodeAdmissionReview(nlohmann::json review);

/// The answer's body. The API server cuts warnings off at 256 octets, and all of them at 4,096
/// together; so does this, at a character.
[[nodiscard]] std::string EncodeAdmissionReview(const AdmissionRequest& request,
                                                const Verdict& verdict);

}  // namespace stentor::controller
