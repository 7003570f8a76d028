// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// `stentor-controller validate -f FILE...`: what the webhooks, and the controller, would say to
/// objects that are only files yet. No file is read here.

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "controller/webhook/facts.h"

namespace stentor::controller {

/// One document, and where it is from ("pools.yaml, document 2").
struct Document {
  std::string source;
  nlohmann::json object;
};

struct Finding {
  enum class Level : std::uint8_t { kOk, kWarning, kError };
  Level level = Level::kOk;
  std::string source;
  std::string object;  ///< "IPAddressPool metallb-system/web"
  std::string message;

  friend bool operator==(const Finding&, const Finding&) = default;
};

/// "error: pools.yaml, document 2: IPAddressPool metallb-system/web: ..."
[[nodiscard]] std::string ToLine(const Finding& finding);

/// Judges each object as if it were created when all others are there, so that the result does not
/// depend on their order: of two that exclude each other, both are refused. For each object there
/// are its errors and warnings, or one finding kOk; in the order of the documents. An object
/// without a namespace counts as being in `name_space`, a Service in "default"; kind List is taken
/// apart; other kinds, and empty documents, are passed over with a warning.
[[nodiscard]] std::vector<Finding> Validate(const std::vector<Document>& documents,
                                            std::string_view name_space, BgpMode bgp_mode);

}  // namespace stentor::controller
