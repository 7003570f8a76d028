// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// `kubectl stentor why ADDRESS`: everything between a client and a pod that the API shows, looked
/// at in the order in which it has to work, up to the first thing that is wrong.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/facts/snapshot.h"

namespace stentor::cli {

/// About an address, or about a Service; one of the two.
struct WhyQuestion {
  std::optional<net::IpAddress> address;
  model::ServiceKey service;

  [[nodiscard]] std::string ToString() const;
};

struct Check {
  enum class State : std::uint8_t {
    kOk,
    kRemark,   ///< May be meant so, or be over in a moment.
    kUnknown,  ///< Could not be read.
    kFailed,
  };
  std::string what;  ///< "endpoints"
  State state = State::kOk;
  std::string seen;    ///< One sentence that names the objects.
  std::string cause;   ///< Where failed: a word for programs, "noEndpoint".
  std::string remedy;  ///< Where failed: one sentence.
};

struct WhyReport {
  std::string subject;
  std::vector<Check> checks;  ///< At most the last one has failed.

  /// What is wrong; null where nothing that the API shows is.
  [[nodiscard]] const Check* cause() const;
};

/// The Service that a question is about: it has the address, or else asks for it. Null where there
/// is none.
[[nodiscard]] const model::Service* ServiceOf(const Snapshot& snapshot,
                                              const WhyQuestion& question);

/// Needs the slices and the events of that Service in `snapshot`.
[[nodiscard]] WhyReport Why(const Snapshot& snapshot, const WhyQuestion& question);

[[nodiscard]] std::string ToText(const WhyReport& report);
[[nodiscard]] nlohmann::ordered_json ToJson(const WhyReport& report);

}  // namespace stentor::cli
