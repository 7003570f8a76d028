// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/io/flags.h"

namespace stentor::speaker {

/// Command line and environment of the speaker.
struct Flags {
  io::CommonFlags common;
  std::string node_name;
  std::string member_bind_address;  ///< Empty, or with empty labels: no membership.
  std::uint16_t member_bind_port = 7946;
  std::string member_namespace;  ///< --ml-namespace: common.name_space, where that is not given.
  std::string member_labels;     ///< Label selector of the speakers' pods.
  std::string member_key_path;   ///< Folder with a file "secretkey".
  std::string member_key;        ///< METALLB_ML_SECRET_KEY, as older manifests pass it.
  bool wan_profile = false;      ///< --ml-wan-config
  bool ignore_exclude_label = false;
};

/// Parses into `flags`; see io::Parse() for the outcome.
[[nodiscard]] io::ParseOutcome ParseFlags(int argc, char** argv, Flags& flags);

}  // namespace stentor::speaker
