// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// A saved state with something in each of its fields.

#include <chrono>
#include <string>

#include "speaker/state/saved_state.h"

namespace stentor::speaker {

inline const StateIdentity kIdentity{.cluster = "c0ffee", .node = "n1"};
inline const WallTime kSaved{std::chrono::seconds(1'800'000'000)};

inline net::IpAddress Ip(const char* text) { return *net::IpAddress::Parse(text); }

inline model::LabelSelector ExampleSelector() {
  using enum model::SelectorOperator;
  return {{{.key = "a", .op = kEquals, .values = {"b"}},
           {.key = "rack", .op = kIn, .values = {"1", "2"}},
           {.key = "zone", .op = kNotIn, .values = {"x"}},
           {.key = "tier", .op = kExists, .values = {}},
           {.key = "old", .op = kDoesNotExist, .values = {}},
           {.key = "odd", .op = kUnknown, .values = {"v"}, .unknown_op = "Like"}}};
}

inline model::Service ExampleService(const std::string& name = "web") {
  model::Service service;
  service.key = {"default", name};
  service.uid = "uid-" + name;
  service.labels = {{"app", "web"}, {"\"quoted\\", "new\nline, Zürich \x01"}};
  service.annotations = {{"metallb.io/allow-shared-ip", "key"}};
  service.type = "LoadBalancer";
  service.load_balancer_class = "metallb.io/metallb";
  service.external_traffic_policy = model::TrafficPolicy::kLocal;
  service.health_check_node_port = 30'001;
  service.ingress_ips = {"192.0.2.10", "2001:db8::10", "not an address"};
  return service;
}

inline model::EndpointSlice ExampleSlice(const std::string& service = "web") {
  return {.key = {"default", service + "-x"},
          .resource_version = "",
          .service_name = service,
          .endpoints = {{"", false}, {"n1", false}, {"n1", true}, {"n2", true}},
          .created = kSaved};
}

inline SavedState ExampleState() {
  SavedState state;
  state.saved = kSaved;
  model::Service bare;
  bare.key = {"default", "bare"};
  state.services = {ExampleService(), bare};
  state.slices = {ExampleSlice(),
                  {.key = {"default", "endpoints/dns"}, .service_name = "dns", .endpoints = {}}};
  state.nodes = {{.name = "n1",
                  .labels = {{"rack", "1"}},
                  .network_unavailable = true,
                  .ready = true,
                  .addresses = {Ip("192.0.2.1"), Ip("2001:db8::1")}},
                 {.name = "n2"}};
  state.pods = {{.key = {"ns", "speaker-a"},
                 .uid = "u",
                 .node = "n1",
                 .pod_ip = "192.0.2.1",
                 .phase = "Running"}};
  state.pools = {{.key = {"ns", "first"},
                  .labels = {{"pool", "a"}},
                  .addresses = {"192.0.2.0/24", "2001:db8::1-2001:db8::9"},
                  .auto_assign = false,
                  .avoid_buggy_ips = true,
                  .has_service_allocation = true,
                  .priority = -7,
                  .namespaces = {"default"},
                  .namespace_selectors = {ExampleSelector()},
                  .service_selectors = {{}}},
                 {.key = {"ns", "second"}}};
  state.advertisements = {
      {.key = {"ns", "all"}},
      {.key = {"ns", "some"},
       .ip_address_pools = {"first"},
       .ip_address_pool_selectors = {ExampleSelector()},
       .node_selectors = {ExampleSelector(), {}},
       .interfaces = {"eth0", "eth1"},
       .service_selectors = {ExampleSelector()},
       .preferred_node_selectors = {{.weight = 50, .preference = ExampleSelector()}},
       .address_conflicts = "strict",
       .fail_back = "5m"}};
  state.address_pools = {{.key = {"ns", "older"},
                          .protocol = "layer2",
                          .addresses = {"198.51.100.0/24"},
                          .auto_assign = false,
                          .avoid_buggy_ips = true}};
  state.config_map = {.key = {"ns", "config"}, .text = "address-pools:\n- name: x\n"};
  return state;
}

}  // namespace stentor::speaker
