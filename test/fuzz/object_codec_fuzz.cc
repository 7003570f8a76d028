// SPDX-License-Identifier: Apache-2.0

/// \file
/// Objects as the API server sends them, through every decoder; what a Service keeps verbatim must
/// make a status body again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/kube/bodies.h"
#include "common/kube/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace kube = stentor::kube;
  const auto json = kube::ParseJson({reinterpret_cast<const char*>(data), size});
  if (!json.ok()) {
    return 0;
  }
  (void)kube::DecodeEndpointSlice(*json);
  (void)kube::DecodeNode(*json);
  (void)kube::DecodePod(*json);
  (void)kube::DecodeIpAddressPool(*json);
  (void)kube::DecodeL2Advertisement(*json);
  (void)kube::DecodeAddressPool(*json);
  (void)kube::DecodeEndpoints(*json);
  (void)kube::DecodeConfigMapEntry(*json, "config");
  (void)kube::DecodeLabelSelector(*json);
  (void)kube::DecodeLabels(*json);
  (void)kube::DecodeService(*json, kube::Verbatim::kDrop);
  const auto service = kube::DecodeService(*json, kube::Verbatim::kKeep);
  if (!service.ok()) {
    return 0;
  }
  const std::vector<std::string> ips = {"192.0.2.1"};
  const std::vector<kube::AnnotationChange> changes = {{"a", "b"}, {"c", std::nullopt}};
  const std::vector<kube::ConditionChange> conditions = {
      {std::string(stentor::model::kAddressAllocated), service->address_allocated,
       stentor::WallTime{}},
      {"Foreign", std::nullopt, stentor::WallTime{}}};
  const std::string body = kube::BuildServiceStatusBody(*service, ips, changes, conditions);
  const auto again = kube::ParseJson(body);
  if (!again.ok() || !kube::DecodeService(*again, kube::Verbatim::kDrop).ok()) {
    std::abort();
  }
  return 0;
}
