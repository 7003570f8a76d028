// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the webhook server answers to a POST: a pure function, which the server's shell calls.

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "controller/webhook/admission.h"
#include "controller/webhook/facts.h"

namespace stentor::controller {

struct HttpAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;

  friend bool operator==(const HttpAnswer&, const HttpAnswer&) = default;
};

/// Whether `target` (with or without a query, which the API server uses for its timeout) is one of
/// the webhooks' paths; for instance to refuse a body before it is read.
[[nodiscard]] bool IsWebhookPath(std::string_view target);

/// A review of an object of `kind`, which can be answered once it is known what is stored.
struct PendingReview {
  Kind kind = Kind::kIpAddressPool;
  AdmissionRequest request;
};

/// Reads a request. The answer at once where nothing stored matters: 404 for a path that is none of
/// ours, 413 for a body longer than `max_body` octets, 400 with the reason where it is no review of
/// the path's kind; a conversion.
[[nodiscard]] std::variant<HttpAnswer, PendingReview> ReadReview(std::string_view target,
                                                                 std::string_view body,
                                                                 std::size_t max_body);

/// 200, and the verdict is in the body.
[[nodiscard]] HttpAnswer AnswerReview(const PendingReview& review, const Facts& facts);

/// Both in one.
[[nodiscard]] HttpAnswer AnswerWebhook(std::string_view target, std::string_view body,
                                       const Facts& facts, std::size_t max_body);

}  // namespace stentor::controller
