// SPDX-License-Identifier: Apache-2.0
#include "controller/app/validate_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/strings.h"
#include "common/config/yaml_documents.h"
#include "common/io/flags.h"
#include "common/io/read_file.h"
#include "controller/webhook/validate.h"

namespace stentor::controller {
namespace {

constexpr std::size_t kMaxFile = std::size_t{16} << 20U;
constexpr int kRefused = 1;
constexpr int kUnusable = 2;

absl::StatusOr<std::string> ReadInput(const std::string& name) {
  if (name != "-") {
    return io::ReadFile(name, kMaxFile);
  }
  std::string text;
  std::vector<char> buffer(std::size_t{64} << 10U);
  while (std::cin.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
         std::cin.gcount() > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(std::cin.gcount()));
    if (text.size() > kMaxFile) {
      return absl::FailedPreconditionError(
          StrCat("standard input is longer than ", kMaxFile, " octets"));
    }
  }
  return text;
}

absl::Status ReadDocuments(const std::string& name, std::vector<Document>& documents) {
  const auto text = ReadInput(name);
  if (!text.ok()) {
    return text.status();
  }
  auto parsed = config::ParseYamlDocuments(*text);
  const std::string source = name == "-" ? "standard input" : name;
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(StrCat(source, ": ", std::string(parsed.status().message())));
  }
  for (std::size_t i = 0; i < parsed->size(); ++i) {
    documents.push_back(
        {.source = parsed->size() == 1 ? source : StrCat(source, ", document ", i + 1),
         .object = std::move((*parsed)[i])});
  }
  return absl::OkStatus();
}

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
  std::vector<Document> documents;
  for (const std::string& file : files) {
    if (const absl::Status status = ReadDocuments(file, documents); !status.ok()) {
      std::cerr << "stentor-controller validate: " << status.message() << '\n';
      return kUnusable;
    }
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
