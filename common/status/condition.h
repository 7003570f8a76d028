// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The conditions of a ConfigurationState, and what follows from them.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/config/config.h"

namespace stentor::status {

/// Types of conditions. The first two are MetalLB's: whether the last configuration was accepted.
inline constexpr std::string_view kPoolReconcilerValid = "poolReconcilerValid";      // controller
inline constexpr std::string_view kConfigReconcilerValid = "configReconcilerValid";  // speaker
inline constexpr std::string_view kBgpAnnounced = "bgpAnnounced";
inline constexpr std::string_view kLegacyConfiguration = "legacyConfiguration";

/// Reasons, MetalLB's words.
inline constexpr std::string_view kReconciled = "Reconciled";
inline constexpr std::string_view kConfigurationError = "ConfigurationError";
inline constexpr std::string_view kUnknownError = "UnknownError";

/// Bounds of metav1.Condition; of the message in characters, which octets are never more than.
inline constexpr std::size_t kMaxReasonLength = 1024;
inline constexpr std::size_t kMaxMessageLength = 32768;

/// One condition, without its time, which the keeper of the object knows.
struct Condition {
  std::string type;
  bool holds = false;   ///< status: True or False.
  std::string reason;   ///< For programs: a word (IsConditionReason).
  std::string message;  ///< For people. May be empty; any length and any octets.
  /// Whether it tells if the configuration is valid. Others are remarks, without any effect on
  /// result and errorSummary.
  bool is_verdict = true;

  friend bool operator==(const Condition&, const Condition&) = default;
};

/// A condition's status as the API writes it.
[[nodiscard]] inline const char* StatusText(bool holds) { return holds ? "True" : "False"; }

/// The verdict of a program that has read its configuration, MetalLB's way: True `Reconciled`
/// without a message; False `ConfigurationError`, "configuration error: …", for InvalidArgument;
/// False `UnknownError`, with the message as it is, for all other codes.
[[nodiscard]] Condition ReconcilerCondition(std::string_view type, const absl::Status& outcome);

/// That an older form of configuration is in use, with the remarks on the configuration
/// (config::Config), one on a line: True, reason `ConfigMap` or `AddressPool`. Precondition: `form`
/// is one of these.
[[nodiscard]] Condition LegacyCondition(config::OlderForm form,
                                        const std::vector<std::string>& remarks);

/// The conditions in one word: Unknown where there is no verdict; Invalid where one is False
/// because of `ConfigurationError`; else Valid. The summary is the messages of those, one on a
/// line.
struct Verdict {
  std::string result;
  std::string error_summary;
};
[[nodiscard]] Verdict VerdictOf(const std::vector<Condition>& conditions);

/// Whether the API takes `text` as a reason.
[[nodiscard]] bool IsConditionReason(std::string_view text);

}  // namespace stentor::status
