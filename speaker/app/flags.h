// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/base/time.h"
#include "common/io/flags.h"

namespace stentor::speaker {

/// Command line and environment of the speaker.
struct Flags {
  io::CommonFlags common;
  std::string node_name;
  std::string pod_uid;              ///< Of the pod that --pod-name names; empty: looked for.
  std::string member_bind_address;  ///< Empty, or with empty labels: no membership.
  std::uint16_t member_bind_port = 7946;
  std::string member_namespace;  ///< --ml-namespace: common.name_space, where that is not given.
  std::string member_labels;     ///< Label selector of the speakers' pods.
  std::string member_key_path;   ///< Folder with a file "secretkey".
  std::string member_key;        ///< METALLB_ML_SECRET_KEY, as older manifests pass it.
  std::string member_profile;    ///< lan, fast, wan; empty: --ml-wan-config, or a file, says it.
  bool wan_profile = false;      ///< --ml-wan-config
  std::string memberlist_file = "/etc/metallb/memberlist/config.json";  ///< Need not exist.
  bool ignore_exclude_label = false;
  std::string proxy_health = "localhost:10256/healthz";  ///< Empty: nobody is asked.
  std::string state_folder;                              ///< Empty: nothing is saved.
  Duration gratuitous_interval{};                        ///< Zero: only when something changes.
  std::uint32_t gratuitous_rate = 20'000;                ///< Frames a second, at most.
};

/// Parses into `flags`; see io::Parse() for the outcome.
[[nodiscard]] io::ParseOutcome ParseFlags(int argc, char** argv, Flags& flags);

}  // namespace stentor::speaker
