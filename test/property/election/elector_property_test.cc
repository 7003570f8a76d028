// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <memory>
#include <string>
#include <vector>

#include "speaker/election/elector.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

constexpr const char* kSelf = "node-0";

model::LabelSelector AnySelector(const char* key) {
  return {.requirements = {{.key = key,
                            .op = model::SelectorOperator::kIn,
                            .values = {*rc::gen::element<std::string>("a", "b", "c")}}}};
}

std::vector<model::LabelSelector> AnySelectors(const char* key) {
  std::vector<model::LabelSelector> selectors;
  for (int i = *rc::gen::weightedElement<int>({{5, 0}, {3, 1}, {1, 2}}); i > 0; --i) {
    selectors.push_back(AnySelector(key));
  }
  return selectors;
}

config::L2Advertisement AnyAdvertisement() {
  config::L2Advertisement advertisement;
  advertisement.node_selectors = AnySelectors("rack");
  advertisement.service_selectors = AnySelectors("tier");
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    advertisement.interfaces.push_back("eth" + std::to_string(i));
  }
  advertisement.conflict_policy =
      *rc::gen::element(config::ConflictPolicy::kWarn, config::ConflictPolicy::kStrict);
  advertisement.fail_back =
      *rc::gen::element(config::FailBackDelay{}, config::FailBackDelay{1}, config::kNeverFailBack);
  for (int i = *rc::gen::weightedElement<int>({{4, 0}, {1, 1}, {1, 2}}); i > 0; --i) {
    advertisement.preferences.push_back(
        {.weight = *rc::gen::inRange(1, 4), .preference = AnySelector("disk")});
  }
  return advertisement;
}

model::Node AnyNode(std::size_t number) {
  model::Node node;
  node.name = "node-" + std::to_string(number);
  node.labels = {{"rack", *rc::gen::weightedElement<std::string>({{6, "a"}, {2, "b"}, {1, "c"}})},
                 {"disk", *rc::gen::element<std::string>("a", "b", "c")}};
  if (*rc::gen::weightedElement<bool>({{15, false}, {1, true}})) {
    node.labels[std::string(kExcludeNodeLabel)] = "";
  }
  node.network_unavailable = *rc::gen::weightedElement<bool>({{15, false}, {1, true}});
  node.ready = *rc::gen::weightedElement<bool>({{5, true}, {1, false}});
  return node;
}

struct Service {
  std::vector<net::IpAddress> ingress;
  model::Labels labels;
  model::TrafficPolicy policy = model::TrafficPolicy::kCluster;
  bool shared = false;
  std::vector<model::Endpoint> endpoints;
  std::size_t pool = 0;
  Ranking ranking;
};

struct World {
  std::vector<model::Node> nodes;
  std::vector<Speaker> speakers;
  bool membership = true;
  std::vector<std::vector<config::L2Advertisement>> pools{2};
  std::vector<Service> services;
};

void ChangeNodes(World& world, std::size_t most) {
  const std::size_t number = *rc::gen::inRange<std::size_t>(0, most);
  const std::string name = "node-" + std::to_string(number);
  const auto it = std::ranges::find(world.nodes, name, &model::Node::name);
  if (it == world.nodes.end()) {
    world.nodes.push_back(AnyNode(number));
  } else if (*rc::gen::arbitrary<bool>()) {
    *it = AnyNode(number);
  } else {
    world.nodes.erase(it);
  }
}

void ChangeSpeakers(World& world, std::size_t most) {
  const std::string name = "node-" + std::to_string(*rc::gen::inRange<std::size_t>(0, most + 2));
  const auto it = std::ranges::find(world.speakers, name, &Speaker::node);
  if (it == world.speakers.end()) {
    world.speakers.push_back(
        {.node = name,
         .understands_claims = *rc::gen::weightedElement<bool>({{9, true}, {1, false}})});
  } else if (*rc::gen::arbitrary<bool>()) {
    it->yields = !it->yields;
  } else {
    world.speakers.erase(it);
  }
}

// Some of the addresses that its services have, or had.
std::shared_ptr<const Claims> AnyClaims(const World& world) {
  Claims claims;
  for (const Service& service : world.services) {
    if (*rc::gen::arbitrary<bool>()) {
      claims.push_back(
          {.address = AddressKeyOf(service.ingress.front()), .epoch = *rc::gen::inRange(1U, 4U)});
    }
  }
  std::ranges::sort(claims);
  const auto again = std::ranges::unique(claims, {}, &Claim::address);
  claims.erase(again.begin(), again.end());
  return claims.empty() ? nullptr : std::make_shared<const Claims>(std::move(claims));
}

void ChangeClaims(World& world) {
  if (world.speakers.empty()) {
    return;
  }
  const auto at = *rc::gen::inRange<std::size_t>(0, world.speakers.size());
  world.speakers[at].claims = AnyClaims(world);
}

void ChangeService(Service& service, std::size_t nodes) {
  switch (*rc::gen::inRange(0, 5)) {
    case 0:
      service.ingress = {net::Ipv4Address(0xC0000200U + *rc::gen::inRange<std::uint32_t>(0, 256))};
      service.ranking = {};
      break;
    case 1:
      service.policy =
          *rc::gen::element(model::TrafficPolicy::kCluster, model::TrafficPolicy::kLocal);
      service.ranking = {};
      break;
    case 2:
      service.endpoints.clear();
      for (int i = *rc::gen::inRange(0, 14); i > 0; --i) {
        service.endpoints.push_back(
            {.node = "node-" + std::to_string(*rc::gen::inRange<std::size_t>(0, nodes)),
             .can_serve = *rc::gen::weightedElement<bool>({{4, true}, {1, false}})});
      }
      if (service.policy == model::TrafficPolicy::kLocal) {
        service.ranking = {};
      }
      break;
    case 3:
      service.labels = {{"tier", *rc::gen::element<std::string>("a", "b", "c")}};
      break;
    default:
      service.shared = *rc::gen::weightedElement<bool>({{5, false}, {1, true}});
      service.pool = *rc::gen::inRange<std::size_t>(0, 2);
  }
}

void CheckAll(Elector& elector, World& world, bool only_claims = false) {
  const ClusterFacts cluster{
      .nodes = world.nodes, .speakers = world.speakers, .membership = world.membership};
  if (only_claims) {
    elector.SetClaims(cluster);
  } else {
    elector.SetView(cluster);
  }
  const auto own = std::ranges::find(world.speakers, kSelf, &Speaker::node);
  for (Service& service : world.services) {
    const AddressKey key = AddressKeyOf(service.ingress.front());
    const ServiceFacts facts{
        .ingress = service.ingress,
        .labels = service.labels,
        .traffic_policy = service.policy,
        .may_share_address = service.shared,
        .endpoints = service.endpoints,
        .advertisements = world.pools[service.pool],
        .claim_key = *rc::gen::element(AddressKey{0}, key),
        .own_epoch = own != world.speakers.end() && own->claims ? EpochOf(*own->claims, key) : 0};
    const Decision fresh = Elect(facts, cluster, kSelf);
    const Vote vote = elector.Decide(facts, service.ranking);
    RC_ASSERT(DecisionReasonName(vote.reason) == DecisionReasonName(fresh.reason));
    RC_ASSERT(vote.reason == fresh.reason);
    RC_ASSERT(std::string(vote.winner) ==
              (fresh.winner() == nullptr ? std::string() : *fresh.winner()));
    RC_ASSERT((vote.epoch > 0) == fresh.tenant);
    RC_ASSERT((vote.interfaces != nullptr) == fresh.announce());
    if (vote.interfaces != nullptr) {
      RC_ASSERT((*vote.interfaces == fresh.interfaces));
      RC_ASSERT((vote.conflict_policy == fresh.conflict_policy));
    }
  }
}

}  // namespace

TEST_CASE("Whatever changes, what was remembered says the same as a fresh election", "[elector]") {
  CHECK(rc::check([] {
    // Small clusters are remembered whole, of large ones only the first nodes.
    const auto most = *rc::gen::element<std::size_t>(3, 12, 40);
    World world;
    world.membership = *rc::gen::weightedElement<bool>({{5, true}, {1, false}});
    for (std::size_t i = 0; i < most; ++i) {
      world.nodes.push_back(AnyNode(i));
      world.speakers.push_back({.node = world.nodes.back().name});
    }
    for (auto& pool : world.pools) {
      pool.push_back(AnyAdvertisement());
    }
    world.services.resize(5);
    for (std::size_t i = 0; i < world.services.size(); ++i) {
      world.services[i].ingress = {net::Ipv4Address(0xC6336400U + static_cast<std::uint32_t>(i))};
      world.services[i].endpoints = {{.node = "node-1", .can_serve = true}};
    }
    Elector elector(kSelf);
    CheckAll(elector, world);
    for (int step = 0; step < 12; ++step) {
      for (int i = *rc::gen::inRange(1, 6); i > 0; --i) {
        switch (*rc::gen::weightedElement<int>({{3, 0}, {6, 1}, {3, 2}, {1, 3}, {4, 4}})) {
          case 0:
            ChangeNodes(world, most);
            break;
          case 1:
            ChangeSpeakers(world, most);
            break;
          case 2:
            ChangeService(world.services[*rc::gen::inRange<std::size_t>(0, 5)], most);
            break;
          case 4:
            ChangeClaims(world);
            break;
          default: {
            auto& pool = world.pools[*rc::gen::inRange<std::size_t>(0, 2)];
            if (pool.size() > 3 || *rc::gen::arbitrary<bool>()) {
              pool.clear();
            }
            pool.push_back(AnyAdvertisement());
          }
        }
      }
      CheckAll(elector, world);
      ChangeClaims(world);
      CheckAll(elector, world, true);
    }
    RC_ASSERT(elector.numbers() <= 3 * (most + 1));
    RC_ASSERT(elector.domains() <= 2 * 2 * 5U);
  }));
}

}  // namespace stentor::speaker
