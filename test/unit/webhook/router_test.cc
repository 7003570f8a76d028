// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/router.h"

#include "test/unit/webhook/objects.h"

namespace stentor::controller {
namespace {

using namespace testing;
using Catch::Matchers::Contains;

TEST_CASE("Reviews of a kind that is not the path's are refused") {
  const HttpAnswer answer = AnswerWebhook(
      "/validate-metallb-io-v1beta1-community",
      kube::DumpJson(ReviewOf("CREATE", PoolObject("p", {"192.0.2.0/24"}))), FactsOf({}), kMaxBody);
  CHECK(json::parse(answer.body).at("response").at("status").at("code") == 400);
}

TEST_CASE("What is no review is answered by HTTP") {
  struct HttpCase {
    std::string name;
    std::string target;
    std::string body;
    int status;
    std::string text;
  };
  const std::string path = PathOfKind("IPAddressPool");
  const std::string good = kube::DumpJson(ReviewOf("CREATE", PoolObject("p", {"192.0.2.0/24"})));
  const auto without = [&good](const char* field, json value) {
    json review = json::parse(good);
    review[json::json_pointer(field)] = std::move(value);
    return kube::DumpJson(review);
  };
  const auto test = GENERATE_COPY(values<HttpCase>(
      {{"good", path, good, 200, "\"allowed\":true"},
       {"v1beta1", path, without("/apiVersion", "admission.k8s.io/v1beta1"), 200,
        "admission.k8s.io/v1beta1"},
       {"unknown path", "/validate", good, 404, "no such webhook"},
       {"longer path", path + "/x", good, 404, "no such webhook"},
       {"too large", path, good + std::string(kMaxBody, ' '), 413, "longer than 1048576"},
       {"no JSON", path, "{", 400, "not a JSON text"},
       {"empty", path, "", 400, "not a JSON text"},
       {"deep", path, std::string(200, '[') + std::string(200, ']'), 400, "nested deeper"},
       {"a list", path, "[]", 400, "expected an AdmissionReview"},
       {"another kind", path, without("/kind", "Pod"), 400, "expected kind AdmissionReview"},
       {"another version", path, without("/apiVersion", "admission.k8s.io/v2"), 400,
        "expected kind AdmissionReview"},
       {"no request", path, without("/request", nullptr), 400, "request: expected an object"},
       {"request is a text", path, without("/request", "CREATE"), 400, "request: expected"},
       {"no uid", path, without("/request/uid", ""), 400, "request.uid"},
       {"uid is a number", path, without("/request/uid", 7), 400, "request.uid: expected a string"},
       {"long uid", path, without("/request/uid", std::string(300, 'u')), 400, "request.uid"},
       {"many values", path, kube::DumpJson(json::array_t(200'000, 0)), 400,
        "more than 200000 values"},
       {"long name", path, without("/request/object/metadata/name", std::string(254, 'n')), 413,
        "longer than any API server allows"},
       {"long name before", path,
        without("/request/oldObject", {{"metadata", {{"name", std::string(254, 'n')}}}}), 413,
        "longer than any API server allows"},
       {"many addresses", path,
        without("/request/object/spec/addresses", json::array_t(1025, "192.0.2.0/32")), 413,
        "longer than any API server allows"},
       {"long address", path,
        without("/request/object/spec/addresses", json::array_t(1, std::string(129, '1'))), 413,
        "longer than any API server allows"},
       {"no object", path, without("/request/object", nullptr), 200, "\"code\":400"}}));
  DYNAMIC_SECTION(test.name) {
    const HttpAnswer answer = AnswerWebhook(test.target, test.body, FactsOf({}), kMaxBody);
    CHECK(answer.status == test.status);
    CHECK_THAT(answer.body, Contains(test.text));
    CHECK(answer.content_type == (test.status == 200 ? "application/json" : "text/plain"));
    CHECK(IsWebhookPath(test.target) == (test.status != 404));
  }
}

TEST_CASE("Warnings keep to the API server's bounds") {
  json names = json::array();
  for (int i = 0; i < 100; ++i) {
    names.push_back(std::to_string(i) + std::string(300, 'x') + "\u00e9");
  }
  const json response =
      Ask(ReviewOf("CREATE", ObjectOf("L2Advertisement", "ad", {{"ipAddressPools", names}})),
          FactsOf({}));
  std::size_t sum = 0;
  for (const json& warning : response.at("warnings")) {
    CHECK(warning.get<std::string>().size() <= 256);
    sum += warning.get<std::string>().size();
  }
  CHECK(sum == 4096);
}

}  // namespace
}  // namespace stentor::controller
