// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/speaker_reconcile/cluster.h"

namespace stentor::speaker {
namespace {

const std::vector<std::string> kNodes = {"iris1", "iris2", "iris3", "iris4"};

// Who can announce kVip, which an endpoint serves.
std::vector<std::string> Eligible(const Cluster& cluster) {
  std::vector<std::string> willing;
  std::vector<std::string> all;
  for (const std::string& node : kNodes) {
    if (!cluster.Lives(node) || cluster.Node(node).network_unavailable) {
      continue;
    }
    all.push_back(node);
    if (!cluster.Yields(node)) {
      willing.push_back(node);
    }
  }
  return willing.empty() ? all : willing;
}

void Change(Cluster& cluster) {
  const std::string name = *rc::gen::elementOf(kNodes);
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      cluster.Kill(name);
      break;
    case 1:
      cluster.Start(name);
      break;
    case 2:
      if (cluster.Lives(name)) {
        cluster.Yield(name, !cluster.Yields(name));
      }
      break;
    default: {
      model::Node node = cluster.Node(name);
      node.network_unavailable = !node.network_unavailable;
      cluster.SetNode(node);
    }
  }
}

}  // namespace

TEST_CASE("A Service that stays moves only when its node can't have it any more", "[tenancies]") {
  CHECK(rc::check([] {
    Cluster cluster(kNodes, config::kNeverFailBack);
    std::string owner = cluster.Owner();
    RC_ASSERT(owner == "iris1" || owner == "iris2" || owner == "iris3" || owner == "iris4");
    int starts = cluster.Starts(owner);
    for (int step = 0; step < 30; ++step) {
      for (int i = *rc::gen::inRange(1, 3); i > 0; --i) {
        Change(cluster);
      }
      cluster.Settle();
      const std::vector<std::string> eligible = Eligible(cluster);
      const std::string now = cluster.Owner();
      if (eligible.empty()) {
        RC_ASSERT(now.empty());
        continue;
      }
      RC_ASSERT(std::ranges::find(eligible, now) != eligible.end());
      const bool may_stay =
          std::ranges::find(eligible, owner) != eligible.end() && cluster.Starts(owner) == starts;
      RC_ASSERT(!may_stay || now == owner);
      RC_ASSERT(cluster.EpochOf(now) > 0);
      owner = now;
      starts = cluster.Starts(owner);
    }
  }));
}

TEST_CASE("A Service that stays for a while is in the end where the order wants it",
          "[tenancies]") {
  CHECK(rc::check([] {
    const Duration delay = std::chrono::seconds(*rc::gen::inRange(1, 100));
    Cluster staying(kNodes, delay);
    Cluster going(kNodes, {});
    for (int step = 0; step < 15; ++step) {
      const std::string name = *rc::gen::elementOf(kNodes);
      const bool kill = *rc::gen::arbitrary<bool>();
      const bool yields = *rc::gen::arbitrary<bool>();
      const Duration later = std::chrono::seconds(*rc::gen::inRange(0, 50));
      for (Cluster* const cluster : {&staying, &going}) {
        if (kill) {
          cluster->Kill(name);
        } else {
          cluster->Start(name);
          cluster->Yield(name, yields);
        }
        cluster->SettleAt(later);
        RC_ASSERT(Eligible(*cluster).empty() == cluster->Owner().empty());
        RC_ASSERT(cluster->Owner().find('+') == std::string::npos);
      }
    }
    staying.SettleAt(8 * delay);
    RC_ASSERT(staying.Owner() == going.Owner());
  }));
}

TEST_CASE("Services that share an address come to rest, whoever can have which of them",
          "[tenancies]") {
  CHECK(rc::check([] {
    Cluster cluster(
        kNodes, *rc::gen::arbitrary<bool>() ? config::kNeverFailBack : std::chrono::seconds(20));
    const std::vector<std::string> names = {"web", "a", "b"};
    for (const std::string& name : names) {
      auto service = ServiceNamed(name.c_str(), {"10.20.30.2"});
      service.annotations = {{"metallb.io/allow-shared-ip", "key"}};
      service.external_traffic_policy = model::TrafficPolicy::kLocal;
      cluster.SetService(service);
    }
    for (int step = 0; step < 20; ++step) {
      auto slice = SliceOf(*rc::gen::elementOf(names), true, "");
      slice.endpoints.clear();
      for (const std::string& node : kNodes) {
        if (*rc::gen::arbitrary<bool>()) {
          slice.endpoints.push_back({.node = node, .can_serve = true});
        }
      }
      cluster.SetSlice(slice);
      if (*rc::gen::inRange(0, 3) == 0) {
        Change(cluster);
      }
      cluster.SettleAt(std::chrono::seconds(*rc::gen::inRange(0, 15)));
    }
    for (const std::string& name : names) {
      cluster.SetSlice(SliceOf(name, false, "iris1"));
    }
    cluster.Settle();
    RC_ASSERT(cluster.Owner().empty());
    for (const std::string& name : names) {
      cluster.TellAll([&](Reconciler& r) { r.DeleteService({"default", name}); });
    }
    cluster.Settle();
    cluster.SettleAt(Tenancies::kReleaseGrace);
    for (const std::string& node : kNodes) {
      if (cluster.Lives(node)) {
        RC_ASSERT(cluster.EpochOf(node) == 0);
        RC_ASSERT(!cluster.Of(node).NextDeadline());
      }
    }
  }));
}

}  // namespace stentor::speaker
