// SPDX-License-Identifier: Apache-2.0
#include "cli/report/why.h"

#include <algorithm>
#include <utility>

#include "cli/report/output.h"
#include "cli/report/why_checks.h"
#include "common/base/strings.h"
#include "controller/reconcile/service_wish.h"

namespace stentor::cli {
namespace {

using nlohmann::ordered_json;

constexpr const char* kNothingWrong =
    "Nothing is wrong that the API shows. What it doesn't show: firewalls and switches between "
    "client\nand node, the client's own routes, and whether the pods answer. From a host of the "
    "same segment,\n`arping ADDRESS` shows which MAC answers.\n";

// Nobody has the address, and nobody asks for it.
Check NoService(const Snapshot& snapshot, const WhyQuestion& question) {
  Check check{.what = "Service", .state = Check::State::kFailed, .cause = "noService"};
  if (!question.address) {
    check.seen = StrCat("there is no Service ", question.service.ToString());
    check.remedy =
        "check name and namespace (-n); kubectl stentor status lists all that are served";
    return check;
  }
  const std::string address = question.address->ToString();
  const config::Pool* const pool = PoolOf(snapshot, {*question.address});
  check.seen = pool != nullptr
                   ? StrCat("no Service has ", address, " or asks for it; pool ", pool->name,
                            " has it, and it is free")
                   : StrCat("no Service has ", address, " or asks for it, and no pool has it");
  check.remedy = pool != nullptr
                     ? StrCat(
                           "create a Service of type LoadBalancer, with the annotation "
                           "metallb.io/loadBalancerIPs: ",
                           address, " if it has to be this one")
                     : "check the address; kubectl stentor status lists pools and addresses";
  return check;
}

std::string_view Word(Check::State state) {
  switch (state) {
    case Check::State::kOk:
      return "ok";
    case Check::State::kRemark:
      return "note";
    case Check::State::kUnknown:
      return "unknown";
    case Check::State::kFailed:
      return "FAILED";
  }
  return "";
}

}  // namespace

std::string WhyQuestion::ToString() const {
  return address ? address->ToString() : service.ToString();
}

const Check* WhyReport::cause() const {
  return !checks.empty() && checks.back().state == Check::State::kFailed ? &checks.back() : nullptr;
}

const model::Service* ServiceOf(const Snapshot& snapshot, const WhyQuestion& question) {
  if (!question.address) {
    return snapshot.Find(question.service);
  }
  if (const model::Service* service = snapshot.FindByAddress(*question.address)) {
    return service;
  }
  for (const auto& [key, service] : snapshot.services) {
    const auto requested = controller::RequestedAddresses(service);
    if (requested.ok() && std::ranges::find(*requested, *question.address) != requested->end()) {
      return &service;
    }
  }
  return nullptr;
}

WhyReport Why(const Snapshot& snapshot, const WhyQuestion& question) {
  const model::Service* const service = ServiceOf(snapshot, question);
  WhyReport report{.subject = question.ToString()};
  if (service == nullptr) {
    report.checks.push_back(NoService(snapshot, question));
    return report;
  }
  if (question.address) {
    StrAppend(&report.subject, " (Service ", service->key.ToString(), ")");
  }
  WhyChecks(snapshot, *service, report).Run();
  return report;
}

std::string ToText(const WhyReport& report) {
  std::string out = StrCat(report.subject, "\n\n");
  Table table({"", "CHECKED", "SEEN"});
  for (const Check& check : report.checks) {
    table.Add({std::string(Word(check.state)), check.what, check.seen});
  }
  out += table.ToString();
  const Check* const cause = report.cause();
  return out + "\n" + (cause == nullptr ? kNothingWrong : StrCat("Remedy: ", cause->remedy, "\n"));
}

ordered_json ToJson(const WhyReport& report) {
  ordered_json checks = ordered_json::array();
  for (const Check& check : report.checks) {
    checks.push_back(
        {{"what", check.what},
         {"result", check.state == Check::State::kFailed ? "failed" : Word(check.state)},
         {"seen", check.seen}});
  }
  const Check* const cause = report.cause();
  return {{"subject", report.subject},
          {"cause", cause == nullptr ? "" : cause->cause},
          {"seen", cause == nullptr ? "" : cause->seen},
          {"remedy", cause == nullptr ? "" : cause->remedy},
          {"checks", std::move(checks)}};
}

}  // namespace stentor::cli
