// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// ServiceL2StatusKeepers of one or more nodes against an API server in memory, in virtual time.

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "speaker/status/l2_status_keeper.h"
#include "test/support/catch.h"
#include "test/support/custom_resource_server.h"

namespace stentor::speaker {

using Answer = absl::StatusOr<kube::Response>;

inline const model::ServiceKey kWeb{"default", "web"};
inline const model::ServiceKey kDns{"default", "dns"};

/// The server: with DELETE, and with the kind's rule that node and Service never change.
class L2Server {
 public:
  [[nodiscard]] kube::Response Handle(const kube::Request& request) {
    const std::string path = request.path.substr(0, request.path.find('?'));
    if (path.rfind(Path(), 0) == 0 && path.size() > Path().size()) {
      const nlohmann::json* const object = objects.Find(NameOf(request));
      const nlohmann::json body =
          request.body.empty() ? nlohmann::json::object() : nlohmann::json::parse(request.body);
      if (object != nullptr && request.method == "DELETE") {
        if (body["preconditions"]["uid"] != (*object)["metadata"]["uid"]) {
          return objects.Failure(409, "Conflict", "the UID in the precondition differs");
        }
        Delete(NameOf(request));
        return {200, R"({"kind":"Status","status":"Success"})", std::nullopt};
      }
      if (object != nullptr && request.method == "PATCH" && body.contains("status") &&
          Changes(object->value("status", nlohmann::json::object()), body["status"])) {
        return objects.Failure(422, "Invalid", "status.node: Value is immutable");
      }
    }
    return objects.Handle(request);
  }
  static std::string Path() { return L2StatusesPath("ns"); }
  /// Of the object that a request is about.
  static std::string NameOf(const kube::Request& request) {
    if (request.method == "POST") {
      return nlohmann::json::parse(request.body)["metadata"]["name"].get<std::string>();
    }
    std::string path = request.path.substr(0, request.path.find('?'));
    if (path.size() > 7 && path.substr(path.size() - 7) == "/status") {
      path.resize(path.size() - 7);
    }
    return path.substr(path.rfind('/') + 1);
  }
  void Store(const nlohmann::json& object) {
    objects.Store(object);
    names.insert(object["metadata"]["name"].get<std::string>());
  }
  void Delete(const std::string& name) {
    objects.Delete(name);
    names.erase(name);
  }

  test::CustomResourceServer objects{Path()};
  std::set<std::string> names;

 private:
  static bool Changes(const nlohmann::json& is, const nlohmann::json& wanted) {
    return std::ranges::any_of(std::vector<std::string>{"node", "serviceName", "serviceNamespace"},
                               [&](const std::string& field) {
                                 return is.contains(field) &&
                                        is[field] != wanted.value(field, nlohmann::json());
                               });
  }
};

/// An object as the speaker of `node` leaves it.
inline nlohmann::json L2Object(const std::string& name, const model::ServiceKey& service,
                               const std::string& node, std::vector<std::string> interfaces = {}) {
  nlohmann::json list = nlohmann::json::array();
  for (const std::string& interface : interfaces) {
    list.push_back({{"name", interface}});
  }
  nlohmann::json object = {
      {"apiVersion", "metallb.io/v1beta1"},
      {"kind", "ServiceL2Status"},
      {"metadata",
       {{"name", name},
        {"namespace", "ns"},
        {"labels", L2StatusLabels(service, node)},
        {"ownerReferences",
         {{{"apiVersion", "v1"},
           {"kind", "Pod"},
           {"name", "speaker-" + node},
           {"uid", "uid-" + node}}}}}},
      {"spec", nlohmann::json::object()},
      {"status",
       {{"node", node}, {"serviceName", service.name}, {"serviceNamespace", service.name_space}}}};
  if (!interfaces.empty()) {
    object["status"]["interfaces"] = list;
  }
  return object;
}

struct L2Bench {
  struct Speaker {
    std::string node;
    std::unique_ptr<ServiceL2StatusKeeper> keeper;
    bool watch = true;
    std::size_t under_way = 0;
    std::size_t most_under_way = 0;
    std::vector<status::Notice> notices = {};
  };
  struct Sent {
    std::size_t speaker;
    status::StatusRequest request;
  };

  explicit L2Bench(std::vector<std::string> nodes = {"n1"}) {
    for (const std::string& node : nodes) {
      speakers.push_back({.node = node, .keeper = nullptr});
      Restart(speakers.size() - 1);
    }
  }
  [[nodiscard]] ServiceL2StatusKeeper& keeper(std::size_t i = 0) { return *speakers[i].keeper; }

  /// A new process on the same node, in the same pod: it has read nothing yet.
  void Restart(std::size_t i) {
    speakers[i].keeper = std::make_unique<ServiceL2StatusKeeper>(
        L2StatusOptions{.name_space = "ns", .node = speakers[i].node}, [this] {
          random = random * 6364136223846793005U + 1442695040888963407U;
          return static_cast<double>(random >> 11U) / 9007199254740992.0;
        });
    keeper(i).SetOwner({"speaker-" + speakers[i].node, "uid-" + speakers[i].node});
  }
  /// Its watch reads everything.
  void Sync(std::size_t i = 0) {
    for (const std::string& name : server.names) {
      keeper(i).Seen(*server.objects.Find(name));
    }
    keeper(i).Synced();
  }
  void Start() {
    for (std::size_t i = 0; i < speakers.size(); ++i) {
      Sync(i);
      keeper(i).SetAnnounced({});
    }
  }

  void Watch(const std::string& name) {
    for (Speaker& speaker : speakers) {
      if (!speaker.watch) {
        continue;
      }
      if (const nlohmann::json* const object = server.objects.Find(name)) {
        speaker.keeper->Seen(*object);
      } else {
        speaker.keeper->Gone({"ns", name});
      }
    }
  }
  void Store(const nlohmann::json& object) {
    server.Store(object);
    Watch(object["metadata"]["name"].get<std::string>());
  }
  void Edit(const std::string& name, const std::string& pointer, const nlohmann::json& value) {
    server.objects.Edit(name, pointer, value);
    Watch(name);
  }
  void Delete(const std::string& name) {
    server.Delete(name);
    Watch(name);
  }

  void Carry() {
    for (int rounds = 0;; ++rounds) {
      REQUIRE(rounds < 20'000);
      bool any = false;
      for (std::size_t i = 0; i < speakers.size(); ++i) {
        any = Ask(i) || any;
      }
      if (!latency.count()) {
        AnswerUntil(now);
      }
      if (!any) {
        return;
      }
    }
  }
  bool Ask(std::size_t i) {
    Speaker& speaker = speakers[i];
    status::StatusActions actions = speaker.keeper->Poll(now);
    if (actions.notice) {
      speaker.notices.push_back(*actions.notice);
    }
    for (status::StatusRequest& sent : actions.requests) {
      ++requests;
      ++verbs[sent.request.method];
      REQUIRE(sent.request.time_limit);
      speaker.most_under_way = std::max(speaker.most_under_way, ++speaker.under_way);
      if (!hold) {
        answers.emplace(now + latency, Sent{i, std::move(sent)});
      } else {
        held.push_back({i, std::move(sent)});
      }
    }
    return !actions.requests.empty();
  }
  void AnswerUntil(TimePoint time) {
    while (!answers.empty() && answers.begin()->first <= time) {
      const Sent sent = std::move(answers.begin()->second);
      answers.erase(answers.begin());
      AnswerOne(sent);
    }
  }
  void AnswerOne(const Sent& sent) {
    const kube::Request& request = sent.request.request;
    const std::string name = L2Server::NameOf(request);
    const std::optional<Answer> fault = faults ? faults(request) : std::nullopt;
    const Answer answer = fault ? *fault : Answer(server.Handle(request));
    if (request.method == "POST" && server.objects.Find(name) != nullptr) {
      server.names.insert(name);
    }
    --speakers[sent.speaker].under_way;
    if (!lose_answers) {
      keeper(sent.speaker).OnAnswer(now, sent.request.ticket, answer);
    }
    Watch(name);
  }
  void AnswerHeld() {
    for (const Sent& sent : std::exchange(held, {})) {
      AnswerOne(sent);
    }
  }
  void Run(Duration span) {
    const TimePoint end = now + span;
    for (int steps = 0;; ++steps) {
      REQUIRE(steps < 50'000);
      Carry();
      std::optional<TimePoint> next;
      for (Speaker& speaker : speakers) {
        const std::optional<TimePoint> deadline = speaker.keeper->NextDeadline();
        if (deadline) {
          REQUIRE(*deadline > now);
          next = std::min(next.value_or(*deadline), *deadline);
        }
      }
      if (!answers.empty()) {
        next = std::min(next.value_or(answers.begin()->first), answers.begin()->first);
      }
      if (!next || *next > end) {
        break;
      }
      now = *next;
      AnswerUntil(now);
    }
    now = end;
  }

  /// Node and interfaces of the objects of a Service: "n1: eth0,eth1".
  [[nodiscard]] std::vector<std::string> Stored(const model::ServiceKey& service) const {
    std::vector<std::string> found;
    for (const std::string& name : server.names) {
      const auto seen = DecodeL2Status(*server.objects.Find(name));
      if (seen->Service() == service) {
        std::string text = seen->content.node;
        for (const std::string& interface : seen->content.interfaces) {
          StrAppend(&text, text == seen->content.node ? ": " : ",", interface);
        }
        found.push_back(text);
      }
    }
    std::ranges::sort(found);
    return found;
  }
  [[nodiscard]] const nlohmann::json& Only() const {
    REQUIRE(server.names.size() == 1);
    return *server.objects.Find(*server.names.begin());
  }
  [[nodiscard]] std::string OnlyName() const {
    return Only()["metadata"]["name"].get<std::string>();
  }
  int TakeRequests() {
    verbs.clear();
    return std::exchange(requests, 0);
  }

  L2Server server;
  std::vector<Speaker> speakers;
  TimePoint now{std::chrono::hours(1)};
  Duration latency{0};
  bool hold = false;
  bool lose_answers = false;  // done, but not told
  std::vector<Sent> held;
  std::multimap<TimePoint, Sent> answers;
  std::function<std::optional<Answer>(const kube::Request&)> faults;
  std::uint64_t random = 1;
  int requests = 0;
  std::map<std::string, int> verbs;
};

}  // namespace stentor::speaker
