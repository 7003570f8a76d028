// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The checks of `why`, one after the other. Internal to cli/report.

#include <optional>
#include <string>
#include <string_view>

#include "cli/report/judgement.h"
#include "cli/report/why.h"

namespace stentor::cli {

/// Each check adds what it saw to the report, and says whether it makes sense to go on.
class WhyChecks {
 public:
  /// All are borrowed. `asked`: the address that the question is about, if any.
  WhyChecks(const Snapshot& snapshot, std::optional<net::IpAddress> asked,
            const model::Service& service, Books& books, const Elections& elections,
            WhyReport& report)
      : snapshot_(snapshot),
        asked_(asked),
        service_(service),
        books_(books),
        elections_(elections),
        report_(report) {}

  void Run();

 private:
  [[nodiscard]] bool CheckClass();
  [[nodiscard]] bool CheckConfiguration();
  [[nodiscard]] bool CheckAddress();
  [[nodiscard]] bool CheckPool();
  [[nodiscard]] bool CheckEndpoints();
  [[nodiscard]] bool CheckAdvertisement();
  [[nodiscard]] bool CheckCandidates();
  [[nodiscard]] bool CheckConflict();
  [[nodiscard]] bool CheckAnnouncer();
  [[nodiscard]] bool CheckProxy();

  void Add(Check check);
  bool Ok(std::string_view what, std::string seen);
  bool Remark(std::string_view what, std::string seen);
  bool Unknown(std::string_view what, std::string seen);
  /// Of a kind that the API server doesn't have, only a remark.
  bool Unknown(std::string_view what, Resource resource);
  bool Fail(std::string_view what, std::string_view cause, std::string seen, std::string remedy);
  /// For the lack of an object of this kind: or the webhook that keeps it from being made.
  bool FailMissing(std::string_view what, std::string_view cause, std::string_view kind,
                   std::string seen, std::string remedy);

  bool CheckShownAddress(const controller::Standing& standing);
  bool FailRefused(const controller::Refusal& refusal, const std::string& seen);
  bool FailNotYet(const std::string& seen);
  bool FailNoAvailableAddress(const std::string& message);
  bool FailNoCandidate();
  bool FailNotAnnounced();
  [[nodiscard]] bool IsAskedAndShown() const;

  const Snapshot& snapshot_;
  const std::optional<net::IpAddress> asked_;
  const model::Service& service_;
  Books& books_;
  const Elections& elections_;
  WhyReport& report_;
  Ballot ballot_;
};

}  // namespace stentor::cli
