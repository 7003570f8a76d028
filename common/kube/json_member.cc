// SPDX-License-Identifier: Apache-2.0
#include "common/kube/json_member.h"

namespace stentor::kube {

using nlohmann::json;

const json& Member(const json& object, const char* key) {
  static const json kNothing;
  if (!object.is_object()) {
    return kNothing;
  }
  const auto member = object.find(key);
  return member == object.end() ? kNothing : *member;
}

std::string TextMember(const json& object, const char* key) {
  const json& member = Member(object, key);
  return member.is_string() ? member.get<std::string>() : std::string();
}

std::string UidOf(const json& object) { return TextMember(Member(object, "metadata"), "uid"); }

}  // namespace stentor::kube
