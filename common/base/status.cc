// SPDX-License-Identifier: Apache-2.0
#include "common/base/status.h"

#include "common/base/strings.h"

namespace stentor {

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) {
    return status;
  }
  return {status.code(), StrCat(context, ": ", std::string(status.message()))};
}

}  // namespace stentor
