// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Small values that all rooms share. Names are those of the Kubernetes API.

#include <compare>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace stentor::model {

/// metadata.labels or metadata.annotations.
using Labels = std::map<std::string, std::string, std::less<>>;

/// Namespace and name of a namespaced object; for cluster-scoped ones `name_space` is empty.
struct ObjectKey {
  std::string name_space;
  std::string name;

  /// "namespace/name", or "name" where there is no namespace.
  [[nodiscard]] std::string ToString() const;

  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const ObjectKey& key) {
    return H::combine(std::move(h), key.name_space, key.name);
  }
};

using ServiceKey = ObjectKey;

/// Name of an IPAddressPool.
using PoolName = std::string;

/// Name of a Kubernetes Node.
using NodeName = std::string;

std::ostream& operator<<(std::ostream& out, const ObjectKey& key);

}  // namespace stentor::model
