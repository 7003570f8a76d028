// SPDX-License-Identifier: Apache-2.0
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/fast_json.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

// Builds a value from what the parser finds, as far as the limits and `managed_fields` let it.
class Builder final : public json::json_sax_t {
 public:
  Builder(const JsonLimits& limits, ManagedFields managed_fields)
      : limits_(limits), managed_fields_(managed_fields) {}

  bool null() override { return Add(nullptr) != nullptr; }
  bool boolean(bool value) override { return Add(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return Add(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return Add(value) != nullptr; }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return Add(value) != nullptr;
  }
  // Copies: the parser goes on with its buffer, and what is kept takes no more than it needs.
  bool string(string_t& value) override { return Add(value) != nullptr; }
  bool binary(binary_t& /*value*/) override { return false; }  // JSON has none

  bool start_object(std::size_t /*size*/) override { return Open(json::value_t::object); }
  bool end_object() override { return Close(); }
  bool start_array(std::size_t /*size*/) override { return Open(json::value_t::array); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    Container& inner = open_.back();
    if (inner.value == nullptr) {
      return true;  // within what is left out
    }
    inner.leave_out =
        managed_fields_ == ManagedFields::kLeaveOut && inner.metadata && name == "managedFields";
    if (!inner.leave_out) {
      inner.metadata_next = name == "metadata";
      inner.member = &(*inner.value)[name];
    }
    return true;
  }

  bool parse_error(std::size_t /*position*/, const std::string& /*last_token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

  // OK also of a text that is no JSON.
  [[nodiscard]] const absl::Status& exceeded() const { return exceeded_; }
  [[nodiscard]] json TakeRoot() { return std::move(root_); }

 private:
  // An array or object that is not complete yet.
  struct Container {
    json* value;                 // null: it is left out, with all that is in it
    bool metadata = false;       // it is the member `metadata` of an object
    json* member = nullptr;      // of an object: where the next value goes
    bool metadata_next = false;  // that member is `metadata`
    bool leave_out = false;      // the next value
  };

  // Where the value has been put, or what stands for that where it is left out; null when there
  // are too many.
  json* Add(json value) {
    if (++values_ > limits_.max_values) {
      exceeded_ =
          absl::DataLossError(StrCat("JSON text has more than ", limits_.max_values, " values"));
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Container& inner = open_.back();
    if (LeavesOut(inner)) {
      return &left_out_;
    }
    if (inner.value->is_array()) {
      inner.value->push_back(std::move(value));
      return &inner.value->back();
    }
    *inner.member = std::move(value);
    return inner.member;
  }

  static bool LeavesOut(const Container& container) {
    return container.value == nullptr || container.leave_out;
  }

  bool Open(json::value_t type) {
    if (open_.size() == limits_.max_depth) {
      exceeded_ = absl::DataLossError(
          StrCat("JSON text is nested deeper than ", limits_.max_depth, " levels"));
      return false;
    }
    const bool left_out = !open_.empty() && LeavesOut(open_.back());
    const bool metadata = !open_.empty() && !left_out && open_.back().metadata_next;
    json* const value = Add(left_out ? json() : json(type));
    if (value == nullptr) {
      return false;
    }
    open_.push_back({.value = left_out ? nullptr : value, .metadata = metadata});
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits& limits_;
  const ManagedFields managed_fields_;
  json root_;
  json left_out_;
  // Pointers into root_: what is open is the last element of what it is in, so that nothing moves
  // it.
  std::vector<Container> open_;
  std::size_t values_ = 0;
  absl::Status exceeded_;
};

absl::StatusOr<json> Parse(std::string_view text, const JsonLimits& limits,
                           ManagedFields managed_fields) {
  if (text.size() > limits.max_bytes) {
    return absl::DataLossError(StrCat("JSON text is longer than ", limits.max_bytes, " octets"));
  }
  // A text has no more values than octets.
  if (text.size() <= limits.max_values) {
    if (auto value = ParseFast(text, limits.max_depth, managed_fields)) {
      return *std::move(value);
    }
  }
  Builder builder(limits, managed_fields);
  if (!json::sax_parse(text, &builder)) {
    return builder.exceeded().ok() ? absl::DataLossError("not a JSON text") : builder.exceeded();
  }
  return builder.TakeRoot();
}

}  // namespace

absl::StatusOr<json> ParseJson(std::string_view text, const JsonLimits& limits) {
  return Parse(text, limits, ManagedFields::kKeep);
}

absl::StatusOr<json> ParseApiJson(std::string_view text, const JsonLimits& limits) {
  return Parse(text, limits, ManagedFields::kLeaveOut);
}

std::string DumpJson(const json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace stentor::kube
