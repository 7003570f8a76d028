// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/io/flags.h"

namespace stentor::controller {

/// Command line and environment of the controller.
struct Flags {
  io::CommonFlags common;
  std::string memberlist_secret;  ///< --ml-secret-name; empty: no Secret is made.
  std::string deployment;         ///< --deployment: becomes the owner of that Secret.
};

/// Parses into `flags`; see io::Parse() for the outcome.
[[nodiscard]] io::ParseOutcome ParseFlags(int argc, char** argv, Flags& flags);

}  // namespace stentor::controller
