// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "common/base/strings.h"
#include "common/base/time.h"

namespace stentor::speaker {

/// How log lines show a short duration: "320 ms".
[[nodiscard]] inline std::string Milliseconds(Duration duration) {
  return StrCat(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(), " ms");
}

}  // namespace stentor::speaker
