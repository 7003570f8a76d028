// SPDX-License-Identifier: Apache-2.0

/// \file
/// When a take-over waits for the node's service proxy.

#include "speaker/reconcile/proxy_waits.h"

#include <set>
#include <vector>

#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 30'123;

model::Service LocalService(std::uint16_t port = kPort) {
  model::Service service = WebService();
  service.external_traffic_policy = model::TrafficPolicy::kLocal;
  service.health_check_node_port = port;
  return service;
}

/// iris1, while iris2 has the only endpoint of a Local Service.
struct Elsewhere : Fixture {
  explicit Elsewhere(const model::Service& service = LocalService()) {
    reconciler.UpsertService(service);
    (void)reconciler.Reconcile(kNow);
  }

  Verdict VerdictAfter(TimePoint now) {
    (void)reconciler.Reconcile(now);
    return reconciler.Explain(kKey)->verdict;
  }
};

TEST_CASE("A first endpoint on this node is waited for until the service proxy has it",
          "[speaker-reconcile]") {
  Elsewhere node;
  Reconciler& r = node.reconciler;
  CHECK(r.proxy_waits().empty());
  r.UpsertSlice(WebSlice(true, "iris1"));
  const TimePoint moved = kNow + 10s;
  CHECK(node.VerdictAfter(moved) == Verdict::kAwaitsProxy);
  CHECK(r.announcements().empty());
  CHECK(r.proxy_waits() == ProxyWaits{{kKey, {.port = kPort, .until = moved + kProxyLag}}});
  CHECK(r.NextDeadline() == moved + kProxyLag);
  CHECK(r.VerdictCounts().at("awaitsProxy") == 1);

  SECTION("the port says yes") {
    r.NoteProxyReady(kKey);
    CHECK(node.VerdictAfter(moved + 50ms) == Verdict::kAnnounced);
    SECTION("and once more, if the endpoint was gone in between") {
      r.UpsertSlice(WebSlice(true, "iris2"));
      CHECK(node.VerdictAfter(moved + 1s) == Verdict::kNotElected);
      r.UpsertSlice(WebSlice(true, "iris1"));
      CHECK(node.VerdictAfter(moved + 2s) == Verdict::kAwaitsProxy);
    }
  }
  SECTION("the port never says yes") {
    CHECK(node.VerdictAfter(moved + kProxyLag - 1ms) == Verdict::kAwaitsProxy);
    CHECK(node.VerdictAfter(moved + kProxyLag) == Verdict::kAnnounced);
  }
  SECTION("the Service goes meanwhile") {
    r.DeleteService(kKey);
    (void)r.Reconcile(moved + 1s);
  }
  SECTION("the endpoint goes meanwhile") {
    r.UpsertSlice(WebSlice(true, "iris2"));
    CHECK(node.VerdictAfter(moved + 1s) == Verdict::kNotElected);
  }
  SECTION("this speaker is paused meanwhile") {
    r.SetSpeakers(BothSpeakers(), false);
    CHECK(node.VerdictAfter(moved + 1s) == Verdict::kNotReady);
  }
  if (!r.announcements().empty() || !r.NextDeadline()) {
    CHECK(r.proxy_waits().empty());
    CHECK_FALSE(r.NextDeadline());
  }
}

TEST_CASE("A fail-over waits for nothing", "[speaker-reconcile]") {
  SECTION("the endpoint has been here for long") {
    Elsewhere node;
    model::EndpointSlice both = WebSlice(true, "iris1");
    both.endpoints.push_back({.node = "iris2", .can_serve = true});
    // iris2 has it by its better score.
    config::L2Advertisement prefers{.name = "prefers"};
    prefers.preferences = {{.weight = 1,
                            .preference = {.requirements = {{.key = "best",
                                                             .op = model::SelectorOperator::kEquals,
                                                             .values = {"yes"}}}}}};
    model::Node best = NodeNamed("iris2");
    best.labels = {{"best", "yes"}};
    node.reconciler.UpsertNode(best);
    node.reconciler.SetConfig(OnePool({prefers}));
    node.reconciler.UpsertSlice(both);
    CHECK(node.VerdictAfter(kNow + 10s) == Verdict::kNotElected);
    node.reconciler.SetSpeakers({{.node = "iris1"}}, true);
    SECTION("for three seconds") {
      CHECK(node.VerdictAfter(kNow + 10s + kProxyLag) == Verdict::kAnnounced);
    }
    SECTION("not quite so long") {
      CHECK(node.VerdictAfter(kNow + 12s) == Verdict::kAwaitsProxy);
      CHECK(node.reconciler.NextDeadline() == kNow + 10s + kProxyLag);
    }
  }
  SECTION("the endpoint was here before this speaker") {
    Fixture node;
    node.reconciler.UpsertService(LocalService());
    node.reconciler.UpsertSlice(WebSlice(true, "iris1"));
    (void)node.reconciler.Reconcile(kNow);
    CHECK(AddressesOf(node.reconciler.announcements()) == std::vector{kVip});
  }
  SECTION("any node's endpoints will do") {
    model::Service service = WebService();
    service.health_check_node_port = kPort;
    Elsewhere node(service);
    CHECK(AddressesOf(node.reconciler.announcements()) == std::vector{kVip});
  }
  SECTION("there is no port to ask") {
    Elsewhere node(LocalService(0));
    node.reconciler.UpsertSlice(WebSlice(true, "iris1"));
    CHECK(node.VerdictAfter(kNow + 10s) == Verdict::kAnnounced);
  }
}

TEST_CASE("What this node announces already, or nobody ever did, doesn't wait",
          "[speaker-reconcile]") {
  SECTION("the last endpoint here goes and comes while nobody else has any") {
    Fixture node;
    node.reconciler.UpsertService(LocalService());
    node.reconciler.UpsertSlice(WebSlice(true, "iris1"));
    (void)node.reconciler.Reconcile(kNow);
    // Both changes before the next election.
    node.reconciler.UpsertSlice(WebSlice(false, "iris1"));
    node.reconciler.UpsertSlice(WebSlice(true, "iris1"));
    (void)node.reconciler.Reconcile(kNow + 10s);
    CHECK(AddressesOf(node.reconciler.announcements()) == std::vector{kVip});
  }
  SECTION("the address is new in the cluster") {
    Fixture node;
    model::Service service = LocalService();
    service.ingress_ips.clear();
    node.reconciler.DeleteService(kKey);
    (void)node.reconciler.Reconcile(kNow);
    node.reconciler.DeleteSlice(WebSlice().key);
    node.reconciler.UpsertService(service);
    (void)node.reconciler.Reconcile(kNow);
    node.reconciler.UpsertService(LocalService());
    node.reconciler.UpsertSlice(WebSlice(true, "iris1"));
    (void)node.reconciler.Reconcile(kNow + 10s);
    CHECK(AddressesOf(node.reconciler.announcements()) == std::vector{kVip});
    CHECK(node.reconciler.announcements().at(kVip).probe);
  }
}

TEST_CASE("Ports are looked for on loopback first, then on the node's addresses",
          "[speaker-reconcile]") {
  Links links{NameFilter()};
  const auto add = [&links](int index, const char* name, std::uint32_t flags,
                            std::vector<const char*> addresses) {
    (void)links.Apply(net::LinkMessage{.index = net::IfIndex(index),
                                       .flags = flags,
                                       .name = name,
                                       .mac = net::MacAddress({2, 0, 0, 0, 0, 1})});
    for (const char* address : addresses) {
      (void)links.Apply(net::AddressMessage{.index = net::IfIndex(index),
                                            .address = *net::IpAddress::Parse(address),
                                            .prefix_length = 24});
    }
  };
  const std::uint32_t up =
      net::kLinkUp | net::kLinkBroadcast | net::kLinkRunning | net::kLinkLowerUp;
  add(2, "eth0", up, {"192.0.2.11", "2001:db8::11", "fe80::11"});
  add(3, "kube-ipvs0", net::kLinkBroadcast, {"10.20.30.2"});
  std::vector<std::string> hosts;
  for (const net::IpAddress& host : ProxyHosts(links)) {
    hosts.push_back(host.ToString());
  }
  CHECK(hosts == std::vector<std::string>{"127.0.0.1", "::1", "192.0.2.11", "2001:db8::11"});
  add(4, "eth1", up,
      {"192.0.2.12", "192.0.2.13", "192.0.2.14", "192.0.2.15", "192.0.2.16", "192.0.2.17"});
  CHECK(ProxyHosts(links).size() == kMaxProxyHosts);
}

TEST_CASE("Ports are asked in turn", "[speaker-reconcile]") {
  ProxyWaits waits;
  for (char name = 'a'; name < 'a' + 20; ++name) {
    waits[{"default", std::string(1, name)}] = {.port = kPort};
  }
  ProxyAskOrder order;
  CHECK(order.Next({}).empty());
  std::multiset<model::ServiceKey> asked;
  for (int turn = 0; turn < 5; ++turn) {
    const std::vector<model::ServiceKey> next = order.Next(waits);
    CHECK(next.size() == ProxyAskOrder::kEachTurn);
    asked.insert(next.begin(), next.end());
  }
  for (const auto& [service, wait] : waits) {
    CHECK(asked.count(service) == 2);
  }
  waits = {{{"default", "zz"}, {.port = kPort}}};
  CHECK(order.Next(waits) == std::vector<model::ServiceKey>{{"default", "zz"}});
  CHECK(order.Next(waits) == std::vector<model::ServiceKey>{{"default", "zz"}});
}

}  // namespace
}  // namespace stentor::speaker
