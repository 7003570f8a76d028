// SPDX-License-Identifier: Apache-2.0
#include "common/kube/json_cursor.h"

#include "common/base/strings.h"

namespace stentor::kube {

using nlohmann::json;

std::string JsonCursor::Path() const {
  if (parent_ == nullptr) {
    return "";
  }
  std::string path = parent_->Path();
  if (key_ == nullptr) {
    StrAppend(&path, "[", index_, "]");
  } else {
    StrAppend(&path, path.empty() ? "" : ".", key_);
  }
  return path;
}

void JsonCursor::Fail(std::string_view expected) const {
  if (error_->ok()) {
    const std::string path = Path();
    *error_ =
        absl::InvalidArgumentError(StrCat(path, path.empty() ? "" : ": ", "expected ", expected));
  }
}

bool JsonCursor::IsOf(json::value_t type, std::string_view expected) const {
  if (!IsPresent()) {
    return false;
  }
  if (value_->type() != type) {
    Fail(expected);
    return false;
  }
  return true;
}

JsonCursor JsonCursor::At(const char* key) const {
  const json* member = nullptr;
  if (IsOf(json::value_t::object, "an object")) {
    if (const auto it = value_->find(key); it != value_->end()) {
      member = &*it;
    }
  }
  return {member, error_, this, key, 0};
}

std::string JsonCursor::String() const {
  return IsOf(json::value_t::string, "a string") ? value_->get_ref<const std::string&>()
                                                 : std::string();
}

bool JsonCursor::Bool(bool otherwise) const {
  return IsOf(json::value_t::boolean, "true or false") ? value_->get<bool>() : otherwise;
}

std::int64_t JsonCursor::Integer(std::int64_t low, std::int64_t high) const {
  if (!IsPresent()) {
    return 0;
  }
  const bool fits = value_->is_number_integer() &&
                    !(value_->is_number_unsigned() &&
                      value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX));
  if (!fits || value_->get<std::int64_t>() < low || value_->get<std::int64_t>() > high) {
    Fail(StrCat("a number from ", low, " to ", high));
    return 0;
  }
  return value_->get<std::int64_t>();
}

}  // namespace stentor::kube
