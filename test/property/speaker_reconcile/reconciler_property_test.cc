// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "speaker/reconcile/reconciler.h"
#include "speaker/state/saved_state.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

const std::vector<std::string> kNames = {"a", "b", "c", "d", "e"};

std::string AnyName() { return *rc::gen::elementOf(kNames); }

std::string AnyNodeName() { return "n" + std::to_string(*rc::gen::inRange(0, 12)); }

model::LabelSelector Tier(const std::string& value) {
  return {
      .requirements = {{.key = "tier", .op = model::SelectorOperator::kEquals, .values = {value}}}};
}

model::Service AnyService() {
  model::Service service;
  service.key = {"d", AnyName()};
  service.uid = service.key.name;
  service.type = *rc::gen::weightedElement<std::string>({{8, "LoadBalancer"}, {1, "ClusterIP"}});
  service.labels = {{"tier", *rc::gen::element<std::string>("1", "2")}};
  service.external_traffic_policy =
      *rc::gen::element(model::TrafficPolicy::kCluster, model::TrafficPolicy::kLocal);
  if (service.external_traffic_policy == model::TrafficPolicy::kLocal) {
    service.health_check_node_port = *rc::gen::element<std::uint16_t>(0, 30'000);
  }
  if (*rc::gen::weightedElement<bool>({{3, false}, {1, true}})) {
    service.annotations = {{"metallb.io/allow-shared-ip", "key"}};
  }
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    service.ingress_ips.push_back(*rc::gen::weightedElement<std::string>(
        {{4, "192.0.2.1"}, {4, "192.0.2.2"}, {3, "198.51.100.1"}, {1, "203.0.113.1"}, {1, "x"}}));
  }
  return service;
}

model::EndpointSlice AnySlice() {
  model::EndpointSlice slice;
  slice.service_name = AnyName();
  slice.key = {"d", AnyName() + "-slice"};
  if (*rc::gen::arbitrary<bool>()) {
    slice.created = WallTime();  // else it is not kept where nobody needs it, and listed later
  }
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    slice.endpoints.push_back({.node = AnyNodeName(), .can_serve = *rc::gen::arbitrary<bool>()});
  }
  return slice;
}

model::Node AnyNode() {
  model::Node node;
  node.name = AnyNodeName();
  node.labels = {{"tier", *rc::gen::element<std::string>("1", "2")}};
  node.network_unavailable = *rc::gen::weightedElement<bool>({{6, false}, {1, true}});
  node.ready = *rc::gen::weightedElement<bool>({{6, true}, {1, false}});
  return node;
}

config::Config AnyConfig() {
  config::Config config;
  for (const char* base : {"192.0.2.", "198.51.100."}) {
    if (*rc::gen::weightedElement<bool>({{1, true}, {6, false}})) {
      continue;
    }
    config::Pool pool{.name = base,
                      .ranges = {{*net::IpAddress::Parse(std::string(base) + "0"),
                                  *net::IpAddress::Parse(std::string(base) + "255")}}};
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
      config::L2Advertisement ad{.name = "ad-" + std::to_string(i)};
      if (*rc::gen::weightedElement<bool>({{3, false}, {1, true}})) {
        ad.node_selectors = {Tier("1")};
      }
      if (*rc::gen::weightedElement<bool>({{3, false}, {1, true}})) {
        ad.service_selectors = {Tier("2")};
      }
      if (*rc::gen::weightedElement<bool>({{3, false}, {1, true}})) {
        ad.preferences = {{.weight = 5, .preference = Tier("2")}};
      }
      if (*rc::gen::arbitrary<bool>()) {
        ad.interfaces = {*rc::gen::element<std::string>("eth0", "eth1", "eth2")};
      }
      ad.conflict_policy =
          *rc::gen::element(config::ConflictPolicy::kWarn, config::ConflictPolicy::kStrict);
      pool.l2_advertisements.push_back(std::move(ad));
    }
    config.pools.push_back(std::move(pool));
  }
  return config;
}

// The facts as they are; a reconciler can be told all of them, or one change after the other.
struct Facts {
  std::map<model::ServiceKey, model::Service> services;
  std::map<model::ObjectKey, model::EndpointSlice> slices;
  std::map<model::NodeName, model::Node> nodes;
  config::Config config;
  std::map<model::NodeName, bool> speakers;  // and whether they yield
  bool ready = true;
  std::set<std::string> interfaces = {"eth0", "eth1"};

  [[nodiscard]] std::vector<Speaker> SpeakerList() const {
    std::vector<Speaker> list;
    for (const auto& [node, yields] : speakers) {
      list.push_back({.node = node, .yields = yields});
    }
    return list;
  }

  void TellAll(Reconciler& reconciler) const {
    for (const auto& [key, service] : services) {
      reconciler.UpsertService(service);
    }
    for (const auto& [key, slice] : slices) {
      reconciler.UpsertSlice(slice);
    }
    for (const auto& [name, node] : nodes) {
      reconciler.UpsertNode(node);
    }
    reconciler.SetConfig(config);
    reconciler.SetSpeakers(SpeakerList(), ready);
    reconciler.SetInterfaces(interfaces);
  }

  // The API server's part.
  void AnswerLists(Reconciler& reconciler) const {
    for (const model::ServiceKey& service : reconciler.TakeSlicesToList()) {
      std::vector<model::EndpointSlice> answer;
      for (const auto& [key, slice] : slices) {
        if (slice.service_name == service.name) {
          answer.push_back(slice);
        }
      }
      reconciler.OnSlicesListed(service, answer);
    }
  }

  void Change(Reconciler& reconciler) {
    switch (*rc::gen::inRange(0, 10)) {
      case 0:
      case 1: {
        const model::Service service = AnyService();
        services[service.key] = service;
        return reconciler.UpsertService(service);
      }
      case 2: {
        const model::ServiceKey key{"d", AnyName()};
        services.erase(key);
        return reconciler.DeleteService(key);
      }
      case 3:
      case 4: {
        const model::EndpointSlice slice = AnySlice();
        slices[slice.key] = slice;
        return reconciler.UpsertSlice(slice);
      }
      case 5: {
        const model::ObjectKey key{"d", AnyName() + "-slice"};
        slices.erase(key);
        return reconciler.DeleteSlice(key);
      }
      case 6: {
        const model::Node node = AnyNode();
        if (*rc::gen::weightedElement<bool>({{4, true}, {1, false}})) {
          nodes[node.name] = node;
          return reconciler.UpsertNode(node);
        }
        nodes.erase(node.name);
        return reconciler.DeleteNode(node.name);
      }
      case 7:
        if (*rc::gen::arbitrary<bool>()) {
          config = AnyConfig();
          reconciler.SetConfig(config);
        }
        return;
      case 8: {
        const std::string node = AnyNodeName();
        if (*rc::gen::weightedElement<bool>({{3, true}, {1, false}})) {
          speakers[node] = *rc::gen::weightedElement<bool>({{3, false}, {1, true}});
        } else {
          speakers.erase(node);
        }
        ready = *rc::gen::weightedElement<bool>({{9, true}, {1, false}});
        return reconciler.SetSpeakers(SpeakerList(), ready);
      }
      default:
        interfaces = {*rc::gen::element<std::string>("eth0", "eth1", "eth2")};
        return reconciler.SetInterfaces(interfaces);
    }
  }
};

void RequireSame(const Reconciler& told, const Reconciler& fresh) {
  RC_ASSERT((told.AnnouncedServices() == fresh.AnnouncedServices()));
  RC_ASSERT((told.VerdictCounts() == fresh.VerdictCounts()));
  RC_ASSERT(told.announcements().size() == fresh.announcements().size());
  for (const auto& [address, spec] : fresh.announcements()) {
    const auto it = told.announcements().find(address);
    RC_ASSERT((it != told.announcements().end()));
    RC_ASSERT((it->second.interfaces == spec.interfaces));
    RC_ASSERT((it->second.policy == spec.policy));
  }
}

// What a saved state has to follow.
struct Shown {
  std::map<model::ServiceKey, model::Service> services;
  std::map<model::ObjectKey, model::EndpointSlice> slices;

  friend bool operator==(const Shown&, const Shown&) = default;

  // By way of a disk.
  void PutInto(Facts& facts) const {
    const StateIdentity identity{.cluster = "c", .node = "n0"};
    SavedState state;
    for (const auto& [key, service] : services) {
      state.services.push_back(service);
    }
    for (const auto& [key, slice] : slices) {
      state.slices.push_back(slice);
    }
    const auto saved = Decode(Encode(state, identity), identity);
    RC_ASSERT(saved.ok());
    facts.services.clear();
    for (const model::Service& service : saved->services) {
      facts.services[service.key] = service;
    }
    facts.slices.clear();
    for (const model::EndpointSlice& slice : saved->slices) {
      facts.slices[slice.key] = slice;
    }
  }
};

Shown ShownBy(const Reconciler& reconciler) {
  Shown shown;
  reconciler.ForEachService([&shown](const model::Service& service) {
    RC_ASSERT((shown.services.emplace(service.key, service).second));
  });
  reconciler.ForEachSlice([&shown](const model::EndpointSlice& slice) {
    RC_ASSERT((shown.slices.emplace(slice.key, slice).second));
  });
  return shown;
}

// What another node was told to take is another's, and was announced here.
void RequireHandedOver(const Reconciler& reconciler, const Facts& facts,
                       const std::set<net::IpAddress>& ever_announced) {
  for (const auto& [address, handed] : reconciler.handed_over()) {
    RC_ASSERT(facts.ready);
    RC_ASSERT((ever_announced.contains(address)));
    const auto service = facts.services.find(handed.service);
    RC_ASSERT((service != facts.services.end()));
    RC_ASSERT((std::ranges::find(service->second.ingress_ips, address.ToString()) !=
               service->second.ingress_ips.end()));
    const auto explanation = reconciler.Explain(handed.service);
    RC_ASSERT((explanation && explanation->verdict == Verdict::kNotElected));
    RC_ASSERT((explanation->decision && explanation->decision->winner() != nullptr));
    RC_ASSERT((*explanation->decision->winner() == handed.winner));
    RC_ASSERT((handed.winner != "n0"));
  }
}

// Who waits has a port to ask, isn't announced, and doesn't wait for long.
void RequireWaits(const Reconciler& reconciler, TimePoint now) {
  for (const auto& [service, wait] : reconciler.proxy_waits()) {
    RC_ASSERT(wait.port == 30'000);
    RC_ASSERT((wait.until > now && wait.until <= now + kProxyLag));
    RC_ASSERT((reconciler.Explain(service)->verdict == Verdict::kAwaitsProxy));
    RC_ASSERT((*reconciler.Explain(service)->decision->winner() == "n0"));
  }
  RC_ASSERT(reconciler.NextDeadline().has_value() == !reconciler.proxy_waits().empty());
}

}  // namespace

TEST_CASE("A reconciler that lived through all changes knows what a new one would know",
          "[speaker-reconcile]") {
  CHECK(rc::check([] {
    Facts facts;
    facts.config = AnyConfig();
    for (int i = 0; i < 12; ++i) {
      model::Node node = AnyNode();
      node.name = "n" + std::to_string(i);
      facts.nodes[node.name] = node;
      facts.speakers[node.name] = false;
    }
    const bool membership = *rc::gen::weightedElement<bool>({{5, true}, {1, false}});
    const Reconciler::Options options{.node = "n0", .membership = membership};
    Reconciler reconciler(options);
    facts.TellAll(reconciler);
    std::map<model::ServiceKey, std::vector<net::IpAddress>> announced;  // by what it told
    std::set<net::IpAddress> ever_announced;
    TimePoint now = TimePoint(std::chrono::seconds(1000));
    Shown shown;
    for (int step = 0; step < 20; ++step) {
      for (int i = *rc::gen::inRange(0, 6); i > 0; --i) {
        facts.Change(reconciler);
      }
      facts.AnswerLists(reconciler);
      const bool noticed = reconciler.TakeChanged();
      RC_ASSERT((noticed || ShownBy(reconciler) == shown));
      shown = ShownBy(reconciler);
      const auto reconcile = [&] {
        for (const OwnershipChange& change : reconciler.Reconcile(now)) {
          const bool here = change.verdict == Verdict::kAnnounced;
          RC_ASSERT((here ? announced[change.service] != change.addresses
                          : announced[change.service] == change.addresses));
          announced[change.service] = here ? change.addresses : std::vector<net::IpAddress>();
          ever_announced.insert(change.addresses.begin(), change.addresses.end());
        }
        const std::uint64_t revision = reconciler.revision();
        RC_ASSERT(reconciler.Reconcile(now).empty());
        RC_ASSERT(reconciler.revision() == revision);
        RequireHandedOver(reconciler, facts, ever_announced);
        RequireWaits(reconciler, now);
      };
      reconcile();
      if (const ProxyWaits waits = reconciler.proxy_waits();
          !waits.empty() && *rc::gen::arbitrary<bool>()) {
        reconciler.NoteProxyReady(waits.begin()->first);
        reconcile();
        RC_ASSERT((!reconciler.proxy_waits().contains(waits.begin()->first)));
      }
      if (*rc::gen::arbitrary<bool>()) {
        now += std::chrono::milliseconds(*rc::gen::inRange(0, 2000));
        continue;
      }
      now += kProxyLag;
      reconcile();
      RC_ASSERT(reconciler.proxy_waits().empty());
      Reconciler fresh(options);
      facts.TellAll(fresh);
      (void)fresh.Reconcile(now);
      RequireSame(reconciler, fresh);
      Facts saved = facts;
      shown.PutInto(saved);
      Reconciler restarted(options);
      saved.TellAll(restarted);
      (void)restarted.Reconcile(now);
      RequireSame(restarted, fresh);
      RC_ASSERT((ShownBy(restarted).services == shown.services));
      RC_ASSERT(restarted.TakeSlicesToList().empty());
      std::erase_if(announced, [](const auto& entry) { return entry.second.empty(); });
      RC_ASSERT(announced.size() == fresh.AnnouncedServices().size());
      for (const AnnouncedService& service : fresh.AnnouncedServices()) {
        RC_ASSERT((announced[service.service] == service.addresses));
      }
    }
  }));
}

}  // namespace stentor::speaker
