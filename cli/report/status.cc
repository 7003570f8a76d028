// SPDX-License-Identifier: Apache-2.0
#include "cli/report/status.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "cli/report/judgement.h"
#include "cli/report/output.h"
#include "common/base/strings.h"
#include "common/status/condition.h"
#include "speaker/status/speaker_conditions.h"

namespace stentor::cli {
namespace {

using nlohmann::ordered_json;

StatusReport::Usage UsageOf(const controller::PoolUsage& usage) {
  return {.used = usage.in_use, .free = usage.total - usage.in_use};
}

void AddPools(const Snapshot& snapshot, const Books& books, StatusReport& report) {
  if (const auto gap = snapshot.ConfigGap() ? snapshot.ConfigGap() : snapshot.PoolGap()) {
    report.pools_gap = snapshot.GapText(*gap);
  }
  if (snapshot.ConfigGap()) {
    return;  // that is among the problems
  }
  if (!snapshot.config.ok()) {
    report.notices.push_back({"configuration", std::string(snapshot.config.status().message())});
    if (report.pools_gap.empty()) {
      report.pools_gap = "the configuration is not valid, or not there: see below";
    }
    return;
  }
  report.usage_gap = snapshot.AllocationGapText();
  for (const config::Pool& pool : snapshot.config->pools) {
    const Books::Usage usage = books.UsageOf(pool.name);
    StatusReport::Pool row{.name = pool.name,
                           .ipv4 = UsageOf(usage.ipv4),
                           .ipv6 = UsageOf(usage.ipv6),
                           .auto_assign = pool.auto_assign};
    for (const net::IpRange& range : pool.ranges) {
      const std::vector<net::IpPrefix> prefixes = net::Summarize(range);
      row.ranges.push_back(prefixes.size() == 1 ? prefixes.front().ToString() : range.ToString());
    }
    for (const config::L2Advertisement& advertisement : pool.l2_advertisements) {
      row.advertisements.push_back(advertisement.name);
    }
    report.pools.push_back(std::move(row));
  }
  for (const std::string& remark : snapshot.config->remarks) {
    report.notices.push_back({"configuration", remark});
  }
}

std::string ProblemOf(const Snapshot& snapshot, const StatusReport::Service& row,
                      const model::Service& service, const controller::Standing* standing,
                      const std::string& dispute) {
  if (!snapshot.KnowsClass()) {
    return "";  // it may be another load balancer's
  }
  if (row.addresses.empty()) {
    if (service.address_allocated && !service.address_allocated->reason.empty()) {
      return StrCat("no address: ", service.address_allocated->reason);
    }
    return standing == nullptr || !standing->refusal
               ? standing != nullptr && standing->allocation ? "no address yet" : "no address"
               : StrCat("no address: ", standing->refusal->reason);
  }
  if (!dispute.empty()) {
    return PoolOf(snapshot, AddressesOf(service)) == nullptr ? "its address is of no pool"
                                                             : "may not keep its address";
  }
  if (standing != nullptr && standing->refusal) {
    return StrCat("not what it asks for: ", standing->refusal->reason);
  }
  if (!snapshot.Knows(Resource::kStatuses)) {
    return "";
  }
  // Those of speakers that ended are on their way out.
  const auto live = static_cast<std::size_t>(std::ranges::count_if(
      row.announcers,
      [&snapshot](const Announcer& announcer) { return snapshot.HasSpeaker(announcer.node); }));
  return live == 0   ? "announced by nobody"
         : live == 1 ? ""
                     : StrCat("announced by ", live, " nodes");
}

void AddServices(const Snapshot& snapshot, const Books& books, StatusReport& report) {
  const bool judged = snapshot.AllocationGapText().empty();
  report.services_gap = snapshot.GapText(Resource::kServices);
  report.class_gap = snapshot.ClassGapText();
  report.announcers_gap = snapshot.GapText(Resource::kStatuses);
  std::vector<StatusReport::Notice> disputes;
  for (const auto& [key, service] : snapshot.services) {
    if (snapshot.KnowsClass() && !snapshot.IsOurs(service)) {
      ++report.others;
      continue;
    }
    StatusReport::Service row{
        .key = key, .addresses = service.ingress_ips, .announcers = snapshot.AnnouncersOf(key)};
    if (const config::Pool* pool = PoolOf(snapshot, AddressesOf(service))) {
      row.pool = pool->name;
    }
    const std::string dispute = judged ? books.Dispute(service) : std::string();
    row.problem = ProblemOf(snapshot, row, service, judged ? books.Find(key) : nullptr, dispute);
    if (!dispute.empty()) {
      disputes.push_back({key.ToString(), dispute});
    }
    report.services.push_back(std::move(row));
  }
  report.notices.insert(report.notices.end(), disputes.begin(), disputes.end());
}

const status::ConfigurationState* StateOf(const Snapshot& snapshot, const Program& program) {
  if (!program.runs) {
    return nullptr;  // what it said is not of now
  }
  if (program.role == Role::kSpeaker) {
    return snapshot.StateOf(program.node);
  }
  const auto it = std::ranges::find(snapshot.states, "controller",
                                    [](const auto& state) { return state.key.name; });
  return it == snapshot.states.end() ? nullptr : &*it;
}

void AddPrograms(const Snapshot& snapshot, StatusReport& report) {
  report.programs_gap = snapshot.GapText(Resource::kPods);
  const bool programs_known = report.programs_gap.empty();
  std::set<std::string_view> listed;
  for (const Program& program : snapshot.programs) {
    if (program.role == Role::kSpeaker) {
      listed.insert(program.node);
    }
    const status::ConfigurationState* const state = StateOf(snapshot, program);
    report.programs.push_back(
        {.program = program, .configuration = state == nullptr ? "" : state->result});
    if (!program.runs) {
      report.notices.push_back(
          {program.name, program.node.empty()
                             ? "is not running and ready"
                             : StrCat("is not running and ready on ", program.node)});
    }
  }
  const auto is_controller = [](const Program& p) { return p.role == Role::kController; };
  if (std::ranges::none_of(snapshot.programs, is_controller) && programs_known) {
    report.notices.push_back(
        {"controller", StrCat("no pod of it is in namespace ", snapshot.name_space)});
  }
  for (const model::Node& node : snapshot.nodes) {
    if (!listed.contains(node.name) && programs_known) {
      report.notices.push_back({node.name, "has no speaker pod"});
    }
  }
  for (const status::ConfigurationState& state : snapshot.states) {
    if (programs_known && !snapshot.IsOfRunning(state)) {
      continue;
    }
    for (const status::SeenCondition& condition : state.conditions) {
      const bool is_verdict = condition.type == status::kPoolReconcilerValid ||
                              condition.type == status::kConfigReconcilerValid ||
                              condition.type == status::kBgpAnnounced;
      if (is_verdict == (condition.status == "False") && condition.status != "Unknown") {
        report.notices.push_back(
            {state.key.name, StrCat(condition.reason, ": ", condition.message)});
      }
    }
  }
}

std::string AnnouncedBy(const std::vector<Announcer>& announcers) {
  std::vector<std::string> nodes;
  nodes.reserve(announcers.size());
  for (const Announcer& announcer : announcers) {
    nodes.push_back(announcer.interfaces.empty()
                        ? announcer.node
                        : StrCat(announcer.node, " (", Join(announcer.interfaces), ")"));
  }
  return Join(nodes);
}

std::string SinceOf(const std::vector<Announcer>& announcers) {
  return announcers.size() == 1 ? announcers.front().since : "";
}

}  // namespace

StatusReport MakeStatus(const Snapshot& snapshot) {
  StatusReport report;
  const Books books(snapshot);
  for (const std::string& problem : snapshot.problems) {
    report.notices.push_back({"API", problem});
  }
  AddPools(snapshot, books, report);
  AddServices(snapshot, books, report);
  AddPrograms(snapshot, report);
  return report;
}

std::string ToText(const StatusReport& report) {
  Table pools(
      {"POOL", "ADDRESSES", "USED-V4", "FREE-V4", "USED-V6", "FREE-V6", "AUTO", "ADVERTISED-BY"});
  for (const StatusReport::Pool& pool : report.pools) {
    const auto number = [&report](const StatusReport::Usage& usage, std::uint64_t value) {
      return usage.used + usage.free == 0 ? std::string()
             : report.usage_gap.empty()   ? StrCat(value)
                                          : "unknown";
    };
    pools.Add({pool.name, Join(pool.ranges), number(pool.ipv4, pool.ipv4.used),
               number(pool.ipv4, pool.ipv4.free), number(pool.ipv6, pool.ipv6.used),
               number(pool.ipv6, pool.ipv6.free), pool.auto_assign ? "yes" : "no",
               Join(pool.advertisements, "nobody")});
  }
  Table services({"SERVICE", "ADDRESSES", "POOL", "ANNOUNCED-BY", "SINCE", "PROBLEM"});
  for (const StatusReport::Service& service : report.services) {
    services.Add({service.key.ToString(), Join(service.addresses), service.pool,
                  report.announcers_gap.empty() ? AnnouncedBy(service.announcers) : "unknown",
                  SinceOf(service.announcers), service.problem});
  }
  Table programs({"PROGRAM", "POD", "NODE", "RUNS", "CONFIGURATION"});
  for (const StatusReport::ProgramRow& row : report.programs) {
    programs.Add({std::string(RoleName(row.program.role)), row.program.name, row.program.node,
                  row.program.runs ? "yes" : "no", row.configuration});
  }
  const auto gap = [](std::string_view what, const std::string& why) {
    return why.empty() ? std::string() : StrCat(what, " not known: ", Printable(why), "\n");
  };
  std::string out = !pools.empty()             ? pools.ToString()
                    : report.pools_gap.empty() ? "There are no pools.\n"
                                               : "";
  StrAppend(&out,
            gap(pools.empty() ? "Pools are" : "Whether there are more pools is", report.pools_gap));
  if (!pools.empty()) {
    StrAppend(&out, gap("How many of their addresses are used is", report.usage_gap));
  }
  out += '\n';
  out += !services.empty()             ? services.ToString()
         : report.services_gap.empty() ? "There are no Services of type LoadBalancer to serve.\n"
                                       : "";
  StrAppend(&out, gap(services.empty() ? "Services are" : "Whether there are more Services is",
                      report.services_gap));
  if (!services.empty()) {
    StrAppend(&out, gap("Which of them Stentor serves is", report.class_gap),
              gap("Who announces them is", report.announcers_gap));
  }
  if (report.others > 0) {
    StrAppend(&out, Count(report.others, "Service"), " of another load-balancer class left out.\n");
  }
  out += '\n';
  out += !programs.empty() ? programs.ToString()
         : report.programs_gap.empty()
             ? "There are no pods of controller or speakers.\n"
             : gap("Pods of controller and speakers are", report.programs_gap);
  const bool any_problem = std::ranges::any_of(
      report.services, [](const StatusReport::Service& s) { return !s.problem.empty(); });
  if (any_problem) {
    out += "\n`kubectl stentor why NAMESPACE/NAME` says what to do about a Service's problem.\n";
  }
  if (report.notices.empty()) {
    return any_problem ? out : out + "\nNothing needs attention.\n";
  }
  Table notices({"NEEDS-ATTENTION", "WHAT"});
  for (const StatusReport::Notice& notice : report.notices) {
    // Messages of several lines: one row each.
    std::string_view rest = notice.message;
    for (bool first = true; first || !rest.empty(); first = false) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      notices.Add({notice.about, std::string(rest.substr(0, end))});
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return StrCat(out, "\n", notices.ToString());
}

ordered_json ToJson(const StatusReport& report) {
  ordered_json json{{"known",
                     {{"pools", report.pools_gap.empty()},
                      {"usage", report.usage_gap.empty()},
                      {"services", report.services_gap.empty()},
                      {"class", report.class_gap.empty()},
                      {"announcers", report.announcers_gap.empty()},
                      {"programs", report.programs_gap.empty()}}},
                    {"pools", ordered_json::array()},
                    {"services", ordered_json::array()},
                    {"servicesOfOtherClasses", report.others},
                    {"programs", ordered_json::array()},
                    {"notices", ordered_json::array()}};
  const auto usage = [&report](const StatusReport::Usage& value) -> ordered_json {
    if (!report.usage_gap.empty()) {
      return nullptr;
    }
    return {{"used", value.used}, {"free", value.free}};
  };
  for (const StatusReport::Pool& pool : report.pools) {
    json["pools"].push_back({{"name", pool.name},
                             {"addresses", pool.ranges},
                             {"ipv4", usage(pool.ipv4)},
                             {"ipv6", usage(pool.ipv6)},
                             {"autoAssign", pool.auto_assign},
                             {"l2Advertisements", pool.advertisements}});
  }
  for (const StatusReport::Service& service : report.services) {
    ordered_json announcers = ordered_json::array();
    for (const Announcer& announcer : service.announcers) {
      announcers.push_back({{"node", announcer.node},
                            {"interfaces", announcer.interfaces},
                            {"since", announcer.since}});
    }
    json["services"].push_back({{"namespace", service.key.name_space},
                                {"name", service.key.name},
                                {"addresses", service.addresses},
                                {"pool", service.pool},
                                {"announcedBy", std::move(announcers)},
                                {"problem", service.problem}});
  }
  for (const StatusReport::ProgramRow& row : report.programs) {
    json["programs"].push_back({{"program", RoleName(row.program.role)},
                                {"pod", row.program.name},
                                {"node", row.program.node},
                                {"runs", row.program.runs},
                                {"configuration", row.configuration}});
  }
  for (const StatusReport::Notice& notice : report.notices) {
    json["notices"].push_back({{"about", notice.about}, {"message", notice.message}});
  }
  return json;
}

}  // namespace stentor::cli
