// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A small world for the tests of this folder: nodes iris1 and iris2, one pool, one Service with
/// 10.20.30.2, which iris1 wins.

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "speaker/reconcile/reconciler.h"
#include "test/support/catch.h"

namespace stentor::speaker {

// By SHA-256 of "node#address", iris1 comes before iris2 for 10.20.30.2, and after it for
// 10.20.30.1 (computed apart: test/unit/election/digest_test.cc).
inline const net::IpAddress kVip = *net::IpAddress::Parse("10.20.30.2");
inline const net::IpAddress kOtherVip = *net::IpAddress::Parse("10.20.30.1");
inline const net::IpAddress kVip6 = *net::IpAddress::Parse("2001:db8:0:1::ffff");
inline const model::ServiceKey kKey{"default", "web"};
inline constexpr TimePoint kNow = TimePoint(std::chrono::seconds(1000));

/// Seconds of the API server's clock.
inline WallTime At(int seconds) { return WallTime(std::chrono::seconds(1'700'000'000 + seconds)); }

inline config::Config OnePool(std::vector<config::L2Advertisement> advertisements = {
                                  {.name = "all"}}) {
  config::Config config;
  config.pools.push_back(
      {.name = "pool",
       .ranges = {{*net::IpAddress::Parse("10.20.30.0"), *net::IpAddress::Parse("10.20.30.255")},
                  {*net::IpAddress::Parse("2001:db8::"),
                   *net::IpAddress::Parse("2001:db8:0:ffff:ffff:ffff:ffff:ffff")}},
       .l2_advertisements = std::move(advertisements)});
  return config;
}

inline model::Service WebService(std::vector<std::string> ips = {"10.20.30.2"}) {
  model::Service service;
  service.key = kKey;
  service.uid = "uid";
  service.type = "LoadBalancer";
  service.selector = {{"app", "web"}};
  service.created = At(0);
  service.ingress_ips = std::move(ips);
  return service;
}

/// WebService() under another name.
inline model::Service ServiceNamed(const char* name, std::vector<std::string> ips) {
  model::Service service = WebService(std::move(ips));
  service.key.name = name;
  service.uid = name;
  return service;
}

inline model::EndpointSlice SliceOf(const std::string& service, bool can_serve = true,
                                    const char* node = "iris2") {
  return {.key = {"default", service + "-abc"},
          .resource_version = "100",
          .service_name = service,
          .endpoints = {{.node = node, .can_serve = can_serve}},
          .created = At(1)};
}

inline kube::SliceHeader HeaderOf(const model::EndpointSlice& slice) {
  return {.key = slice.key,
          .service_name = slice.service_name,
          .by_controller = slice.by_controller,
          .created = slice.created};
}

inline model::EndpointSlice WebSlice(bool can_serve = true, const char* node = "iris2") {
  return SliceOf("web", can_serve, node);
}

inline model::Node NodeNamed(const char* name) {
  model::Node node;
  node.name = name;
  node.ready = true;
  return node;
}

inline std::vector<Speaker> BothSpeakers() { return {{.node = "iris1"}, {.node = "iris2"}}; }

/// A speaker that knows all it has to know to announce kVip from iris1, and has not yet held an
/// election.
class Fixture {
 public:
  explicit Fixture(const char* self = "iris1", Reconciler::Options options = {})
      : reconciler([&] {
          options.node = self;
          return options;
        }()) {
    reconciler.UpsertNode(NodeNamed("iris1"));
    reconciler.UpsertNode(NodeNamed("iris2"));
    reconciler.SetConfig(OnePool());
    reconciler.SetSpeakers(BothSpeakers(), true);
    reconciler.UpsertService(WebService());
    reconciler.UpsertSlice(WebSlice());
  }
  Reconciler reconciler;
};

inline std::vector<net::IpAddress> AddressesOf(const Announcements& announcements) {
  std::vector<net::IpAddress> addresses;
  for (const auto& [address, spec] : announcements) {
    addresses.push_back(address);
  }
  return addresses;
}

}  // namespace stentor::speaker
