// SPDX-License-Identifier: Apache-2.0

/// \file
/// The commands that read files.

#include <algorithm>
#include <array>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/app/commands.h"
#include "cli/app/session.h"
#include "cli/report/convert.h"
#include "cli/report/output.h"
#include "cli/report/what_if.h"
#include "common/io/read_documents.h"
#include "controller/webhook/validate.h"

namespace stentor::cli {
namespace {

std::vector<nlohmann::json> ObjectsOf(std::vector<io::SourceDocument> documents) {
  std::vector<nlohmann::json> objects;
  objects.reserve(documents.size());
  for (io::SourceDocument& document : documents) {
    objects.push_back(std::move(document.object));
  }
  return objects;
}

const char* LevelName(controller::Finding::Level level) {
  switch (level) {
    case controller::Finding::Level::kOk:
      return "ok";
    case controller::Finding::Level::kWarning:
      return "warning";
    case controller::Finding::Level::kError:
      return "error";
  }
  return "";
}

// What would be, where `ask` says what is to be changed; `documents` are in it.
template <typename Ask>
int RunWhatIf(const Options& options, const std::vector<nlohmann::json>& documents,
              const Ask& ask) {
  const auto session = Session::Open(options.cluster);
  if (!session.ok()) {
    PrintError(std::string(session.status().message()));
    return kExitUsage;
  }
  const std::string& name_space = (*session)->service_namespace();
  Snapshot snapshot(options.cluster.name_space);
  snapshot.wanted = ObjectsIn(documents, name_space);
  if (const absl::Status status =
          (*session)->reader().ReadAll(snapshot, std::array{Resource::kSlices});
      !status.ok()) {
    PrintError(std::string(status.message()));
    return kExitCluster;
  }
  snapshot.Finish();
  const WhatIfReport report = ask(snapshot, name_space);
  PrintProblems(snapshot);
  if (!report.error.empty()) {
    PrintError(report.error);
    return report.unknown.empty() ? kExitUsage : kExitCluster;
  }
  if (!Print(options.format, ToText(report), ToJson(report))) {
    return kExitUsage;
  }
  return report.AnyLoss() ? kExitFound : report.unknown.empty() ? kExitGood : kExitCluster;
}

}  // namespace

int RunWhatIfNode(const Options& options) {
  return RunWhatIf(options, {}, [&](const Snapshot& snapshot, const std::string&) {
    return WhatIfNodeGone(snapshot, options.subject);
  });
}

int RunWhatIfFiles(const Options& options) {
  auto read = io::ReadDocuments(options.files);
  if (!read.ok()) {
    PrintError(std::string(read.status().message()));
    return kExitUsage;
  }
  const std::vector<nlohmann::json> documents = ObjectsOf(*std::move(read));
  return RunWhatIf(options, documents,
                   [&](const Snapshot& snapshot, const std::string& name_space) {
                     return WhatIfApplied(snapshot, documents, name_space);
                   });
}

int RunValidate(const Options& options) {
  auto read = io::ReadDocuments(options.files);
  if (!read.ok()) {
    PrintError(std::string(read.status().message()));
    return kExitUsage;
  }
  std::vector<controller::Document> documents;
  for (io::SourceDocument& document : *read) {
    documents.push_back(
        {.source = std::move(document.source), .object = std::move(document.object)});
  }
  const std::vector<controller::Finding> findings =
      controller::Validate(documents, options.cluster.name_space, controller::BgpMode::kAny);
  std::string text;
  nlohmann::ordered_json json{{"findings", nlohmann::ordered_json::array()}};
  for (const controller::Finding& finding : findings) {
    text += Printable(controller::ToLine(finding)) + "\n";
    json["findings"].push_back({{"level", LevelName(finding.level)},
                                {"source", finding.source},
                                {"object", finding.object},
                                {"message", finding.message}});
  }
  if (!Print(options.format, text, json)) {
    return kExitUsage;
  }
  const bool refused = std::ranges::find(findings, controller::Finding::Level::kError,
                                         &controller::Finding::level) != findings.end();
  return refused ? kExitFound : kExitGood;
}

int RunConvert(const Options& options) {
  auto documents = io::ReadDocuments(options.files);
  if (!documents.ok()) {
    PrintError(std::string(documents.status().message()));
    return kExitUsage;
  }
  const Conversion conversion =
      Convert(ObjectsOf(*std::move(documents)), options.cluster.name_space);
  for (const std::string& remark : conversion.remarks) {
    std::cerr << "note: " << Printable(remark) << '\n';
  }
  for (const std::string& error : conversion.errors) {
    PrintError(error);
  }
  if (!conversion.errors.empty()) {
    return kExitFound;  // half of a configuration is better not applied
  }
  // YAML is what people apply.
  const bool printed = Print(options.format == Format::kJson ? Format::kJson : Format::kText,
                             ToYamlDocuments(conversion), ToList(conversion));
  return printed ? kExitGood : kExitUsage;
}

}  // namespace stentor::cli
