// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace stentor::speaker {

/// Writes JSON, value by value, without making a document of it first: thousands of objects are
/// saved at a time. The caller sees to it that names and values take turns.
///
///   JsonText(&out).Begin().Name("kind").Text("Node").Name("metadata").Begin()....End().End();
class JsonText {
 public:
  /// Appends to `*out`, which must outlive it.
  explicit JsonText(std::string* out) : out_(*out) {}

  JsonText& Begin() { return Open('{'); }
  JsonText& End() { return Close('}'); }
  JsonText& BeginList() { return Open('['); }
  JsonText& EndList() { return Close(']'); }
  JsonText& Name(std::string_view name);
  /// Octets that are not UTF-8 are replaced, as kube::DumpJson does.
  JsonText& Text(std::string_view text);
  JsonText& Bool(bool value);
  JsonText& Number(int value);

 private:
  JsonText& Open(char bracket);
  JsonText& Close(char bracket);
  void Separate();

  std::string& out_;
  bool after_value_ = false;
};

}  // namespace stentor::speaker
