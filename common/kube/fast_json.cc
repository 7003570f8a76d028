// SPDX-License-Identifier: Apache-2.0
#include "common/kube/fast_json.h"

#include <simdjson.h>

#include <string>
#include <utility>

namespace stentor::kube {
namespace {

using nlohmann::json;
namespace dom = simdjson::dom;

// simdjson takes up to fourteen octets of memory for one of a text. This is more than etcd's limit
// for an object.
constexpr std::size_t kMaxBytes = std::size_t{2} << 20U;

json Convert(const dom::element& value, ManagedFields managed_fields, bool metadata = false);

// `metadata`: it is the member of that name.
json ConvertObject(const dom::object& members, ManagedFields managed_fields, bool metadata) {
  const bool leaves_out = metadata && managed_fields == ManagedFields::kLeaveOut;
  json::object_t object;
  for (const dom::key_value_pair& member : members) {
    if (!leaves_out || member.key != "managedFields") {
      // Of two of a name, the later one counts.
      object[std::string(member.key)] =
          Convert(member.value, managed_fields, member.key == "metadata");
    }
  }
  return object;
}

json ConvertArray(const dom::array& elements, ManagedFields managed_fields) {
  json::array_t array;
  array.reserve(elements.size());
  for (const dom::element element : elements) {
    array.push_back(Convert(element, managed_fields));
  }
  return array;
}

json Convert(const dom::element& value, ManagedFields managed_fields, bool metadata) {
  switch (value.type()) {
    case dom::element_type::OBJECT:
      return ConvertObject(value.get_object().value_unsafe(), managed_fields, metadata);
    case dom::element_type::ARRAY:
      return ConvertArray(value.get_array().value_unsafe(), managed_fields);
    case dom::element_type::STRING:
      return std::string(value.get_string().value_unsafe());
    case dom::element_type::INT64: {
      const std::int64_t number = value.get_int64().value_unsafe();
      return number < 0 ? json(number) : json(static_cast<std::uint64_t>(number));
    }
    case dom::element_type::UINT64:
      return value.get_uint64().value_unsafe();
    case dom::element_type::DOUBLE:
      return value.get_double().value_unsafe();
    case dom::element_type::BOOL:
      return value.get_bool().value_unsafe();
    case dom::element_type::NULL_VALUE:
      break;
  }
  return nullptr;
}

}  // namespace

std::optional<json> ParseFast(std::string_view text, std::size_t max_depth,
                              ManagedFields managed_fields) {
  if (text.size() > kMaxBytes || max_depth == 0) {
    return std::nullopt;
  }
  dom::parser parser;
  dom::element root;
  // simdjson wants to be below its limit, and doesn't count an array or object that is empty.
  if (parser.allocate(text.size(), max_depth) != simdjson::SUCCESS ||
      parser.parse(text.data(), text.size()).get(root) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  return Convert(root, managed_fields);
}

}  // namespace stentor::kube
