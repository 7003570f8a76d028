// SPDX-License-Identifier: Apache-2.0
#include "common/config/kubeconfig.h"

#include <string>
#include <vector>

#include "common/config/yaml.h"
#include "test/support/catch.h"

namespace stentor::config {
namespace {

using Files = std::vector<KubeconfigFile>;

const char* const kTwoContexts = R"(apiVersion: v1
kind: Config
current-context: lab
clusters:
- name: c1
  cluster: {server: "https://192.0.2.1:6443", certificate-authority: pki/ca.crt}
- name: c2
  cluster: {server: "https://192.0.2.2:6443", insecure-skip-tls-verify: true}
contexts:
- name: other
  context: {cluster: c2, user: u2}
- name: lab
  context: {cluster: c1, user: u1, namespace: metallb-system}
users:
- name: u1
  user:
    client-certificate-data: Y2VydA==
    client-key: /abs/key.pem
- name: u2
  user: {token: abc}
)";

// A kubeconfig whose one user is `user`, flow style.
std::string WithUser(const std::string& user) {
  return "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
         "clusters: [{name: c, cluster: {server: 'https://192.0.2.1'}}]\n"
         "users: [{name: u, user: " +
         user + "}]\n";
}

}  // namespace

TEST_CASE("The current context is read, paths relative to the file", "[kubeconfig]") {
  const auto config = ParseKubeconfig(Files{{"/home/x/.kube/config", kTwoContexts}});
  INFO(config.status());
  REQUIRE(config.ok());
  CHECK(config->server == "https://192.0.2.1:6443");
  CHECK(config->certificate_authority == PemSource{"/home/x/.kube/pki/ca.crt", ""});
  CHECK(config->client_certificate == PemSource{"", "cert"});
  CHECK(config->client_key == PemSource{"/abs/key.pem", ""});
  CHECK(config->name_space == "metallb-system");
  CHECK(config->token.empty());
  CHECK_FALSE(config->insecure_skip_tls_verify);
}

TEST_CASE("Of several files the first wins, entry by entry", "[kubeconfig]") {
  const auto config = ParseKubeconfig(
      Files{{"/a/1", "current-context: other\nusers:\n- {name: u2, user: {tokenFile: t}}\n"},
            {"/b/2", kTwoContexts}});
  REQUIRE(config.ok());
  CHECK(config->server == "https://192.0.2.2:6443");
  CHECK(config->insecure_skip_tls_verify);
  CHECK(config->token_file == "/a/t");
  CHECK(config->token.empty());
  CHECK(config->name_space == "default");
}

TEST_CASE("Another context than the current one is taken where it is named", "[kubeconfig]") {
  const Files files{{"/b/2", kTwoContexts}};
  const auto config = ParseKubeconfig(files, "other");
  REQUIRE(config.ok());
  CHECK(config->server == "https://192.0.2.2:6443");
  CHECK(std::string(ParseKubeconfig(files, "third").status().message()) ==
        "/b/2: there is no context \"third\" in the kubeconfig");
}

TEST_CASE("What is wrong is said in one line", "[kubeconfig]") {
  struct Case {
    const char* name;
    std::string text;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"empty", "", "/f: the kubeconfig has no current-context"},
      {"a list", "[]", "/f: not a kubeconfig"},
      {"unknown context", "current-context: x", "/f: there is no context \"x\" in the kubeconfig"},
      {"unknown cluster", "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]",
       "/f: there is no cluster \"c\" in the kubeconfig"},
      {"plugin", WithUser("{exec: {command: aws}}"),
       "/f: user \"u\" uses exec, which is not supported: give a client certificate or a token"},
      {"certificate without key", WithUser("{client-certificate: c.pem}"),
       "/f: user \"u\": client-certificate and client-key belong together"},
      {"no base64", WithUser("{client-certificate-data: '***'}"),
       "/f: user \"u\": client-certificate-data is not base64"},
      {"token a number", WithUser("{token: 5}"), "/f: user \"u\": token: expected a string"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto config = ParseKubeconfig(Files{{"/f", c.text}});
    CHECK(absl::IsInvalidArgument(config.status()));
    CHECK(std::string(config.status().message()) == c.want);
  }
}

TEST_CASE("YAML scalars have the types of the core schema", "[yaml]") {
  const auto parsed = ParseYaml(
      "{a: 1, b: '1', c: true, d: 'true', e: ~, f: , g: -2.5, h: 1.2.3, i: x, j: 0x, k: !!str 7}");
  INFO(parsed.status());
  REQUIRE(parsed.ok());
  CHECK(*parsed == nlohmann::json::parse(R"({"a":1,"b":"1","c":true,"d":"true","e":null,"f":null,
    "g":-2.5,"h":"1.2.3","i":"x","j":"0x","k":"7"})"));
}

TEST_CASE("YAML that is broken or grows without bound is refused", "[yaml]") {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string previous = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) {
      bomb += (j == 0 ? "" : ",") + previous;
    }
    bomb += "]\n";
  }
  struct Case {
    const char* name;
    std::string text;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"unclosed", "{a: [1"},
      {"bad indentation", "a: b\n c: d\n"},
      {"repeated key", "a: 1\na: 2\n"},
      {"two documents", "a: 1\n---\nb: 2\n"},
      {"unknown alias", "a: *b\n"},
      {"alias of itself", "a: &a [*a]\n"},
      {"alias bomb", bomb},
      {"deep flow", std::string(100000, '[')},
      {"deep block",
       [] {
         std::string t;
         for (int i = 0; i < 5000; ++i) t += "- ";
         return t;
       }()},
      {"large", std::string((1U << 20U) + 1, 'a')},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(absl::IsInvalidArgument(ParseYaml(c.text).status())); }
}

}  // namespace stentor::config
