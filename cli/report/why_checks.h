// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The checks of `why`, one after the other. Internal to cli/report.

#include <string>
#include <string_view>

#include "cli/report/judgement.h"
#include "cli/report/why.h"

namespace stentor::cli {

/// Each check adds what it saw to the report, and says whether it makes sense to go on.
class WhyChecks {
 public:
  WhyChecks(const Snapshot& snapshot, const model::Service& service, WhyReport& report)
      : snapshot_(snapshot), service_(service), report_(report), books_(snapshot) {}

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

  bool Ok(std::string_view what, std::string seen);
  void Remark(std::string_view what, std::string seen);
  bool Unknown(std::string_view what, Resource resource);
  bool Fail(std::string_view what, std::string_view cause, std::string seen, std::string remedy);

  bool FailNoAvailableAddress(const std::string& message);
  bool FailNoCandidate();
  bool FailNotAnnounced();

  const Snapshot& snapshot_;
  const model::Service& service_;
  WhyReport& report_;
  Books books_;
  Ballot ballot_;
};

}  // namespace stentor::cli
