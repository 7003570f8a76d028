// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the files of codec.h have in common. Internal to common/kube.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/time.h"
#include "common/kube/json_cursor.h"
#include "common/model/types.h"

namespace stentor::kube::parts {

[[nodiscard]] std::vector<std::string> Strings(const JsonCursor& list);
[[nodiscard]] model::Labels StringMap(const JsonCursor& object);

/// Namespace and name, of `metadata`.
[[nodiscard]] model::ObjectKey Key(const JsonCursor& metadata);

/// metav1.Time, as API servers write it: RFC 3339 in UTC with whole seconds,
/// 2026-01-31T23:59:59Z. Nothing where `text` is anything else.
[[nodiscard]] std::optional<WallTime> ParseTime(std::string_view text) noexcept;

/// Puts kind and key before the error, and sees to it that the object has a name.
template <typename Object>
absl::StatusOr<Object> Finish(Object object, const absl::Status& error, std::string_view kind,
                              const model::ObjectKey& key) {
  if (!error.ok()) {
    return Annotate(error,
                    key.name.empty() ? std::string(kind) : StrCat(kind, " ", key.ToString()));
  }
  if (key.name.empty()) {
    return absl::InvalidArgumentError(StrCat(kind, ": metadata.name: expected a name"));
  }
  return object;
}

}  // namespace stentor::kube::parts
