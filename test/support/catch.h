// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The one place that includes Catch2, so that its version (2 in Debian bookworm) shows nowhere
/// else.

#include <catch2/catch.hpp>
