// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// JSON by simdjson, which takes a fraction of the time of nlohmann's parser. Internal to
/// common/kube: codec.h has what others call.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

namespace stentor::kube {

enum class ManagedFields : std::uint8_t { kKeep, kLeaveOut };

/// What nlohmann's parser makes of `text`, as in ParseJson or ParseApiJson. Nothing where that
/// parser has to say whether it is JSON, and why not: a text that nests as deep as `max_depth`,
/// that simdjson refuses (a number beyond 64 bits, say), or that takes it too much memory, as long
/// ones do.
[[nodiscard]] std::optional<nlohmann::json> ParseFast(std::string_view text, std::size_t max_depth,
                                                      ManagedFields managed_fields);

}  // namespace stentor::kube
