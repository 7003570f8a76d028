// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Errors of a set of objects, and which of them has part in one. Internal to rules.cc.

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/status/status.h"
#include "controller/webhook/facts.h"

namespace stentor::controller {

/// The kinds with which one of `kind` can be in conflict, and those objects; MetalLB parses the
/// same.
[[nodiscard]] std::vector<Kind> KindsBeside(Kind kind);
[[nodiscard]] Facts AmongWhich(Kind kind, const Facts& facts);

/// The first error of the objects of `kind`, in the parser's words; `facts` are AmongWhich()'s.
[[nodiscard]] absl::Status Check(Kind kind, const Facts& facts);

/// The error that `object` has part in among `others`, which are without it; OK where there is
/// none. `all` is the error of the whole set.
[[nodiscard]] absl::Status Blame(Kind kind, const nlohmann::json& object, const Facts& others,
                                 const absl::Status& all);

}  // namespace stentor::controller
