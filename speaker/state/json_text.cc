// SPDX-License-Identifier: Apache-2.0
#include "speaker/state/json_text.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "common/kube/codec.h"

namespace stentor::speaker {
namespace {

bool IsPlain(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet >= 0x20 && octet < 0x7f && c != '"' && c != '\\';
}

}  // namespace

JsonText& JsonText::Name(std::string_view name) {
  Text(name);
  out_.push_back(':');
  after_value_ = false;
  return *this;
}

JsonText& JsonText::Text(std::string_view text) {
  Separate();
  if (std::ranges::all_of(text, IsPlain)) {
    out_.push_back('"');
    out_.append(text);
    out_.push_back('"');
  } else {
    out_.append(kube::DumpJson(nlohmann::json(std::string(text))));
  }
  return *this;
}

JsonText& JsonText::Bool(bool value) {
  Separate();
  out_.append(value ? "true" : "false");
  return *this;
}

JsonText& JsonText::Number(int value) {
  Separate();
  StrAppend(&out_, value);
  return *this;
}

JsonText& JsonText::Open(char bracket) {
  Separate();
  out_.push_back(bracket);
  after_value_ = false;
  return *this;
}

JsonText& JsonText::Close(char bracket) {
  out_.push_back(bracket);
  after_value_ = true;
  return *this;
}

void JsonText::Separate() {
  if (after_value_) {
    out_.push_back(',');
  }
  after_value_ = true;
}

}  // namespace stentor::speaker
