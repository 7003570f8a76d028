// SPDX-License-Identifier: Apache-2.0
#include "common/kube/transport.h"

#include "common/base/strings.h"
#include "common/kube/codec.h"

namespace stentor::kube {
namespace {

constexpr std::size_t kMaxBodyInMessage = 200;

struct Explanation {
  std::string message;
  std::string reason;
};

// The metav1.Status in `body`, or the start of the text that a proxy sent instead.
Explanation Explain(int code, std::string_view body) {
  Explanation explanation;
  if (const auto parsed = ParseJson(body); parsed.ok() && parsed->is_object()) {
    const auto text = [&](const char* key) {
      const auto it = parsed->find(key);
      return it != parsed->end() && it->is_string() ? it->get<std::string>() : std::string();
    };
    explanation = {text("message"), text("reason")};
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
    default:
      return absl::UnavailableError(explanation.message);
  }
}

}  // namespace stentor::kube
