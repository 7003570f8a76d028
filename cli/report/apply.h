// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What `kubectl apply` would make of a snapshot. Internal to cli/report.

#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/report/what_if.h"

namespace stentor::cli {

/// Takes `documents` into `snapshot`, which needs a Finish() then. What has no effect goes into the
/// notes of `report`, the first one that can't be used becomes its error.
void ApplyTo(Snapshot& snapshot, const std::vector<nlohmann::json>& documents,
             std::string_view name_space, WhatIfReport& report);

}  // namespace stentor::cli
