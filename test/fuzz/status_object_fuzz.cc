// SPDX-License-Identifier: Apache-2.0

/// \file
/// A ConfigurationState, an IPAddressPool or a ServiceL2Status as the API server shows it: decoded,
/// seen by the keepers as the watch's word and as the answer to a write, and never more than one
/// more write.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "common/kube/codec.h"
#include "common/status/configuration_state_keeper.h"
#include "controller/status/pool_status_keeper.h"
#include "speaker/status/l2_status_keeper.h"
#include "test/fuzz/demand.h"

namespace {

namespace controller = stentor::controller;
namespace kube = stentor::kube;
namespace model = stentor::model;
namespace speaker = stentor::speaker;
namespace status = stentor::status;
using stentor::test::Demand;

constexpr stentor::TimePoint kStart(std::chrono::hours(1));

double Half() { return 0.5; }

// What is asked for is always a request that can be sent.
void DemandRequest(const kube::Request& request) {
  Demand(request.path.rfind("/apis/metallb.io/v1beta1/namespaces/ns/", 0) == 0);
  Demand(request.body.empty() || kube::ParseJson(request.body).ok());
}

void FeedConfigurationState(const nlohmann::json& object, std::string_view text) {
  status::ConfigurationStateKeeper keeper(status::ControllerState("ns"), Half);
  keeper.SetOwner({"pod", "uid"});
  keeper.SetCondition(status::ReconcilerCondition(status::kPoolReconcilerValid, absl::OkStatus()),
                      {});
  keeper.Seen(object);
  stentor::TimePoint now = kStart;
  for (int i = 0; i < 8; ++i) {
    const status::StatusActions actions = keeper.Poll(now);
    for (const status::StatusRequest& sent : actions.requests) {
      DemandRequest(sent.request);
      keeper.OnAnswer(now, sent.ticket, kube::Response{200, std::string(text), std::nullopt});
    }
    now += std::chrono::minutes(6);
  }
  (void)keeper.Recorded(status::kBgpAnnounced);
}

void FeedPool(const nlohmann::json& object, std::string_view text) {
  constexpr controller::PoolFigures kFigures{1, 2, 3, 4};
  controller::PoolStatusKeeper keeper({.name_space = "ns"}, Half);
  keeper.PoolSeen(object);
  const auto pool = controller::DecodeSeenPool(object);
  if (!pool.ok()) {
    return;
  }
  const auto body = kube::ParseJson(controller::PoolStatusRequest(*pool, kFigures).body);
  Demand(body.ok() && controller::DecodeSeenPool(*body)->figures == kFigures);
  keeper.SetFigures({{pool->key.name, kFigures}});
  stentor::TimePoint now = kStart;
  for (int i = 0; i < 8; ++i) {
    const status::StatusActions actions = keeper.Poll(now);
    Demand(actions.requests.size() <= 1);
    Demand(actions.requests.empty() || pool->key.name_space == "ns");
    for (const status::StatusRequest& sent : actions.requests) {
      DemandRequest(sent.request);
      keeper.OnAnswer(now, sent.ticket, kube::Response{200, std::string(text), std::nullopt});
    }
    now += std::chrono::minutes(6);
  }
  Demand(pool->figures != kFigures || !keeper.NextDeadline());
}

// The object is there when the keeper starts, whoever's it is; each request is answered with it.
void FeedL2Status(const nlohmann::json& object, std::string_view text) {
  const model::ServiceKey other{"default", "other"};
  double random = 0;
  speaker::ServiceL2StatusKeeper keeper({.name_space = "ns", .node = "n1"}, [&random] {
    random += 0.37;
    return random -= static_cast<double>(static_cast<int>(random));
  });
  keeper.SetOwner({"pod", "uid"});
  const auto service = keeper.Seen(object);
  keeper.Synced();
  Demand(!service || keeper.Known(*service) == true);
  speaker::ServiceInterfaces announced{{other, {"eth0"}}};
  if (service) {
    announced[*service] = {};
  }
  keeper.SetAnnounced(announced);
  stentor::TimePoint now = kStart;
  for (int i = 0; i < 8; ++i) {
    if (i == 6) {
      keeper.SetAnnounced({});
    }
    for (int rounds = 0;; ++rounds) {  // nothing is asked for again and again
      const status::StatusActions actions = keeper.Poll(now);
      Demand(rounds < 16);
      if (actions.requests.empty()) {
        break;
      }
      for (const status::StatusRequest& sent : actions.requests) {
        DemandRequest(sent.request);
        keeper.OnAnswer(now, sent.ticket, kube::Response{200, std::string(text), std::nullopt});
      }
      (void)keeper.Seen(object);
    }
    Demand(!keeper.NextDeadline() || *keeper.NextDeadline() > now);
    now += std::chrono::minutes(6);
  }
  if (const auto seen = speaker::DecodeL2Status(object); seen.ok()) {
    (void)keeper.Gone(seen->key);
    Demand(!service || keeper.Known(*service) == false);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto object = kube::ParseJson(text);
  if (object.ok()) {
    FeedConfigurationState(*object, text);
    FeedPool(*object, text);
    FeedL2Status(*object, text);
  }
  return 0;
}
