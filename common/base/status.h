// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Helpers around absl::Status. What the codes mean here, and who retries, is written down in
/// docs/architecture.md ("Errors").

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace stentor {

/// `status` with "`context`: " put before its message; OK stays OK.
[[nodiscard]] absl::Status Annotate(const absl::Status& status, std::string_view context);

}  // namespace stentor

#define STENTOR_INTERNAL_CONCAT_(a, b) a##b
#define STENTOR_INTERNAL_CONCAT(a, b) STENTOR_INTERNAL_CONCAT_(a, b)

/// Evaluates an absl::Status and returns it from the calling function unless it is OK.
#define STENTOR_RETURN_IF_ERROR(expression)                                   \
  do {                                                                        \
    if (absl::Status stentor_status_ = (expression); !stentor_status_.ok()) { \
      return stentor_status_;                                                 \
    }                                                                         \
  } while (false)

/// `STENTOR_ASSIGN_OR_RETURN(auto x, F())`: assigns the value of a StatusOr, or returns its status.
#define STENTOR_ASSIGN_OR_RETURN(lhs, expression) \
  STENTOR_INTERNAL_ASSIGN_OR_RETURN(STENTOR_INTERNAL_CONCAT(stentor_or_, __LINE__), lhs, expression)
#define STENTOR_INTERNAL_ASSIGN_OR_RETURN(tmp, lhs, expression) \
  auto tmp = (expression);                                      \
  if (!tmp.ok()) {                                              \
    return std::move(tmp).status();                             \
  }                                                             \
  lhs = *std::move(tmp)
