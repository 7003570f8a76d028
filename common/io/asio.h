// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The one place that includes Asio: Boost 1.74's needs <utility> before it under C++20.

#include <utility>
// clang-format off
#include <boost/asio.hpp>
// clang-format on
