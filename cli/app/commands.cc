// SPDX-License-Identifier: Apache-2.0
#include "cli/app/commands.h"

#include <array>
#include <optional>
#include <set>
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

// Webhooks, and the endpoints of what answers them. They may not be readable: then nothing is said
// of them.
void ReadWebhooks(Reader& reader, Snapshot& snapshot) {
  Snapshot webhooks(snapshot.name_space);
  ReadMore(reader, webhooks, std::array{Resource::kWebhooks}, {});
  std::set<model::ServiceKey> services;
  for (const WebhookFact& webhook : webhooks.webhooks) {
    if (!webhook.kinds.empty() && !webhook.service.name.empty()) {
      services.insert(webhook.service);
    }
  }
  for (const model::ServiceKey& service : services) {
    ReadMore(reader, webhooks, std::array{Resource::kSlices}, service);
  }
  if (!webhooks.Knows(Resource::kWebhooks) ||
      (!services.empty() && !webhooks.Knows(Resource::kSlices))) {
    return;
  }
  snapshot.webhooks = std::move(webhooks.webhooks);
  snapshot.slices.merge(webhooks.slices);
  snapshot.Done(Resource::kWebhooks);
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
    const TimePoint begin = loop.Now();
    Snapshot snapshot(options.cluster.name_space);
    if (const absl::Status status = (*session)->reader().ReadAll(snapshot); !status.ok()) {
      if (!options.watch || !printed) {
        return Fail(status, kExitCluster);
      }
      PrintError(std::string(status.message()));
    } else {
      snapshot.Finish();
      const StatusReport report = MakeStatus(snapshot);
      std::string text = ToText(report);
      if (text != printed) {
        if (!Print(options.format, text, ToJson(report), printed.has_value())) {
          return kExitUsage;
        }
        printed = std::move(text);
      }
    }
    if (!options.watch) {
      return kExitGood;
    }
    io::Timer timer(loop);
    timer.ArmAfter(WatchPause(loop.Now() - begin), [&loop] { loop.Stop(); });
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
  if (const absl::Status status = reader.ReadAll(snapshot); !status.ok()) {
    return Fail(status, kExitCluster);
  }
  ReadMore(reader, snapshot, std::array{Resource::kSlices}, key);
  snapshot.Finish();
  const model::Service* const service = snapshot.Find(key);
  if (service == nullptr && !snapshot.Knows(Resource::kServices)) {
    PrintProblems(snapshot);
    return kExitCluster;
  }
  if (service == nullptr) {
    PrintError(StrCat("there is no Service ", key.ToString(),
                      " of type LoadBalancer; kubectl stentor status lists those that there are"));
    return kExitFound;
  }
  const ExplainReport report = ExplainService(snapshot, *service);
  if (!Print(options.format, ToText(report), ToJson(report))) {
    return kExitUsage;
  }
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
  if (const absl::Status status = reader.ReadAll(snapshot); !status.ok()) {
    return Fail(status, kExitCluster);
  }
  if (!question.address && ServicesOf(snapshot, question).empty()) {
    // Perhaps there is one of another type.
    const auto object = reader.Get(StrCat("/api/v1/namespaces/", question.service.name_space,
                                          "/services/", question.service.name));
    if (object.ok()) {
      snapshot.Add(Resource::kServices, *object);
    }
    question.not_found = absl::IsNotFound(object.status());
    if (!question.not_found && snapshot.Find(question.service) == nullptr) {
      snapshot.Refuse(Resource::kServices,
                      object.ok() ? absl::DataLossError("it can't be decoded") : object.status());
    }
  }
  for (const model::Service* service : ServicesOf(snapshot, question)) {
    ReadMore(reader, snapshot, std::array{Resource::kSlices, Resource::kEvents}, service->key);
  }
  snapshot.Finish();
  WhyReport report = Why(snapshot, question);
  if (report.MissesObject()) {
    ReadWebhooks(reader, snapshot);
    report = Why(snapshot, question);
  }
  if (!Print(options.format, ToText(report), ToJson(report))) {
    return kExitUsage;
  }
  PrintProblems(snapshot);
  return report.cause() != nullptr ? kExitFound : report.AnyUnknown() ? kExitCluster : kExitGood;
}

}  // namespace stentor::cli
