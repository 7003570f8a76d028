// SPDX-License-Identifier: Apache-2.0
#include "common/io/read_documents.h"

#include <iostream>
#include <utility>

#include "common/base/strings.h"
#include "common/config/yaml_documents.h"
#include "common/io/read_file.h"

namespace stentor::io {
namespace {

constexpr std::size_t kMaxFile = std::size_t{16} << 20U;

absl::StatusOr<std::string> ReadInput(const std::string& name) {
  if (name != "-") {
    return ReadFile(name, kMaxFile);
  }
  std::string text;
  std::vector<char> buffer(std::size_t{64} << 10U);
  while (std::cin.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
         std::cin.gcount() > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > kMaxFile) {
      return absl::FailedPreconditionError(
          StrCat("standard input is longer than ", kMaxFile, " octets"));
    }
  }
  return text;
}

}  // namespace

absl::StatusOr<std::vector<SourceDocument>> ReadDocuments(std::span<const std::string> files) {
  std::vector<SourceDocument> documents;
  for (const std::string& name : files) {
    const auto text = ReadInput(name);
    if (!text.ok()) {
      return text.status();
    }
    auto parsed = config::ParseYamlDocuments(*text);
    const std::string source = name == "-" ? "standard input" : name;
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(
          StrCat(source, ": ", std::string(parsed.status().message())));
    }
    for (std::size_t i = 0; i < parsed->size(); ++i) {
      documents.push_back(
          {.source = parsed->size() == 1 ? source : StrCat(source, ", document ", i + 1),
           .object = std::move((*parsed)[i])});
    }
  }
  return documents;
}

}  // namespace stentor::io
