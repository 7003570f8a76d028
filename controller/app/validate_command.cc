// SPDX-License-Identifier: Apache-2.0
#include "controller/app/validate_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "common/io/flags.h"
#include "common/io/read_documents.h"
#include "controller/webhook/validate.h"

namespace stentor::controller {
namespace {

constexpr int kRefused = 1;
constexpr int kUnusable = 2;

}  // namespace

int RunValidate(int argc, char** argv) {
  std::vector<std::string> files;
  std::string name_space = "metallb-system";
  std::string bgp_type;
  CLI::App app(
      "Checks manifests of address pools, advertisements and Services without a cluster: prints, "
      "for each object, what the webhooks would say if all of them were applied.",
      "stentor-controller validate");
  app.add_option("-f,--filename,files", files, "Files with YAML or JSON; - for standard input")
      ->required();
  app.add_option("--namespace", name_space, "Namespace in which the controller runs")
      ->envname("METALLB_NAMESPACE")
      ->capture_default_str();
  app.add_option("--bgp-type", bgp_type,
                 "Which of MetalLB's implementations of BGP the objects have to suit")
      ->check(CLI::IsMember({"native", "frr", "frr-k8s"}))
      ->envname("METALLB_BGP_TYPE");
  const io::ParseOutcome outcome = io::Parse(app, argc, argv);
  if (!outcome.go_on) {
    return outcome.exit_status;
  }
  auto read = io::ReadDocuments(files);
  if (!read.ok()) {
    std::cerr << "stentor-controller validate: " << read.status().message() << '\n';
    return kUnusable;
  }
  std::vector<Document> documents;
  for (io::SourceDocument& document : *read) {
    documents.push_back(
        {.source = std::move(document.source), .object = std::move(document.object)});
  }
  const BgpMode mode = bgp_type.empty()       ? BgpMode::kAny
                       : bgp_type == "native" ? BgpMode::kNative
                                              : BgpMode::kFrr;
  const std::vector<Finding> findings = Validate(documents, name_space, mode);
  for (const Finding& finding : findings) {
    std::cout << ToLine(finding) << '\n';
  }
  return std::ranges::find(findings, Finding::Level::kError, &Finding::level) == findings.end()
             ? 0
             : kRefused;
}

}  // namespace stentor::controller
