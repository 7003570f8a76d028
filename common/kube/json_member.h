// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// For reading a few fields of an object that is otherwise taken as it is: what is absent, or of
/// another type, counts as not there. Where that is to be an error, see json_cursor.h.

#include <string>

#include <nlohmann/json.hpp>

namespace stentor::kube {

/// The member `key` of `object`; a null value where there is none, or `object` is no object. Refers
/// to `object`, or to a constant.
[[nodiscard]] const nlohmann::json& Member(const nlohmann::json& object, const char* key);

/// The text that this member is; empty where it is none.
[[nodiscard]] std::string TextMember(const nlohmann::json& object, const char* key);

/// metadata.uid of an API object.
[[nodiscard]] std::string UidOf(const nlohmann::json& object);

}  // namespace stentor::kube
