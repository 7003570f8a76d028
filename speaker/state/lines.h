// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The saved state line by line. Internal to the room.

#include <string>
#include <string_view>

#include "common/model/objects.h"
#include "speaker/state/saved_state.h"

namespace stentor::speaker {

/// An object as JSON of the Kubernetes API, with what is saved of it. Preconditions as for
/// Encode().
[[nodiscard]] std::string LineOf(const model::Service& service);
[[nodiscard]] std::string LineOf(const model::EndpointSlice& slice);
[[nodiscard]] std::string LineOf(const model::Node& node);
[[nodiscard]] std::string LineOf(const model::Pod& pod);
[[nodiscard]] std::string LineOf(const model::IpAddressPoolResource& pool);
[[nodiscard]] std::string LineOf(const model::L2AdvertisementResource& advertisement);
[[nodiscard]] std::string LineOf(const model::AddressPoolResource& pool);
[[nodiscard]] std::string LineOf(const model::ConfigMapEntry& entry);

/// Those annotations of a Service that are saved.
[[nodiscard]] model::Labels SavedAnnotations(const model::Service& service);

/// The whole text, put together.
class StateText {
 public:
  StateText(const StateIdentity& identity, WallTime saved);
  void Add(std::string_view line);
  /// Once, at the end.
  [[nodiscard]] std::string Finish() &&;

 private:
  std::string text_;
};

}  // namespace stentor::speaker
