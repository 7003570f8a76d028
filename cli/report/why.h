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
  bool not_found = false;  ///< The API server was asked for this one Service, and has none.

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
  std::string seen;           ///< One sentence that names the objects.
  std::string cause;          ///< Where failed: a word for programs, "noEndpoint".
  std::string remedy;         ///< Where failed: one sentence.
  model::ServiceKey service;  ///< That it is about; empty: there is none.
};

struct WhyReport {
  std::string subject;
  std::string address;                      ///< That was asked about; empty: a Service was.
  std::vector<model::ServiceKey> services;  ///< That it is about: several where they share it.
  std::vector<Check> checks;                ///< At most the last one of each Service has failed.

  /// What is wrong, the first of it; null where nothing was found.
  [[nodiscard]] const Check* cause() const;
  /// Whether something could not be read that may be the cause.
  [[nodiscard]] bool AnyUnknown() const;
  /// Whether webhooks that can't be called may be why what is missing could not be made.
  [[nodiscard]] bool MissesObject() const;
};

/// The Services that a question is about: those that have the address, or else those that ask for
/// it, by key.
[[nodiscard]] std::vector<const model::Service*> ServicesOf(const Snapshot& snapshot,
                                                            const WhyQuestion& question);

/// Needs the slices and the events of those Services in `snapshot`; where MissesObject(), it says
/// more with webhooks and the slices of the Services that answer them.
[[nodiscard]] WhyReport Why(const Snapshot& snapshot, const WhyQuestion& question);

[[nodiscard]] std::string ToText(const WhyReport& report);
[[nodiscard]] nlohmann::ordered_json ToJson(const WhyReport& report);

}  // namespace stentor::cli
