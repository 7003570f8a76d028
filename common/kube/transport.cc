// SPDX-License-Identifier: Apache-2.0
#include "common/kube/transport.h"

#include <algorithm>
#include <charconv>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "common/kube/codec.h"

namespace stentor::kube {
namespace {

constexpr std::size_t kMaxBodyInMessage = 200;

constexpr int kMaxRetryAfterSeconds = 3600;

struct Explanation {
  std::string message;
  std::string reason;
  bool version_too_large = false;
};

// A cause since Kubernetes 1.19, before that the text alone.
bool SaysVersionTooLarge(const nlohmann::json& status, const std::string& message) {
  if (message.find("Too large resource version") != std::string::npos) {
    return true;
  }
  const nlohmann::json::json_pointer causes("/details/causes");
  if (!status.contains(causes) || !status[causes].is_array()) {
    return false;
  }
  for (const nlohmann::json& cause : status[causes]) {
    const auto reason = cause.is_object() ? cause.find("reason") : cause.end();
    if (reason != cause.end() && *reason == "ResourceVersionTooLarge") {
      return true;
    }
  }
  return false;
}

// The metav1.Status in `body`, or the start of the text that a proxy sent instead.
Explanation Explain(int code, std::string_view body) {
  Explanation explanation;
  if (const auto parsed = ParseJson(body); parsed.ok() && parsed->is_object()) {
    const auto text = [&](const char* key) {
      const auto it = parsed->find(key);
      return it != parsed->end() && it->is_string() ? it->get<std::string>() : std::string();
    };
    explanation = {text("message"), text("reason"), false};
    explanation.version_too_large = SaysVersionTooLarge(*parsed, explanation.message);
  } else {
    for (const char c : body.substr(0, kMaxBodyInMessage)) {
      explanation.message.push_back(c >= ' ' && c <= '~' ? c : ' ');
    }
    while (!explanation.message.empty() && explanation.message.back() == ' ') {
      explanation.message.pop_back();
    }
  }
  explanation.message = explanation.message.empty()
                            ? StrCat("HTTP status ", code)
                            : StrCat("HTTP status ", code, ": ", explanation.message);
  return explanation;
}

}  // namespace

absl::Status StatusFromHttp(int code, std::string_view body) {
  if (code >= 200 && code < 300) {
    return absl::OkStatus();
  }
  const Explanation explanation = Explain(code, body);
  switch (code) {
    case 400:
    case 422:
      return absl::InvalidArgumentError(explanation.message);
    case 401:
    case 403:
      return absl::PermissionDeniedError(explanation.message);
    case 404:
      return absl::NotFoundError(explanation.message);
    case 409:
      return explanation.reason == "AlreadyExists" ? absl::AlreadyExistsError(explanation.message)
                                                   : absl::AbortedError(explanation.message);
    case 410:
      return absl::OutOfRangeError(explanation.message);
    case 504:
      return explanation.version_too_large ? absl::OutOfRangeError(explanation.message)
                                           : absl::UnavailableError(explanation.message);
    default:
      return absl::UnavailableError(explanation.message);
  }
}

std::optional<Duration> ParseRetryAfter(std::string_view value) {
  int seconds = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (parsed.ptr != value.data() + value.size() || value.empty() || value.front() == '-') {
    return std::nullopt;  // the other form, a date, no API server sends
  }
  if (parsed.ec == std::errc::result_out_of_range) {
    return std::chrono::seconds(kMaxRetryAfterSeconds);
  }
  return std::chrono::seconds(std::min(seconds, kMaxRetryAfterSeconds));
}

}  // namespace stentor::kube
