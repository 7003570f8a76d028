// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// `kubectl stentor explain service NAME`: why a Service has its address, or none, and which node
/// announces it.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/facts/snapshot.h"
#include "cli/report/judgement.h"

namespace stentor::cli {

struct ExplainReport {
  model::ServiceKey service;
  std::string load_balancer_class;  ///< Empty: none.
  bool ours = false;
  std::string traffic_policy;          ///< Cluster or Local.
  std::vector<std::string> requested;  ///< Addresses that it asks for.
  std::string requested_pool;
  std::vector<std::string> addresses;  ///< That it has.
  std::string pool;
  std::string address_reason;  ///< One sentence.
  std::vector<Books::PoolView> pools;
  std::size_t ready_endpoints = 0;
  std::vector<std::string> endpoint_nodes;                    ///< With ready endpoints; sorted.
  std::string election;                                       ///< One sentence.
  std::vector<speaker::Candidate> candidates;                 ///< Best first.
  std::vector<std::pair<std::string, std::string>> excluded;  ///< Node, why.
  std::vector<Announcer> announcers;
  std::string class_gap;       ///< Why `ours` is not known; empty: it is.
  std::string endpoints_gap;   ///< The same for endpoints.
  std::string announcers_gap;  ///< The same for who announces.
};

/// Precondition: `service` is of `snapshot`, whose slices of it are there.
[[nodiscard]] ExplainReport ExplainService(const Snapshot& snapshot, const model::Service& service);
[[nodiscard]] std::string ToText(const ExplainReport& report);
[[nodiscard]] nlohmann::ordered_json ToJson(const ExplainReport& report);

}  // namespace stentor::cli
