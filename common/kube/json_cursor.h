// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Reading of JSON whose types are not trusted: what the codecs are made of, here and in
/// controller/webhook.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"

namespace stentor::kube {

/// A place in a JSON document: an absent or null value reads as the type's default, a value of a
/// wrong type puts the first error, with the place's path, into `*error`. Cursors live on the
/// stack: one refers to the one it was made from.
class JsonCursor {
 public:
  /// `root` and `error` must outlive it.
  JsonCursor(const nlohmann::json& root, absl::Status* error) : value_(&root), error_(error) {}

  [[nodiscard]] bool IsPresent() const { return value_ != nullptr && !value_->is_null(); }
  [[nodiscard]] JsonCursor At(const char* key) const;

  [[nodiscard]] std::string String() const;
  [[nodiscard]] bool Bool(bool otherwise) const;
  /// A whole number from `low` to `high`; 0 where absent.
  [[nodiscard]] std::int64_t Integer(std::int64_t low, std::int64_t high) const;

  /// Calls `function(element)` for each element of an array.
  template <typename Function>
  void ForEach(Function function) const {
    if (!IsOf(nlohmann::json::value_t::array, "a list")) {
      return;
    }
    for (std::size_t i = 0; i < value_->size(); ++i) {
      function(JsonCursor(&(*value_)[i], error_, this, nullptr, i));
    }
  }

  /// Calls `function(key, value)` for each member of an object.
  template <typename Function>
  void ForEachMember(Function function) const {
    if (!IsOf(nlohmann::json::value_t::object, "an object")) {
      return;
    }
    for (auto it = value_->begin(); it != value_->end(); ++it) {
      function(it.key(), JsonCursor(&it.value(), error_, this, it.key().c_str(), 0));
    }
  }

  /// Records that something other than `expected` is here.
  void Fail(std::string_view expected) const;

 private:
  JsonCursor(const nlohmann::json* value, absl::Status* error, const JsonCursor* parent,
             const char* key, std::size_t index)
      : value_(value), error_(error), parent_(parent), key_(key), index_(index) {}

  [[nodiscard]] bool IsOf(nlohmann::json::value_t type, std::string_view expected) const;
  [[nodiscard]] std::string Path() const;

  const nlohmann::json* value_;
  absl::Status* error_;
  const JsonCursor* parent_ = nullptr;
  const char* key_ = nullptr;  // null: an element of an array
  std::size_t index_ = 0;
};

}  // namespace stentor::kube
