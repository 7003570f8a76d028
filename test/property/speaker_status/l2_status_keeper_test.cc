// SPDX-License-Identifier: Apache-2.0

/// \file
/// Whatever the speakers announce, somebody edits, the network loses and the watches delay: once
/// that is over, there is one true object for each announced Service, and none else.

#include <rapidcheck.h>

#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/speaker_status/l2_bench.h"

namespace stentor::speaker {
namespace {

constexpr std::size_t kNodes = 3;
constexpr int kServices = 3;

model::ServiceKey Service(int i) { return {"default", "s" + std::to_string(i)}; }

// Speakers whose watches show each object's states late, in order, and perhaps not all of them.
class World {
 public:
  World() {
    for (std::size_t i = 0; i < kNodes; ++i) {
      Restart(i);
    }
  }

  void Step() {
    const auto node = *rc::gen::inRange<std::size_t>(0, kNodes);
    const int service = *rc::gen::inRange(0, kServices);
    switch (*rc::gen::inRange(0, 12)) {
      case 0:
      case 1:  // it moves here
        for (std::size_t i = 0; i < kNodes; ++i) {
          SetAnnounced(i, service, i == node);
        }
        break;
      case 2:  // two think that it is theirs, or nobody
        SetAnnounced(node, service, *rc::gen::arbitrary<bool>());
        break;
      case 3:
        Meddle();
        break;
      case 4:
        Restart(node);
        break;
      case 5:
        faults_ = !faults_;
        break;
      case 6:
        Deliver(node, *rc::gen::inRange<std::size_t>(0, 5));
        break;
      case 7:
        RestartWatch(node);
        break;
      default:
        Advance(std::chrono::milliseconds(*rc::gen::inRange(0, 700)), /*settled=*/false);
        break;
    }
  }

  void Settle() {
    faults_ = false;
    for (int i = 0; i < kServices; ++i) {  // one at most announces each
      bool found = false;
      for (std::size_t n = 0; n < kNodes; ++n) {
        const bool announces = nodes_[n].announced.contains(Service(i)) && !found;
        found = found || announces;
        SetAnnounced(n, i, announces);
      }
    }
    for (std::size_t n = 0; n < kNodes; ++n) {
      if (!nodes_[n].synced) {
        RestartWatch(n);
      }
    }
    Advance(std::chrono::minutes(30), /*settled=*/true);
    const int before = requests_;
    Advance(std::chrono::minutes(30), /*settled=*/true);
    RC_ASSERT(requests_ == before);  // nothing more is to be done
  }

  void CheckAll() {
    std::map<model::ServiceKey, L2StatusContent> wanted;
    for (const Node& node : nodes_) {
      for (const auto& [service, interfaces] : node.announced) {
        wanted[service] = {service, node.name, interfaces};
      }
    }
    RC_ASSERT(server_.names.size() == wanted.size());
    for (const std::string& name : server_.names) {
      const auto seen = DecodeL2Status(*server_.objects.Find(name));
      RC_ASSERT(seen.ok());
      RC_ASSERT(wanted.contains(*seen->Service()));
      const L2StatusContent& content = wanted.at(*seen->Service());
      RC_ASSERT(seen->content == content);
      RC_ASSERT(seen->labels == L2StatusLabels(content.service, content.node));
    }
  }

 private:
  struct Event {
    std::string name;
    std::optional<nlohmann::json> object;
  };
  struct Node {
    std::string name;
    std::unique_ptr<ServiceL2StatusKeeper> keeper;
    ServiceInterfaces announced;
    bool synced = false;
    std::set<std::string> shown;  // what its watch knows of
    std::deque<Event> events;
    std::map<std::uint64_t, kube::Request> under_way;
  };

  void Restart(std::size_t i) {
    Node node;
    node.name = "n" + std::to_string(i);
    if (i < nodes_.size()) {
      node.announced = nodes_[i].announced;
    }
    node.keeper = std::make_unique<ServiceL2StatusKeeper>(
        L2StatusOptions{.name_space = "ns", .node = node.name}, [this] {
          random_ = random_ * 6364136223846793005U + 1442695040888963407U;
          return static_cast<double>(random_ >> 11U) / 9007199254740992.0;
        });
    node.keeper->SetOwner({"pod-" + node.name, "uid-" + node.name});
    node.keeper->SetAnnounced(node.announced);
    if (i < nodes_.size()) {
      nodes_[i] = std::move(node);
    } else {
      nodes_.push_back(std::move(node));
    }
  }

  void SetAnnounced(std::size_t node, int service, bool announced) {
    Node& its = nodes_[node];
    if (announced) {
      std::vector<std::string> interfaces;
      if (*rc::gen::arbitrary<bool>()) {
        interfaces.push_back("eth0");
      }
      its.announced[Service(service)] = interfaces;
      its.keeper->Announce(Service(service), interfaces);
    } else {
      its.announced.erase(Service(service));
      its.keeper->Withdraw(Service(service));
    }
  }

  void Meddle() {
    if (server_.names.empty()) {
      return;
    }
    const std::vector<std::string> names(server_.names.begin(), server_.names.end());
    const std::string name = *rc::gen::elementOf(names);
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        server_.Delete(name);
        break;
      case 1:
        server_.objects.Edit(name, "/metadata/labels/other", "x");
        break;
      case 2:
        server_.objects.Edit(name, "/metadata/labels/metallb.io~1service-name", "s0");
        break;
      default:
        server_.objects.Edit(name, "/status", nlohmann::json::object());
        break;
    }
    Tell(name);
  }

  void Tell(const std::string& name) {
    const nlohmann::json* const object = server_.objects.Find(name);
    for (Node& node : nodes_) {
      if (node.synced) {
        node.events.push_back({name, object ? std::optional(*object) : std::nullopt});
      }
    }
  }

  void Deliver(std::size_t i, std::size_t count) {
    Node& node = nodes_[i];
    for (; count > 0 && !node.events.empty(); --count) {
      const Event event = std::move(node.events.front());
      node.events.pop_front();
      if (event.object) {
        node.shown.insert(event.name);
        node.keeper->Seen(*event.object);
      } else if (node.shown.erase(event.name) > 0) {
        node.keeper->Gone({"ns", event.name});
      }
    }
  }

  // It lists again: what happened between is told as what is different.
  void RestartWatch(std::size_t i) {
    Node& node = nodes_[i];
    node.events.clear();
    for (const std::string& name : std::set<std::string>(node.shown)) {
      if (!server_.names.contains(name)) {
        node.shown.erase(name);
        node.keeper->Gone({"ns", name});
      }
    }
    for (const std::string& name : server_.names) {
      node.shown.insert(name);
      node.keeper->Seen(*server_.objects.Find(name));
    }
    node.synced = true;
    node.keeper->Synced();
  }

  void Advance(Duration span, bool settled) {
    const TimePoint end = now_ + span;
    for (int steps = 0;; ++steps) {
      RC_ASSERT(steps < 20'000);
      bool any = false;
      for (std::size_t i = 0; i < kNodes; ++i) {
        const status::StatusActions actions = nodes_[i].keeper->Poll(now_);
        for (const status::StatusRequest& sent : actions.requests) {
          any = true;
          ++requests_;
          nodes_[i].under_way.emplace(sent.ticket, sent.request);
        }
      }
      any = Answer(settled) || any;
      if (settled) {
        for (std::size_t i = 0; i < kNodes; ++i) {
          any = any || !nodes_[i].events.empty();
          Deliver(i, nodes_[i].events.size());
        }
      }
      if (any) {
        continue;
      }
      std::optional<TimePoint> next;
      for (const Node& node : nodes_) {
        if (const auto deadline = node.keeper->NextDeadline()) {
          RC_ASSERT(*deadline > now_);
          next = std::min(next.value_or(*deadline), *deadline);
        }
      }
      if (!next || *next > end) {
        break;
      }
      now_ = *next;
    }
    now_ = end;
  }

  bool Answer(bool settled) {
    bool any = false;
    for (Node& node : nodes_) {
      for (auto it = node.under_way.begin(); it != node.under_way.end();) {
        const auto [ticket, request] = *it;
        const int fate = settled ? 0 : *rc::gen::inRange(0, 8);
        if (fate == 7) {  // it takes its time
          ++it;
          continue;
        }
        it = node.under_way.erase(it);
        any = true;
        if (faults_ && fate >= 4) {
          node.keeper->OnAnswer(now_, ticket, absl::UnavailableError("down"));
          continue;
        }
        const std::string name = L2Server::NameOf(request);
        const kube::Response answer = server_.Handle(request);
        if (request.method == "POST" && server_.objects.Find(name) != nullptr) {
          server_.names.insert(name);
        }
        Tell(name);
        if (faults_ && fate == 3) {  // done, but nobody is told
          node.keeper->OnAnswer(now_, ticket, absl::UnavailableError("lost"));
        } else {
          node.keeper->OnAnswer(now_, ticket, answer);
        }
      }
    }
    return any;
  }

  L2Server server_;
  std::vector<Node> nodes_;
  TimePoint now_{std::chrono::hours(1)};
  bool faults_ = false;
  int requests_ = 0;
  std::uint64_t random_ = 1;
};

}  // namespace

TEST_CASE("Objects become true, whatever happened") {
  CHECK(rc::check([] {
    World world;
    for (int i = *rc::gen::inRange(1, 60); i > 0; --i) {
      world.Step();
    }
    world.Settle();
    world.CheckAll();
  }));
}

}  // namespace stentor::speaker
