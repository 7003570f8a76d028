// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Kind ServiceL2Status of group metallb.io: which node answers for the addresses of a Service.
/// Read back from the API, and as requests. spec/metallb.md is the contract for labels and fields;
/// all three immutable fields of the status are kept by CEL rules of the kind.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/kube/transport.h"
#include "common/model/types.h"
#include "common/status/configuration_state_keeper.h"

namespace stentor::speaker {

inline constexpr std::string_view kLabelNode = "metallb.io/node";
inline constexpr std::string_view kLabelServiceName = "metallb.io/service-name";
inline constexpr std::string_view kLabelServiceNamespace = "metallb.io/service-namespace";

/// metadata.generateName of the objects, and how their names begin.
inline constexpr std::string_view kL2StatusPrefix = "l2-";

/// What an object says. Interfaces are sorted, without duplicates; none: all.
struct L2StatusContent {
  model::ServiceKey service;
  model::NodeName node;
  std::vector<std::string> interfaces;

  friend bool operator==(const L2StatusContent&, const L2StatusContent&) = default;
};

/// An object as the API server has it.
struct SeenL2Status {
  model::ObjectKey key;
  std::string uid;                                  ///< Never empty.
  std::string resource_version;                     ///< Never empty.
  model::Labels labels;                             ///< The three above only.
  nlohmann::json owners = nlohmann::json::array();  ///< metadata.ownerReferences, objects only.
  bool deleting = false;                            ///< Has a deletionTimestamp.
  L2StatusContent content;  ///< status; a text that is absent is empty here.

  /// The Service that it is about: by its labels, which others select by; else by its status.
  /// Nothing where neither tells.
  [[nodiscard]] std::optional<model::ServiceKey> Service() const;
  /// The node whose speaker it is of; empty where neither label nor status tells.
  [[nodiscard]] const model::NodeName& Node() const;
};

/// Reads what can be read: a field of a wrong type counts as absent, so that it is written anew.
/// InvalidArgument where there is no name, uid or resourceVersion.
[[nodiscard]] absl::StatusOr<SeenL2Status> DecodeL2Status(const nlohmann::json& json);

/// `/apis/metallb.io/v1beta1/namespaces/NS/servicel2statuses`, and the path of one in it.
[[nodiscard]] std::string L2StatusesPath(std::string_view name_space);
[[nodiscard]] std::string L2StatusPath(const model::ObjectKey& key);

/// The labels of an object; what is longer than a label can be (a node's name may be) is left out.
[[nodiscard]] model::Labels L2StatusLabels(const model::ServiceKey& service, std::string_view node);

/// metadata.ownerReferences with `owner` as the only Pod; what is no Pod stays.
[[nodiscard]] nlohmann::json OwnersWith(const nlohmann::json& owners,
                                        const status::OwnerPod& owner);

/// Whether a Pod among `owners` is `owner`; and whether it is the only Pod there.
[[nodiscard]] bool IsOwnedBy(const nlohmann::json& owners, const status::OwnerPod& owner);
[[nodiscard]] bool IsOwnedOnlyBy(const nlohmann::json& owners, const status::OwnerPod& owner);

/// Creates an object, which is without status until the next request. Its name is chosen by the
/// caller: so the request can be repeated where it is not known what became of it.
[[nodiscard]] kube::Request CreateL2Status(const model::ObjectKey& key, const model::Labels& labels,
                                           const std::optional<status::OwnerPod>& owner);
/// Merge patches of labels and owners, and of the status; both under resourceVersion.
[[nodiscard]] kube::Request PatchL2StatusMetadata(const model::ObjectKey& key,
                                                  std::string_view resource_version,
                                                  const nlohmann::json& owners,
                                                  const model::Labels& labels,
                                                  const std::optional<status::OwnerPod>& owner);
[[nodiscard]] kube::Request PatchL2Status(const model::ObjectKey& key,
                                          std::string_view resource_version,
                                          const L2StatusContent& content);
/// Deletes the object only if it is still the one with `uid`.
[[nodiscard]] kube::Request DeleteL2Status(const model::ObjectKey& key, std::string_view uid);
[[nodiscard]] kube::Request GetL2Status(const model::ObjectKey& key);

}  // namespace stentor::speaker
