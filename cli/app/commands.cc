// SPDX-License-Identifier: Apache-2.0
#include "cli/app/commands.h"

#include <array>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "cli/app/session.h"
#include "cli/report/explain.h"
#include "cli/report/status.h"
#include "cli/report/why.h"
#include "common/base/strings.h"

namespace stentor::cli {
namespace {

// How often --watch asks again.
constexpr Duration kWatchPace = std::chrono::seconds(2);

int Fail(const absl::Status& status, int exit_status) {
  PrintError(std::string(status.message()));
  return exit_status;
}

// "namespace/name", or a name ("service/name", as kubectl has it) in the namespace of -n or of the
// context.
model::ServiceKey ToKey(std::string subject, const Session& session) {
  for (const char* kind : {"service/", "services/", "svc/"}) {
    if (subject.starts_with(kind)) {
      subject.erase(0, std::string_view(kind).size());
      break;
    }
  }
  const std::size_t slash = subject.find('/');
  return slash == std::string::npos
             ? model::ServiceKey{session.service_namespace(), subject}
             : model::ServiceKey{subject.substr(0, slash), subject.substr(slash + 1)};
}

// What the report can do without; the snapshot tells what is missing.
void ReadMore(Reader& reader, Snapshot& snapshot, std::span<const Resource> resources,
              const model::ServiceKey& service) {
  (void)reader.Read(snapshot, resources, service);
}

}  // namespace

int RunStatus(const Options& options) {
  const auto session = Session::Open(options.cluster);
  if (!session.ok()) {
    return Fail(session.status(), kExitUsage);
  }
  io::EventLoop& loop = (*session)->loop();
  std::optional<std::string> printed;
  while (true) {
    Snapshot snapshot(options.cluster.name_space);
    if (const absl::Status status = (*session)->reader().Read(snapshot, kAlways); !status.ok()) {
      if (!options.watch || !printed) {
        return Fail(status, kExitCluster);
      }
      PrintError(std::string(status.message()));
    } else {
      snapshot.Finish();
      const StatusReport report = MakeStatus(snapshot);
      std::string text = ToText(report);
      if (text != printed) {
        Print(options.format, printed ? "\n" + text : text, ToJson(report));
        printed = std::move(text);
      }
    }
    if (!options.watch) {
      return kExitGood;
    }
    io::Timer timer(loop);
    timer.ArmAfter(kWatchPace, [&loop] { loop.Stop(); });
    loop.Run();
  }
}

int RunExplain(const Options& options) {
  const auto session = Session::Open(options.cluster);
  if (!session.ok()) {
    return Fail(session.status(), kExitUsage);
  }
  const model::ServiceKey key = ToKey(options.subject, **session);
  Reader& reader = (*session)->reader();
  Snapshot snapshot(options.cluster.name_space);
  if (const absl::Status status = reader.Read(snapshot, kAlways); !status.ok()) {
    return Fail(status, kExitCluster);
  }
  ReadMore(reader, snapshot, std::array{Resource::kSlices}, key);
  snapshot.Finish();
  const model::Service* const service = snapshot.Find(key);
  if (service == nullptr) {
    PrintError(StrCat("there is no Service ", key.ToString(),
                      " of type LoadBalancer; kubectl stentor status lists those that there are"));
    return kExitFound;
  }
  const ExplainReport report = ExplainService(snapshot, *service);
  Print(options.format, ToText(report), ToJson(report));
  PrintProblems(snapshot);
  return kExitGood;
}

int RunWhy(const Options& options) {
  const auto session = Session::Open(options.cluster);
  if (!session.ok()) {
    return Fail(session.status(), kExitUsage);
  }
  WhyQuestion question{.address = net::IpAddress::Parse(options.subject), .service = {}};
  if (!question.address) {
    question.service = ToKey(options.subject, **session);
  }
  Reader& reader = (*session)->reader();
  Snapshot snapshot(options.cluster.name_space);
  if (const absl::Status status = reader.Read(snapshot, kAlways); !status.ok()) {
    return Fail(status, kExitCluster);
  }
  const model::Service* service = ServiceOf(snapshot, question);
  if (service == nullptr && !question.address) {
    // Perhaps there is one of another type.
    const auto object = reader.Get(StrCat("/api/v1/namespaces/", question.service.name_space,
                                          "/services/", question.service.name));
    if (object.ok()) {
      snapshot.Add(Resource::kServices, *object);
      service = ServiceOf(snapshot, question);
    }
  }
  if (service != nullptr) {
    ReadMore(reader, snapshot, std::array{Resource::kSlices, Resource::kEvents}, service->key);
  }
  snapshot.Finish();
  const WhyReport report = Why(snapshot, question);
  Print(options.format, ToText(report), ToJson(report));
  PrintProblems(snapshot);
  return report.cause() == nullptr ? kExitGood : kExitFound;
}

}  // namespace stentor::cli
