// SPDX-License-Identifier: Apache-2.0

/// \file
/// Bodies that anybody in the cluster can post to the webhooks, on every path, among objects that
/// are good and bad; and the same as files to be validated. The same question has the same answer,
/// in JSON, with the question's uid.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/yaml_documents.h"
#include "common/kube/codec.h"
#include "controller/webhook/facts.h"
#include "controller/webhook/router.h"
#include "controller/webhook/validate.h"
#include "test/fuzz/demand.h"

namespace {

namespace controller = stentor::controller;
using nlohmann::json;
using stentor::test::Demand;

constexpr std::string_view kObjects = R"([
  {"kind": "IPAddressPool", "spec": {"addresses": ["192.0.2.0/24"]}},
  {"kind": "IPAddressPool", "spec": {"addresses": ["198.51.100.0/24", "x", "198.51.100.0/25"]}},
  {"kind": "AddressPool", "spec": {"addresses": ["2001:db8::/64"], "protocol": "bgp"}},
  {"kind": "L2Advertisement", "spec": {"ipAddressPools": ["a0", "a0"]}},
  {"kind": "BGPAdvertisement", "spec": {"localPref": 7}},
  {"kind": "BGPAdvertisement", "spec": {"aggregationLength": 33}},
  {"kind": "BGPPeer", "spec": {"myASN": 1, "peerASN": 2, "peerAddress": "192.0.2.1",
                               "bfdProfile": "a9"}},
  {"kind": "BGPPeer", "spec": {"myASN": 1, "peerASN": 2, "peerAddress": "x"}},
  {"kind": "Community", "spec": {"communities": [{"name": "x", "value": "1:2"}]}},
  {"kind": "BFDProfile", "spec": {"receiveInterval": 1}}
])";

controller::Facts MakeFacts() {
  controller::Facts facts{.name_space = "metallb-system", .bgp_mode = controller::BgpMode::kFrr};
  facts.nodes = {{"iris1", {{"rack", "1"}}}};
  int number = 0;
  for (json object : json::parse(kObjects)) {
    object["metadata"] = {{"namespace", facts.name_space},
                          {"name", "a" + std::to_string(number++)}};
    if (!facts.Put(*controller::KindOf(object["kind"].get<std::string>()), object).ok()) {
      std::abort();
    }
  }
  return facts;
}

void CheckAnswer(const std::string& target, std::string_view body, const controller::Facts& facts) {
  const controller::HttpAnswer answer = controller::AnswerWebhook(target, body, facts, 1U << 20U);
  Demand(answer == controller::AnswerWebhook(target, body, facts, 1U << 20U));
  Demand(answer.status == 200 || answer.status == 400 || answer.status == 413);
  if (answer.status != 200) {
    return;
  }
  const json question = json::parse(body);
  const json response = json::parse(answer.body).at("response");
  Demand(response.at("uid") == question.at("request").at("uid"));
  if (target == "/convert") {
    const bool success = response.at("result").at("status") == "Success";
    Demand(response.at("convertedObjects").size() ==
           (success ? question.at("request").at("objects").size() : 0U));
  } else {
    Demand(response.at("allowed") == (response.at("status").at("code") == 200));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const controller::Facts facts = MakeFacts();
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const char* path :
       {"/validate-metallb-io-v1beta1-ipaddresspool", "/validate-metallb-io-v1beta1-addresspool",
        "/validate-metallb-io-v1beta1-l2advertisement",
        "/validate-metallb-io-v1beta1-bgpadvertisement", "/validate-metallb-io-v1beta2-bgppeer",
        "/validate-metallb-io-v1beta1-bfdprofile", "/validate-metallb-io-v1beta1-community",
        "/convert"}) {
    CheckAnswer(path, body, facts);
  }
  const auto documents = stentor::config::ParseYamlDocuments(body);
  if (!documents.ok()) {
    return 0;
  }
  std::vector<controller::Document> files;
  for (const json& document : *documents) {
    files.push_back({"f", document});
    // The object of a review, too, as if it stood alone.
    if (document.is_object() && document.contains("request") && document["request"].is_object()) {
      files.push_back({"f", document["request"].value("object", json())});
    }
  }
  for (const controller::Finding& finding :
       controller::Validate(files, facts.name_space, controller::BgpMode::kNative)) {
    Demand(!controller::ToLine(finding).empty());
  }
  return 0;
}
