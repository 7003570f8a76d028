// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace stentor::kube {

/// `text` as a field of an API object can hold it: octets that are not UTF-8 are replaced, as
/// DumpJson would, so that what the API server has can be compared with it; and where it is longer
/// than `max_octets`, it is cut between two characters and ends in "...". Precondition: room for
/// these.
[[nodiscard]] std::string FitText(std::string_view text, std::size_t max_octets);

}  // namespace stentor::kube
