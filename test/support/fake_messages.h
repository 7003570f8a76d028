// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What FakeApiServer reads from a request's target, and its answers as bytes. Internal to it.

#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace stentor::test {

struct Target {
  std::string resource;
  std::string name_space;
  std::string name;
  std::string subresource;
  std::map<std::string, std::string> query;
};

[[nodiscard]] Target ParseTarget(const std::string& text);

/// A metav1.Status.
[[nodiscard]] nlohmann::json Failure(int code, const std::string& reason,
                                     const std::string& message);

/// A whole HTTP answer; `retry_after` 0: without that header.
[[nodiscard]] std::string Answer(int code, const nlohmann::json& body, int retry_after = 0);

/// One HTTP chunk.
[[nodiscard]] std::string Chunk(std::string_view bytes);

}  // namespace stentor::test
