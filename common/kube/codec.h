// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Kubernetes objects from JSON. What comes in is hostile: bounded, and no exception leaves.
/// Unknown fields are ignored, absent and null ones have the API's defaults; a field of a wrong
/// type makes InvalidArgument, which names object and field, for instance `Service default/web:
/// spec.ports[0].port: expected a number from 0 to 65535`.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/model/objects.h"

namespace stentor::kube {

/// Bounds of ParseJson and ParseApiJson. The defaults let a page of 500 large objects pass.
struct JsonLimits {
  std::size_t max_bytes = std::size_t{64} << 20U;
  std::size_t max_depth = 96;  ///< Nested arrays and objects; printing is recursive.
  /// All values, also the outermost: a parsed one takes many times the octets of its text.
  std::size_t max_values = std::size_t{8} << 20U;
};

/// Parses one JSON text. DataLoss where it is none, is not UTF-8, or exceeds `limits`. For texts of
/// our own, and for objects that have to stay whole.
[[nodiscard]] absl::StatusOr<nlohmann::json> ParseJson(std::string_view text,
                                                       const JsonLimits& limits = {});

/// Like ParseJson, for what the API server answers: leaves `managedFields` out of every member
/// `metadata`, at any depth (lists, events of a watch). Who wrote which field is nobody's concern
/// here, and often takes half of an object's text; what is left out counts towards the limits. An
/// object that is written without them keeps them
/// (https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields).
[[nodiscard]] absl::StatusOr<nlohmann::json> ParseApiJson(std::string_view text,
                                                          const JsonLimits& limits = {});

/// Prints compactly; octets that are not UTF-8 are replaced, never thrown over.
[[nodiscard]] std::string DumpJson(const nlohmann::json& json);

/// Whether a Service keeps its metadata and status as text, for a status write later on.
enum class Verbatim : std::uint8_t { kKeep, kDrop };

[[nodiscard]] absl::StatusOr<model::Service> DecodeService(const nlohmann::json& json,
                                                           Verbatim verbatim);
[[nodiscard]] absl::StatusOr<model::EndpointSlice> DecodeEndpointSlice(const nlohmann::json& json);

/// What tells whose slice an object is, without decoding it.
struct SliceHeader {
  model::ObjectKey key;
  std::string service_name;    ///< As EndpointSlice::service_name; may be empty.
  bool by_controller = false;  ///< As EndpointSlice::by_controller.
  std::optional<WallTime> created;
};
/// Never fails: what is absent or of a wrong type is empty.
[[nodiscard]] SliceHeader PeekEndpointSlice(const nlohmann::json& json);
/// Of core/v1 Endpoints; its key is EndpointsKey().
[[nodiscard]] SliceHeader PeekEndpoints(const nlohmann::json& json);

/// Addresses beyond the first kMaxNodeAddresses are ignored.
inline constexpr std::size_t kMaxNodeAddresses = 32;
[[nodiscard]] absl::StatusOr<model::Node> DecodeNode(const nlohmann::json& json);
[[nodiscard]] absl::StatusOr<model::Pod> DecodePod(const nlohmann::json& json);
[[nodiscard]] absl::StatusOr<model::IpAddressPoolResource> DecodeIpAddressPool(
    const nlohmann::json& json);
[[nodiscard]] absl::StatusOr<model::L2AdvertisementResource> DecodeL2Advertisement(
    const nlohmann::json& json);
[[nodiscard]] absl::StatusOr<model::AddressPoolResource> DecodeAddressPool(
    const nlohmann::json& json);

/// core/v1 Endpoints, which tell the same as the slices of a Service, all in one object: the result
/// has its EndpointsKey(). Endpoints that are alike are one.
[[nodiscard]] absl::StatusOr<model::EndpointSlice> DecodeEndpoints(const nlohmann::json& json);
/// A key for the Endpoints of `service` that no slice can have.
[[nodiscard]] model::ObjectKey EndpointsKey(const model::ObjectKey& service);

/// The entry `name` of a ConfigMap's data.
[[nodiscard]] absl::StatusOr<model::ConfigMapEntry> DecodeConfigMapEntry(const nlohmann::json& json,
                                                                         const char* name);

/// metadata.namespace and metadata.name, and metadata.labels, of any object (a Namespace, say).
[[nodiscard]] absl::StatusOr<model::ObjectKey> DecodeKey(const nlohmann::json& json);
[[nodiscard]] absl::StatusOr<model::Labels> DecodeLabels(const nlohmann::json& json);

/// A LabelSelector that stands alone; errors name only the field.
[[nodiscard]] absl::StatusOr<model::LabelSelector> DecodeLabelSelector(const nlohmann::json& json);

}  // namespace stentor::kube
