// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// `kubectl stentor convert`: objects that MetalLB or OpenELB no longer, or never, shared with
/// Stentor, as IPAddressPools and L2Advertisements:
///
///   * the ConfigMap of MetalLB 0.12 and before (address-pools),
///   * AddressPool (metallb.io, MetalLB 0.13),
///   * Eip (network.kubesphere.io/v1alpha2, OpenELB).

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace stentor::cli {

struct Conversion {
  /// To be applied in this order: an advertisement stands before its pool.
  std::vector<nlohmann::ordered_json> objects;
  /// What a user should know: what has no equivalent, say. One line each, with the object's name.
  std::vector<std::string> remarks;
  std::vector<std::string> errors;  ///< Objects that could not be converted, and why.
};

/// Converts `documents` (objects, or Lists of them); all other kinds are left out, with a remark.
/// Objects go to `name_space`. What comes out is valid together, or `errors` says why not.
[[nodiscard]] Conversion Convert(const std::vector<nlohmann::json>& documents,
                                 std::string_view name_space);

/// As YAML documents, or one List in JSON.
[[nodiscard]] std::string ToYamlDocuments(const Conversion& conversion);
[[nodiscard]] nlohmann::ordered_json ToList(const Conversion& conversion);

}  // namespace stentor::cli
