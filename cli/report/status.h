// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// `kubectl stentor status`: pools, Services, programs, and what is wrong, at one look.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/facts/snapshot.h"

namespace stentor::cli {

struct StatusReport {
  struct Usage {
    std::uint64_t used = 0;
    std::uint64_t free = 0;
    friend bool operator==(const Usage&, const Usage&) = default;
  };
  struct Pool {
    std::string name;
    std::vector<std::string> ranges;
    Usage ipv4;
    Usage ipv6;
    bool auto_assign = true;
    std::vector<std::string> advertisements;  ///< L2Advertisements that select it.
  };
  struct Service {
    model::ServiceKey key;
    std::vector<std::string> addresses;
    std::string pool;
    std::vector<Announcer> announcers;
    std::string problem;  ///< Empty: all is well.
  };
  struct ProgramRow {
    Program program;
    std::string configuration;  ///< Valid, Invalid, Unknown; empty: it says nothing.
  };
  /// Something that a user should look at.
  struct Notice {
    std::string about;  ///< "speaker-node-1", "default/web", "configuration"
    std::string message;
    friend bool operator==(const Notice&, const Notice&) = default;
  };
  // Why something is not known, so that some or all of it may be missing here; empty: it is.
  std::string pools_gap;
  std::string usage_gap;  ///< How many addresses of the pools are used.
  std::string services_gap;
  std::string class_gap;  ///< Which Services are ours: all are among them.
  std::string announcers_gap;
  std::string programs_gap;
  std::vector<Pool> pools;
  std::vector<Service> services;
  std::size_t others = 0;  ///< Services of type LoadBalancer and of another class.
  std::vector<ProgramRow> programs;
  std::vector<Notice> notices;
};

[[nodiscard]] StatusReport MakeStatus(const Snapshot& snapshot);
[[nodiscard]] std::string ToText(const StatusReport& report);
[[nodiscard]] nlohmann::ordered_json ToJson(const StatusReport& report);

}  // namespace stentor::cli
