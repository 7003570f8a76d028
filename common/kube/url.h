// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace stentor::kube {

/// `text` as the value of a query parameter: all but RFC 3986's unreserved characters as %XX.
[[nodiscard]] std::string PercentEncode(std::string_view text);

}  // namespace stentor::kube
