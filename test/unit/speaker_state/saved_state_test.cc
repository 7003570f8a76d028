// SPDX-License-Identifier: Apache-2.0
#include "speaker/state/saved_state.h"

#include <string>

#include "test/support/catch.h"
#include "test/unit/speaker_state/examples.h"

namespace stentor::speaker {
namespace {

std::string Replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), with);
}

// With a header that fits.
absl::StatusOr<SavedState> DecodeLines(const std::string& lines) {
  return DecodeBody(
      "{\"cluster\":\"c0ffee\",\"node\":\"n1\",\"saved\":\"2026-11-21T14:00:00Z\"}\n" + lines,
      kIdentity);
}

}  // namespace

TEST_CASE("What is saved is read back", "[state]") {
  const SavedState state = ExampleState();
  const auto again = Decode(Encode(state, kIdentity), kIdentity);
  REQUIRE(again.ok());
  CHECK(again->saved == state.saved);
  CHECK(again->services == state.services);
  CHECK(again->slices == state.slices);
  CHECK(again->nodes == state.nodes);
  CHECK(again->pods == state.pods);
  CHECK(again->pools == state.pools);
  CHECK(again->advertisements == state.advertisements);
  CHECK(again->address_pools == state.address_pools);
  CHECK(again->config_map == state.config_map);
  CHECK(*again == state);
}

TEST_CASE("An empty state is a state", "[state]") {
  SavedState state;
  state.saved = kSaved;
  const auto again = Decode(Encode(state, kIdentity), kIdentity);
  REQUIRE(again.ok());
  CHECK(*again == state);
}

TEST_CASE("A legacy ConfigMap without an entry", "[state]") {
  SavedState state;
  state.saved = kSaved;
  state.config_map = {.key = {"ns", "config"}, .text = std::nullopt};
  CHECK(*Decode(Encode(state, kIdentity), kIdentity) == state);
}

TEST_CASE("What nobody uses is not saved", "[state]") {
  SavedState state;
  state.saved = kSaved;
  model::Service service = ExampleService();
  const model::Service trimmed = service;
  service.resource_version = "17";
  service.annotations["kubectl.kubernetes.io/last-applied-configuration"] = "{}";
  service.load_balancer_ip = "192.0.2.1";
  service.cluster_ips = {"10.0.0.1"};
  service.ip_families = {net::IpFamily::kIpv4};
  service.ip_family_policy = "SingleStack";
  service.selector = {{"app", "web"}};
  service.ports = {{"TCP", 80}};
  service.created = kSaved;
  service.metadata_json = "{}";
  state.services = {service};
  model::EndpointSlice slice = ExampleSlice();
  slice.resource_version = "18";  // else what the API shows could seem older
  state.slices = {slice};
  const auto again = Decode(Encode(state, kIdentity), kIdentity);
  REQUIRE(again.ok());
  CHECK(again->services == std::vector{trimmed});
  CHECK(again->slices == std::vector{ExampleSlice()});
  CHECK(Trimmed(service) == trimmed);
  CHECK(Trimmed(trimmed) == trimmed);
}

TEST_CASE("Octets that are no UTF-8 don't spoil the rest", "[state]") {
  SavedState state;
  state.saved = kSaved;
  state.nodes = {{.name = "n1", .labels = {{"a", "\xff\xfe"}}}, {.name = "n2"}};
  const auto again = Decode(Encode(state, kIdentity), kIdentity);
  REQUIRE(again.ok());
  CHECK(again->nodes[0].labels.at("a") == "\xef\xbf\xbd\xef\xbf\xbd");
  CHECK(again->nodes[1] == state.nodes[1]);
}

TEST_CASE("The form of the file", "[state]") {
  SavedState state;
  state.saved = kSaved;
  state.nodes = {{.name = "n1"}};
  // Its checksum by: tail -n +2 FILE | sha256sum
  CHECK(Encode(state, kIdentity) ==
        "stentor-speaker-state 2 0000000147 "
        "3c1c7e5b2b56027b56de2de1b34fc1b5bad2a8eb1d7b8ae0d706b7e0064adfe6\n"
        "{\"cluster\":\"c0ffee\",\"node\":\"n1\",\"saved\":\"2027-01-15T08:00:00Z\"}\n"
        "{\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\"},\"status\":{\"conditions\":[],"
        "\"addresses\":[]}}\n");
}

TEST_CASE("A state that is not to be used says why", "[state]") {
  using Code = absl::StatusCode;
  struct Case {
    const char* name;
    std::function<std::string(std::string)> spoil;
    Code code;
    const char* message;
  };
  const auto c = GENERATE(values<Case>({
      {"empty", [](const std::string&) { return ""; }, Code::kDataLoss, "the saved state is empty"},
      {"something else", [](const std::string&) { return "{\"a\": 1}"; }, Code::kDataLoss,
       "this is no saved state"},
      {"zeros, as after a crash", [](std::string t) { return std::string(t.size(), '\0'); },
       Code::kDataLoss, "this is no saved state"},
      {"of the next version", [](std::string t) { return Replaced(t, "state 2 ", "state 3 "); },
       Code::kFailedPrecondition, "the saved state is of version \"3\", not \"2\""},
      {"a version that begins like ours",
       [](std::string t) { return Replaced(t, "state 2 ", "state 20 "); },
       Code::kFailedPrecondition, "the saved state is of version \"20\", not \"2\""},
      {"cut off in the first line", [](std::string t) { return t.substr(0, 60); }, Code::kDataLoss,
       "the saved state is cut off in its first line"},
      {"cut off", [](std::string t) { return t.substr(0, t.size() - 1); }, Code::kDataLoss,
       "the saved state should have "},
      {"with something added", [](std::string t) { return t + "\n"; }, Code::kDataLoss,
       "the saved state should have "},
      {"the length is no number", [](std::string t) { return t.replace(24, 1, "x"); },
       Code::kDataLoss, "the first line of the saved state is damaged"},
      {"the first line goes on", [](std::string t) { return Replaced(t, "\n", " "); },
       Code::kDataLoss, "the first line of the saved state is damaged"},
      {"one octet of it differs",
       [](std::string t) { return Replaced(t, "192.0.2.10", "192.0.2.11"); }, Code::kDataLoss,
       "the saved state is damaged: its checksum differs"},
      {"the checksum differs", [](std::string t) { return t.replace(40, 1, "g"); }, Code::kDataLoss,
       "the saved state is damaged: its checksum differs"},
      {"too long", [](std::string t) { return t.append(kMaxStateOctets, ' '); },
       Code::kResourceExhausted, "the saved state is longer than "},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto state = Decode(c.spoil(Encode(ExampleState(), kIdentity)), kIdentity);
    REQUIRE_FALSE(state.ok());
    CHECK(state.status().code() == c.code);
    CHECK_THAT(std::string(state.status().message()), Catch::Matchers::StartsWith(c.message));
  }
}

TEST_CASE("No octet of the file can differ", "[state]") {
  SavedState state;
  state.saved = kSaved;
  state.nodes = {{.name = "n1"}};
  const std::string text = Encode(state, kIdentity);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x01);
    CHECK_FALSE(Decode(damaged, kIdentity).ok());
  }
  for (std::size_t length = 0; length < text.size(); ++length) {
    CHECK_FALSE(Decode(text.substr(0, length), kIdentity).ok());
  }
}

TEST_CASE("A state of others", "[state]") {
  const std::string text = Encode(ExampleState(), kIdentity);
  const auto cluster = Decode(text, {.cluster = "bad", .node = "n1"});
  CHECK(cluster.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(cluster.status().message()) ==
        "the saved state is of another cluster: \"c0ffee\", not \"bad\"");
  const auto node = Decode(text, {.cluster = "c0ffee", .node = "n2"});
  CHECK(node.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(node.status().message()) ==
        "the saved state is of another node: \"n1\", not \"n2\"");
  const std::string long_name(1000, 'x');
  const auto cut = Decode(Encode(ExampleState(), {.cluster = long_name, .node = "n1"}), kIdentity);
  CHECK(cut.status().message().size() < 200);
}

TEST_CASE("Lines that can't be read refuse the whole state", "[state]") {
  struct Case {
    const char* name;
    const char* line;
    const char* message;
  };
  const auto c = GENERATE(values<Case>({
      {"no JSON", "{", "not a JSON text"},
      {"an empty line", "", "not a JSON text"},
      {"no object", "[]", "unknown kind \"\""},
      {"another kind", R"({"kind":"Secret"})", "unknown kind \"Secret\""},
      {"without a name", R"({"kind":"Service"})", "Service: metadata.name: expected a name"},
      {"a wrong type", R"({"kind":"Pod","metadata":{"name":7}})",
       "Pod: metadata.name: expected a string"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto state = DecodeLines("{\"kind\":\"Node\",\"metadata\":{\"name\":\"n1\"}}\n" +
                                   std::string(c.line) + "\n");
    REQUIRE_FALSE(state.ok());
    CHECK(state.status().code() == absl::StatusCode::kDataLoss);
    CHECK(std::string(state.status().message()) ==
          "line 4 of the saved state can't be read: " + std::string(c.message));
  }
}

TEST_CASE("The line that says whose the state is", "[state]") {
  CHECK(DecodeLines("").ok());
  CHECK_FALSE(DecodeBody("", kIdentity).ok());
  CHECK_FALSE(DecodeBody("[]\n", kIdentity).ok());
  CHECK_FALSE(DecodeBody("{\"cluster\":\"c0ffee\",\"node\":\"n1\"}\n", kIdentity).ok());
  CHECK_FALSE(
      DecodeBody("{\"cluster\":\"c0ffee\",\"node\":\"n1\",\"saved\":\"now\"}\n", kIdentity).ok());
}

}  // namespace stentor::speaker
