// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace stentor::speaker {

/// What a speaker reads of the API, and saves.
enum class Resource : std::uint8_t {
  kServices,
  kSlices,  ///< EndpointSlices, or Endpoints in their place.
  kNodes,
  kPods,
  kPools,
  kAdvertisements,
  kAddressPools,
  kConfigMap,
};

}  // namespace stentor::speaker
