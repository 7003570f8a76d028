// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What the rules of the BGP kinds share. Internal to bgp_*.cc.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/base/strings.h"
#include "common/model/selector.h"
#include "common/model/types.h"

namespace stentor::controller {

enum class CommunityForm : std::uint8_t { kLegacy, kLarge, kOtherForm, kBadValue };

/// "1:2" or "large:1:2:3"; what has another number of parts may be an alias.
[[nodiscard]] CommunityForm FormOf(std::string_view text);

/// MetalLB's text for kBadValue; OK for the others.
[[nodiscard]] absl::Status CheckCommunityValue(const std::string& text);

/// Whether there is a node that both select. Where no nodes are known, lists that are alike select
/// the same; of others nothing can be said.
[[nodiscard]] bool ShareNode(const std::vector<model::LabelSelector>& a,
                             const std::vector<model::LabelSelector>& b,
                             const std::map<model::NodeName, model::Labels>& nodes);

[[nodiscard]] inline absl::Status BgpError(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

[[nodiscard]] inline std::string Quoted(std::string_view text) { return StrCat("\"", text, "\""); }

}  // namespace stentor::controller
