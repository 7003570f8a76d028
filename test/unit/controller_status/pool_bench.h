// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A PoolStatusKeeper against an API server in memory, in virtual time.

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/status/pool_status_keeper.h"
#include "test/support/catch.h"
#include "test/support/custom_resource_server.h"

namespace stentor::controller {

using Answer = absl::StatusOr<kube::Response>;
using Figures = std::map<model::PoolName, PoolFigures, std::less<>>;

inline constexpr PoolFigures kFew{1, 0, 255, 0};
inline constexpr PoolFigures kMore{2, 0, 254, 0};

/// Answers come at once, unless `hold`.
struct PoolBench {
  explicit PoolBench(PoolStatusOptions options = {.name_space = "ns"})
      : keeper(std::move(options), [] { return 0.5; }) {}

  void Make(const std::string& name) {
    server.Store({{"apiVersion", "metallb.io/v1beta1"},
                  {"kind", "IPAddressPool"},
                  {"metadata", {{"name", name}, {"namespace", "ns"}, {"labels", {{"a", "b"}}}}},
                  {"spec", {{"addresses", {"192.0.2.0/24"}}}}});
    Watch(name);
  }
  void Watch(const std::string& name) {
    if (!watch) {
      return;
    }
    if (const nlohmann::json* const object = server.Find(name)) {
      keeper.PoolSeen(*object);
    } else {
      keeper.PoolGone({"ns", name});
    }
  }
  void Edit(const std::string& name, const std::string& pointer, const nlohmann::json& value) {
    server.Edit(name, pointer, value);
    Watch(name);
  }
  void Delete(const std::string& name) {
    server.Delete(name);
    Watch(name);
  }

  void Carry() {
    for (int rounds = 0;; ++rounds) {
      REQUIRE(rounds < 5'000);
      status::StatusActions actions = keeper.Poll(now);
      if (actions.notice) {
        notices.push_back(*actions.notice);
      }
      if (actions.requests.empty()) {
        return;
      }
      for (const status::StatusRequest& sent : actions.requests) {
        ++requests;
        // One for a pool at most, unless the one before was given up.
        const auto other = under_way.find(UidOf(sent.request));
        CHECK((other == under_way.end() || now >= other->second + std::chrono::seconds(30)));
        under_way[UidOf(sent.request)] = now;
        held.push_back(sent);
      }
      most_under_way = std::max(most_under_way, under_way.size());
      if (!hold) {
        AnswerAll();
      }
    }
  }
  void AnswerAll() {
    for (const status::StatusRequest& sent : std::exchange(held, {})) {
      const std::string name = NameOf(sent.request);
      const std::optional<Answer> fault = faults ? faults(sent.request) : std::nullopt;
      const Answer answer = fault ? *fault : Answer(server.Handle(sent.request));
      under_way.erase(UidOf(sent.request));
      keeper.OnAnswer(now, sent.ticket, answer);
      Watch(name);
    }
  }
  void Run(Duration span) {
    const TimePoint end = now + span;
    for (int steps = 0;; ++steps) {
      REQUIRE(steps < 50'000);
      Carry();
      const std::optional<TimePoint> next = keeper.NextDeadline();
      if (!next || *next > end) {
        break;
      }
      REQUIRE(*next > now);
      now = *next;
    }
    now = end;
  }

  static std::string NameOf(const kube::Request& request) {
    const std::string path = request.path.substr(0, request.path.rfind("/status"));
    return path.substr(path.rfind('/') + 1);
  }
  static std::string UidOf(const kube::Request& request) {
    return nlohmann::json::parse(request.body)["metadata"]["uid"].get<std::string>();
  }
  [[nodiscard]] std::optional<PoolFigures> Stored(const std::string& name) const {
    const nlohmann::json* const object = server.Find(name);
    return object == nullptr ? std::nullopt : DecodeSeenPool(*object)->figures;
  }
  [[nodiscard]] int TakeRequests() { return std::exchange(requests, 0); }

  test::CustomResourceServer server{"/apis/metallb.io/v1beta1/namespaces/ns/ipaddresspools"};
  PoolStatusKeeper keeper;
  TimePoint now{std::chrono::hours(1)};
  bool watch = true;
  bool hold = false;
  std::vector<status::StatusRequest> held;
  std::function<std::optional<Answer>(const kube::Request&)> faults;
  std::map<std::string, TimePoint> under_way;  // by uid, since when
  std::size_t most_under_way = 0;
  int requests = 0;
  std::vector<status::Notice> notices;
};

}  // namespace stentor::controller
