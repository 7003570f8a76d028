// SPDX-License-Identifier: Apache-2.0

/// \file
/// Objects as the API server sends them, through every decoder; what a Service keeps verbatim must
/// make a status body again. What is parsed is what the library's own parser makes of it.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/kube/bodies.h"
#include "common/kube/codec.h"
#include "test/fuzz/demand.h"

namespace {

using stentor::test::Demand;

// The text was parsed: it is not nested deeper than this may call itself.
void EraseManagedFields(nlohmann::json& json) {
  for (auto it = json.begin(); it != json.end(); ++it) {
    if (json.is_object() && it.key() == "metadata" && it->is_object()) {
      it->erase("managedFields");
    }
    if (it->is_structured()) {
      EraseManagedFields(*it);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace kube = stentor::kube;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = kube::ParseJson(text);
  const auto of_api = kube::ParseApiJson(text);
  Demand(json.ok() == of_api.ok());
  if (!json.ok()) {
    return 0;
  }
  Demand(*json == nlohmann::json::parse(text, nullptr, false));
  nlohmann::json expected = *json;
  EraseManagedFields(expected);
  Demand(*of_api == expected);
  (void)kube::DecodeEndpointSlice(*of_api);
  (void)kube::DecodeNode(*of_api);
  (void)kube::DecodePod(*of_api);
  (void)kube::DecodeIpAddressPool(*of_api);
  (void)kube::DecodeL2Advertisement(*of_api);
  (void)kube::DecodeAddressPool(*of_api);
  (void)kube::DecodeEndpoints(*of_api);
  (void)kube::DecodeConfigMapEntry(*of_api, "config");
  (void)kube::DecodeLabelSelector(*of_api);
  (void)kube::DecodeLabels(*of_api);
  (void)kube::DecodeService(*of_api, kube::Verbatim::kDrop);
  const auto service = kube::DecodeService(*of_api, kube::Verbatim::kKeep);
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
  Demand(again.ok() && kube::DecodeService(*again, kube::Verbatim::kDrop).ok());
  return 0;
}
