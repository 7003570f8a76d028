// SPDX-License-Identifier: Apache-2.0
#include "common/io/configuration_state_writer.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "common/io/random.h"
#include "common/io/watch_logging.h"
#include "common/kube/codec.h"

namespace stentor::io {
namespace {

constexpr const char* kStates = "configurationstates.metallb.io";

}  // namespace

void LogStatusNotice(const obs::Logger& log, const status::Notice& notice, std::string_view what) {
  const bool refused = notice.kind == status::Notice::Kind::kRefused;
  log.Log(refused ? obs::Event::kResourceRefused : obs::Event::kApiRecovered,
          refused ? StrCat(notice.message, "; it is done without")
                  : StrCat("the status of ", what, " can be written now"),
          {{"resource", std::string(what)}});
}

ConfigurationStateWriter::ConfigurationStateWriter(const Context& context,
                                                   ConfigurationStateWriterOptions options)
    : context_(context),
      options_(std::move(options)),
      keeper_(options_.state, RandomUniform),
      timer_(context.loop) {}

ConfigurationStateWriter::~ConfigurationStateWriter() = default;

void ConfigurationStateWriter::Start() {
  const model::ObjectKey key = options_.state.object;
  WatchHandlers handlers = LoggingHandlers(context_.log, kStates);
  handlers.on_upsert = [this, key](const nlohmann::json& object) {
    if (const auto its = kube::DecodeKey(object); its.ok() && *its == key) {
      seen_ = true;
      keeper_.Seen(object);
      options_.on_recorded();
      Schedule();
    }
  };
  handlers.on_delete = [this, key](const model::ObjectKey& gone) {
    if (gone == key) {
      keeper_.Gone();
      Schedule();
    }
  };
  handlers.on_synced = [this] {
    if (!std::exchange(seen_, true)) {
      keeper_.Gone();
      options_.on_recorded();
      Schedule();
    }
  };
  // Manifests before MetalLB 0.15 know no such kind. What is written is refused then too, and told.
  handlers.on_refused = [](const absl::Status&) { return RetryPace::kPatient; };
  watch_ = context_.client.Watch({.name = kStates,
                                  .path = status::ConfigurationStatesPath(key.name_space),
                                  .field_selector = "metadata.name=" + key.name,
                                  .label_selector = ""},
                                 std::move(handlers));
  Schedule();
}

void ConfigurationStateWriter::SetActive(bool active) {
  keeper_.SetActive(active);
  Schedule();
}

void ConfigurationStateWriter::SetOwner(status::OwnerPod owner) {
  keeper_.SetOwner(std::move(owner));
  Schedule();
}

void ConfigurationStateWriter::SetCondition(status::Condition condition) {
  keeper_.SetCondition(std::move(condition), context_.loop.WallNow());
  Schedule();
}

void ConfigurationStateWriter::RemoveCondition(std::string_view type) {
  keeper_.RemoveCondition(type);
  Schedule();
}

void ConfigurationStateWriter::Schedule() {
  if (watch_ && !std::exchange(scheduled_, true)) {
    context_.loop.Post(lifetime_.Bind([this] { Poll(); }));
  }
}

void ConfigurationStateWriter::Poll() {
  scheduled_ = false;
  status::StatusActions actions = keeper_.Poll(context_.loop.Now());
  if (actions.notice) {
    LogStatusNotice(context_.log, *actions.notice, kStates);
  }
  for (status::StatusRequest& request : actions.requests) {
    Send(std::move(request));
  }
  if (const auto deadline = keeper_.NextDeadline()) {
    timer_.ArmAt(*deadline, [this] { Schedule(); });
  } else {
    timer_.Disarm();
  }
}

void ConfigurationStateWriter::Send(status::StatusRequest request) {
  const auto on_answer = [this,
                          ticket = request.ticket](const absl::StatusOr<kube::Response>& answer) {
    keeper_.OnAnswer(context_.loop.Now(), ticket, answer);
    options_.on_recorded();  // what is recorded may only be known by this
    Schedule();
  };
  if (options_.may_write()) {
    context_.client.Request(std::move(request.request), lifetime_.Bind(on_answer));
  } else {
    context_.loop.Post(lifetime_.Bind([on_answer] {
      on_answer(absl::UnavailableError("this program may not write at present"));
    }));
  }
}

}  // namespace stentor::io
