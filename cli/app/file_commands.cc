// SPDX-License-Identifier: Apache-2.0

/// \file
/// The commands that read files.

#include <algorithm>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/app/commands.h"
#include "cli/app/session.h"
#include "cli/report/convert.h"
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

// What would be, where `ask` says what is to be changed.
template <typename Ask>
int RunWhatIf(const Options& options, const Ask& ask) {
  const auto session = Session::Open(options.cluster);
  if (!session.ok()) {
    PrintError(std::string(session.status().message()));
    return kExitUsage;
  }
  Snapshot snapshot(options.cluster.name_space);
  std::vector<Resource> resources(kAlways.begin(), kAlways.end());
  resources.push_back(Resource::kSlices);
  if (const absl::Status status = (*session)->reader().Read(snapshot, resources); !status.ok()) {
    PrintError(std::string(status.message()));
    return kExitCluster;
  }
  snapshot.Finish();
  const WhatIfReport report = ask(snapshot);
  if (!report.error.empty()) {
    PrintError(report.error);
    return kExitUsage;
  }
  Print(options.format, ToText(report), ToJson(report));
  PrintProblems(snapshot);
  return report.AnyLoss() ? kExitFound : kExitGood;
}

}  // namespace

int RunWhatIfNode(const Options& options) {
  return RunWhatIf(
      options, [&](const Snapshot& snapshot) { return WhatIfNodeGone(snapshot, options.subject); });
}

int RunWhatIfFiles(const Options& options) {
  auto documents = io::ReadDocuments(options.files);
  if (!documents.ok()) {
    PrintError(std::string(documents.status().message()));
    return kExitUsage;
  }
  return RunWhatIf(options, [objects = ObjectsOf(*std::move(documents))](const Snapshot& snapshot) {
    return WhatIfApplied(snapshot, objects);
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
    text += controller::ToLine(finding) + "\n";
    json["findings"].push_back({{"level", LevelName(finding.level)},
                                {"source", finding.source},
                                {"object", finding.object},
                                {"message", finding.message}});
  }
  Print(options.format, text, json);
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
    std::cerr << "note: " << remark << '\n';
  }
  for (const std::string& error : conversion.errors) {
    PrintError(error);
  }
  if (!conversion.errors.empty()) {
    return kExitFound;  // half of a configuration is better not applied
  }
  // YAML is what people apply.
  Print(options.format == Format::kJson ? Format::kJson : Format::kText,
        ToYamlDocuments(conversion), ToList(conversion));
  return kExitGood;
}

}  // namespace stentor::cli
