// SPDX-License-Identifier: Apache-2.0

/// \file
/// A watch's bytes as the API server sends them, in chunks; the first octet sets their size.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/kube/reflector.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using stentor::TimePoint;
  if (size == 0) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t chunk = std::max<std::size_t>(data[0], 1);
  stentor::kube::Reflector reflector({.path = "/x"}, [] { return 0.5; });
  const TimePoint now{};
  (void)reflector.Next(now);
  (void)reflector.OnPage(
      now, stentor::kube::Response{200, R"({"metadata":{"resourceVersion":"1"}})", std::nullopt});
  (void)reflector.Next(now);
  (void)reflector.OnWatchOpen(now);
  std::size_t known = 0;
  for (std::size_t i = 0; i < bytes.size(); i += chunk) {
    for (const auto& delta : reflector.OnWatchBytes(now, bytes.substr(i, chunk)).deltas) {
      known += std::holds_alternative<stentor::kube::Upsert>(delta) ? 1 : 0;
    }
  }
  // Nothing is known that was not told.
  if (reflector.size() > known) {
    std::abort();
  }
  return 0;
}
