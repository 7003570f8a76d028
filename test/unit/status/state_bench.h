// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A ConfigurationStateKeeper against an API server in memory, in virtual time.

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/status/configuration_state_keeper.h"
#include "test/support/catch.h"
#include "test/support/custom_resource_server.h"

namespace stentor::status {

using Answer = absl::StatusOr<kube::Response>;

struct StateBench {
  explicit StateBench(ConfigurationStateOptions options = ControllerState("ns"))
      : keeper(std::move(options), [] { return 0.5; }) {}

  /// The first list of the watch.
  void Sync() {
    if (const nlohmann::json* const object = Object()) {
      keeper.Seen(*object);
    } else {
      keeper.Gone();
    }
  }

  /// Lets time pass, carrying everything to the server and back at once.
  void Run(Duration span) {
    const TimePoint end = now + span;
    for (int steps = 0;; ++steps) {
      REQUIRE(steps < 20'000);  // a deadline that has passed, again and again
      Carry();
      const std::optional<TimePoint> next = keeper.NextDeadline();
      if (!next || *next > end) {
        break;
      }
      REQUIRE(*next > now);
      Advance(*next - now);
    }
    Advance(end - now);
  }

  /// What Poll() asks for, answered, until it asks for nothing.
  void Carry() {
    for (int requests = 0;; ++requests) {
      REQUIRE(requests < 100);
      StatusActions actions = keeper.Poll(now);
      if (actions.notice) {
        notices.push_back(*actions.notice);
      }
      if (actions.requests.empty()) {
        return;
      }
      REQUIRE(actions.requests.size() == 1);
      const StatusRequest& sent = actions.requests.front();
      const std::string query = "?fieldManager=stentor";
      const bool is_status = sent.request.path.find("/status?") != std::string::npos;
      log.push_back(sent.request.method + (is_status ? " status" : ""));
      CHECK((sent.request.method == "GET" ||
             sent.request.path.substr(sent.request.path.size() - query.size()) == query));
      last = sent;
      std::optional<Answer> fault = faults ? faults(sent.request) : std::nullopt;
      Answer answer = fault ? *fault : Answer(server.Handle(sent.request));
      if (watch && Object() != nullptr && watch_first) {
        keeper.Seen(*Object());
      }
      keeper.OnAnswer(now, sent.ticket, answer);
      if (watch && Object() != nullptr) {
        keeper.Seen(*Object());
      }
    }
  }

  void Advance(Duration span) {
    now += span;
    wall += std::chrono::duration_cast<WallTime::duration>(span);
  }

  /// Somebody else edits the object; the watch shows it.
  void Edit(const std::string& pointer, const nlohmann::json& value) {
    server.Edit(Name(), pointer, value);
    if (watch) {
      keeper.Seen(*Object());
    }
  }
  void Delete() {
    server.Delete(Name());
    if (watch) {
      keeper.Gone();
    }
  }

  void Verdict(const absl::Status& outcome) {
    keeper.SetCondition(ReconcilerCondition(kPoolReconcilerValid, outcome), wall);
  }
  void Remark(const std::string& message) {
    keeper.SetCondition({.type = std::string(kBgpAnnounced),
                         .holds = false,
                         .reason = "NotSupported",
                         .message = message,
                         .is_verdict = false},
                        wall);
  }

  [[nodiscard]] std::string Name() const { return "controller"; }
  [[nodiscard]] const nlohmann::json* Object() const { return server.Find(Name()); }
  [[nodiscard]] nlohmann::json Status() const {
    return Object() == nullptr ? nlohmann::json() : Object()->value("status", nlohmann::json());
  }
  /// "Valid poolReconcilerValid=True", without times.
  [[nodiscard]] std::string Short() const {
    const nlohmann::json status = Status();
    std::string text = status.value("result", "-");
    for (const auto& condition : status.value("conditions", nlohmann::json::array())) {
      text += " " + condition.value("type", "") + "=" + condition.value("status", "");
    }
    return text;
  }
  [[nodiscard]] std::vector<std::string> TakeLog() { return std::exchange(log, {}); }

  test::CustomResourceServer server{"/apis/metallb.io/v1beta1/namespaces/ns/configurationstates"};
  ConfigurationStateKeeper keeper;
  TimePoint now{std::chrono::hours(1)};
  WallTime wall{std::chrono::seconds(1'767'225'600)};  // 2026-01-01T00:00:00Z
  bool watch = true;
  bool watch_first = false;  // the watch is faster than the answer
  std::function<std::optional<Answer>(const kube::Request&)> faults;
  std::vector<std::string> log;  // of requests
  std::vector<Notice> notices;
  StatusRequest last;
};

using Log = std::vector<std::string>;

}  // namespace stentor::status
