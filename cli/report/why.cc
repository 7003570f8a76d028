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
    "same segment,\n`arping ADDRESS` shows which MAC answers; it should be one of the announcing "
    "node.\n";
constexpr const char* kNotAllKnown =
    "Nothing is wrong in what could be read; the rest, unknown above, may be the cause.\n";
// Causes that are the lack of an object which a webhook may have refused.
constexpr std::string_view kMissing[] = {"noPool", "poolNotFound", "addressInNoPool",
                                         "noAdvertisement"};

// Nobody has the address, and nobody asks for it.
Check NoService(const Snapshot& snapshot, const WhyQuestion& question) {
  Check check{.what = "Service", .state = Check::State::kFailed, .cause = "noService"};
  if (!snapshot.Knows(Resource::kServices) && !question.not_found) {
    return {.what = "Service",
            .state = Check::State::kUnknown,
            .seen = snapshot.GapText(Resource::kServices)};
  }
  if (!question.address) {
    check.seen = StrCat("there is no Service ", question.service.ToString());
    check.remedy =
        "check name and namespace (-n); kubectl stentor status lists all that are served";
    return check;
  }
  const std::string address = question.address->ToString();
  const config::Pool* const pool = PoolOf(snapshot, {*question.address});
  check.seen = StrCat("no Service has ", address, " or asks for it");
  if (pool != nullptr) {
    StrAppend(&check.seen, "; pool ", pool->name, " has it, and it is free");
    check.remedy = StrCat(
        "create a Service of type LoadBalancer, with the annotation "
        "metallb.io/loadBalancerIPs: ",
        address, " if it has to be this one");
    return check;
  }
  if (snapshot.config.ok() && !snapshot.PoolGap()) {
    check.seen += ", and no pool has it";
  }
  check.remedy = "check the address; kubectl stentor status lists pools and addresses";
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
  const auto it = std::ranges::find(checks, Check::State::kFailed, &Check::state);
  return it == checks.end() ? nullptr : &*it;
}

bool WhyReport::AnyUnknown() const {
  return std::ranges::find(checks, Check::State::kUnknown, &Check::state) != checks.end();
}

bool WhyReport::MissesObject() const {
  return std::ranges::any_of(checks, [](const Check& check) {
    return std::ranges::find(kMissing, check.cause) != std::end(kMissing);
  });
}

std::vector<const model::Service*> ServicesOf(const Snapshot& snapshot,
                                              const WhyQuestion& question) {
  if (!question.address) {
    const model::Service* const service = snapshot.Find(question.service);
    return service == nullptr ? std::vector<const model::Service*>() : std::vector{service};
  }
  std::vector<const model::Service*> services = snapshot.FindByAddress(*question.address);
  if (!services.empty()) {
    return services;
  }
  for (const auto& [key, service] : snapshot.services) {
    const auto requested = controller::RequestedAddresses(service);
    if (requested.ok() && std::ranges::find(*requested, *question.address) != requested->end()) {
      services.push_back(&service);
    }
  }
  return services;
}

WhyReport Why(const Snapshot& snapshot, const WhyQuestion& question) {
  WhyReport report{.subject = question.ToString(),
                   .address = question.address ? question.address->ToString() : ""};
  std::vector<std::string> names;
  for (const model::Service* service : ServicesOf(snapshot, question)) {
    report.services.push_back(service->key);
    names.push_back(service->key.ToString());
  }
  if (names.empty()) {
    report.checks.push_back(NoService(snapshot, question));
    return report;
  }
  if (question.address) {
    StrAppend(&report.subject, names.size() == 1 ? " (Service " : " (Services ", Join(names), ")");
  }
  Books books(snapshot);
  const Elections elections(snapshot);
  for (const model::ServiceKey& key : report.services) {
    WhyChecks(snapshot, question.address, *snapshot.Find(key), books, elections, report).Run();
  }
  return report;
}

std::string ToText(const WhyReport& report) {
  std::string out = StrCat(Printable(report.subject), "\n\n");
  const bool several = report.services.size() > 1;
  Table table(several ? std::vector<std::string>{"", "SERVICE", "CHECKED", "SEEN"}
                      : std::vector<std::string>{"", "CHECKED", "SEEN"});
  for (const Check& check : report.checks) {
    std::vector<std::string> cells{std::string(Word(check.state)), check.what, check.seen};
    if (several) {
      cells.insert(cells.begin() + 1, check.service.ToString());
    }
    table.Add(std::move(cells));
  }
  out += table.ToString() + "\n";
  if (const Check* const cause = report.cause()) {
    return StrCat(out, "Remedy: ", Printable(cause->remedy), "\n");
  }
  return out + (report.AnyUnknown() ? kNotAllKnown : kNothingWrong);
}

ordered_json ToJson(const WhyReport& report) {
  ordered_json checks = ordered_json::array();
  for (const Check& check : report.checks) {
    checks.push_back(
        {{"namespace", check.service.name_space},
         {"name", check.service.name},
         {"what", check.what},
         {"result", check.state == Check::State::kFailed ? "failed" : Word(check.state)},
         {"cause", check.cause},
         {"seen", check.seen}});
  }
  const Check* const cause = report.cause();
  // Of the Service that is at fault, or of the first.
  const model::ServiceKey service = cause != nullptr          ? cause->service
                                    : report.services.empty() ? model::ServiceKey()
                                                              : report.services.front();
  return {{"subject", report.subject},
          {"address", report.address},
          {"namespace", service.name_space},
          {"name", service.name},
          {"cause", cause == nullptr ? "" : cause->cause},
          {"seen", cause == nullptr ? "" : cause->seen},
          {"remedy", cause == nullptr ? "" : cause->remedy},
          {"complete", !report.AnyUnknown()},
          {"checks", std::move(checks)}};
}

}  // namespace stentor::cli
