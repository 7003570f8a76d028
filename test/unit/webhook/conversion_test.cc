// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/conversion.h"

#include "test/unit/webhook/objects.h"

namespace stentor::controller {
namespace {

using namespace testing;
using Catch::Matchers::Contains;

constexpr const char* kOld = "metallb.io/v1beta1";
constexpr const char* kNew = "metallb.io/v1beta2";

json Peer(std::string_view version, json more = json::object()) {
  json peer = PeerObject("tor", "192.0.2.1", std::move(more));
  peer["apiVersion"] = std::string(version);
  peer["metadata"]["uid"] = "u";
  peer["metadata"]["labels"] = {{"a", "b"}};
  return peer;
}

json Convert(json object, std::string_view version) {
  auto converted = ConvertBgpPeer(std::move(object), version);
  INFO(converted.status());
  REQUIRE(converted.ok());
  return *std::move(converted);
}

// What each version has, in full; both directions must give it back.
const json kShared = {
    {"sourceAddress", "192.0.2.2"},
    {"peerPort", 1790},
    {"holdTime", "90s"},
    {"keepaliveTime", "30s"},
    {"routerID", "192.0.2.3"},
    {"nodeSelectors",
     {{{"matchLabels", {{"rack", "1"}}},
       {"matchExpressions", {{{"key", "k"}, {"operator", "In"}, {"values", {"a", "b"}}}}}}}},
    {"password", "secret"},
    {"bfdProfile", "fast"},
    {"ebgpMultiHop", true}};

json Full() {
  json more = kShared;
  more.update({{"localASN", 64999},
               {"connectTime", "10s"},
               {"passwordSecret", {{"name", "s"}, {"namespace", "n"}}},
               {"enableGracefulRestart", true},
               {"vrf", "red"},
               {"disableMP", true},
               {"dualStackAddressFamily", true}});
  return more;
}

TEST_CASE("A BGPPeer goes to the other version and back, and is the same") {
  struct Case {
    std::string name;
    json object;
    const char* there;
    const char* back;
  };
  json annotated = Peer(kNew, Full());
  annotated["metadata"]["annotations"] = {{"note", "mine"}};
  annotated["status"] = json::object();
  const auto test = GENERATE_COPY(
      values<Case>({{"least, old", Peer(kOld), kNew, kOld},
                    {"full, old", Peer(kOld, kShared), kNew, kOld},
                    {"least, new", Peer(kNew), kOld, kNew},
                    {"full, new", Peer(kNew, Full()), kOld, kNew},
                    {"dynamic ASN and interface",
                     Peer(kNew, {{"dynamicASN", "external"}, {"interface", "eth0"}}), kOld, kNew},
                    {"annotated", annotated, kOld, kNew},
                    {"same version, old", Peer(kOld, kShared), kOld, kOld},
                    {"same version, new", Peer(kNew, Full()), kNew, kNew}}));
  DYNAMIC_SECTION(test.name) {
    const json there = Convert(test.object, test.there);
    CHECK(there.at("apiVersion") == test.there);
    CHECK(there.at("metadata").at("uid") == "u");
    CHECK(Convert(there, test.back) == test.object);
  }
}

TEST_CASE("The older version has only its own fields") {
  const json old = Convert(Peer(kNew, Full()), kOld);
  CHECK(old.at("spec") == Peer(kOld, kShared).at("spec"));
  CHECK_THAT(old.at("metadata").at("annotations").at(kNewFieldsAnnotation).get<std::string>(),
             Contains("\"vrf\":\"red\""));
  // Defaults are not worth an annotation, which every object would then have.
  const json plain =
      Convert(Peer(kNew, {{"disableMP", false}, {"dualStackAddressFamily", false}}), kOld);
  CHECK(plain == Peer(kOld));
}

TEST_CASE("A client of the older version changes what it knows, and keeps the rest") {
  json old = Convert(Peer(kNew, Full()), kOld);
  old["spec"]["peerAddress"] = "192.0.2.200";
  json expected = Peer(kNew, Full());
  expected["spec"]["peerAddress"] = "192.0.2.200";
  CHECK(Convert(old, kNew) == expected);
}

TEST_CASE("peerPort 0, which only the older version allows, is left out") {
  CHECK(Convert(Peer(kOld, {{"peerPort", 0}}), kNew) == Peer(kNew));
}

TEST_CASE("What an annotation can't mean is passed over") {
  const json value = GENERATE(json("{"), json("[]"), json(7), json("{\"myASN\": 1}"),
                              json(std::string(70000, ' ') + "{\"vrf\":\"red\"}"));
  json old = Peer(kOld);
  old["metadata"]["annotations"] = {{kNewFieldsAnnotation, value}};
  CHECK(Convert(old, kNew) == Peer(kNew));
}

TEST_CASE("A peer without spec or metadata is converted as it is") {
  const json bare = {{"apiVersion", kOld}, {"kind", "BGPPeer"}, {"spec", 7}, {"metadata", "x"}};
  json expected = bare;
  expected["apiVersion"] = kNew;
  CHECK(Convert(bare, kNew) == expected);
  expected["apiVersion"] = kOld;
  CHECK(Convert(Convert(bare, kNew), kOld) == expected);
}

json Review(json objects, std::string_view wanted = kNew) {
  return {{"apiVersion", "apiextensions.k8s.io/v1"},
          {"kind", "ConversionReview"},
          {"request",
           {{"uid", "u-1"},
            {"desiredAPIVersion", std::string(wanted)},
            {"objects", std::move(objects)}}}};
}

json Post(const json& review, int status = 200) {
  const HttpAnswer answer =
      AnswerWebhook("/convert?timeout=30s", kube::DumpJson(review), Facts{}, kMaxBody);
  INFO(answer.body);
  REQUIRE(answer.status == status);
  return status == 200 ? json::parse(answer.body) : json(answer.body);
}

TEST_CASE("A ConversionReview is answered in its own version") {
  const std::string version = GENERATE("apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1");
  json review = Review({Peer(kOld), Peer(kNew, Full())});
  review["apiVersion"] = version;
  const json answer = Post(review);
  CHECK(answer.at("apiVersion") == version);
  CHECK(answer.at("kind") == "ConversionReview");
  CHECK(answer.at("response").at("uid") == "u-1");
  CHECK(answer.at("response").at("result").at("status") == "Success");
  CHECK(answer.at("response").at("convertedObjects") == json({Peer(kNew), Peer(kNew, Full())}));
}

TEST_CASE("A list without objects is converted") {
  CHECK(Post(Review(json::array())).at("response").at("convertedObjects") == json::array());
}

TEST_CASE("Each object that can't be converted is named") {
  json strange = Peer("metallb.io/v1");
  strange["metadata"]["name"] = "strange";
  const json answer =
      Post(Review({Peer(kOld), strange, PoolObject("web", {"192.0.2.0/24"}), 7})).at("response");
  CHECK(answer.at("result").at("status") == "Failed");
  const std::string message = answer.at("result").at("message");
  CHECK_THAT(message, Contains("metallb-system/strange: BGPPeer has no version metallb.io/v1"));
  CHECK_THAT(message, Contains("metallb-system/web: only BGPPeer is converted, not IPAddressPool"));
  CHECK_THAT(message, Contains("without a name: "));
  CHECK(answer.at("convertedObjects").empty());

  const std::string wanted =
      Post(Review({Peer(kOld)}, "metallb.io/v2")).at("response").at("result").at("message");
  CHECK_THAT(wanted, Contains("BGPPeer has no version metallb.io/v2"));
  const std::string many =
      Post(Review(json(std::vector<json>(100, strange)))).at("response").at("result").at("message");
  CHECK_THAT(many, Contains("; and 90 more"));
}

TEST_CASE("What is no ConversionReview is answered 400") {
  const auto [field, value, text] = GENERATE(table<std::string, json, std::string>(
      {{"/kind", "AdmissionReview", "expected kind ConversionReview"},
       {"/apiVersion", "apiextensions.k8s.io/v2", "expected kind ConversionReview"},
       {"/request", nullptr, "request.uid"},
       {"/request", 7, "request: expected an object"},
       {"/request/uid", "", "request.uid"},
       {"/request/objects", nullptr, "request.objects: expected a list"}}));
  DYNAMIC_SECTION(field << " " << value) {
    json review = Review({Peer(kOld)});
    review[json::json_pointer(field)] = value;
    CHECK_THAT(Post(review, 400).get<std::string>(), Contains(text));
  }
}

}  // namespace
}  // namespace stentor::controller
