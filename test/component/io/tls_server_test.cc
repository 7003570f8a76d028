// SPDX-License-Identifier: Apache-2.0
#include "common/io/tls_server.h"

#include <openssl/ssl.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/io/http_server.h"
#include "test/component/io/http_fixture.h"
#include "test/support/catch.h"
#include "test/support/test_certificates.h"

namespace stentor {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::Contains;
using test::Beside;
using test::Get;
using test::HelloAndEcho;
using test::MakeTls;
using test::OpenHttp;
using test::RunUntil;
using test::SocketClient;
using test::TlsSocketClient;

crypto::PemPair PairOf(const test::Identity& identity) {
  return {.certificate = identity.certificate, .key = identity.key};
}

std::shared_ptr<io::ServerTls> MakeEmpty(io::ServerTlsOptions options = {}) {
  auto tls = io::ServerTls::MakeEmpty(std::move(options));
  INFO(tls.status());
  REQUIRE(tls.ok());
  return *std::move(tls);
}

// Whom a new connection meets; empty: nobody.
std::string NameAt(io::EventLoop& loop, const io::HttpServer& server) {
  return Beside(loop, [&] {
    const TlsSocketClient client(server.port());
    return client.connected() ? client.PeerName() : "";
  });
}

// A folder with tls.crt and tls.key.
class Folder {
 public:
  Folder() { REQUIRE(mkdtemp(path_.data()) != nullptr); }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  void Write(const test::Identity& identity) {
    Replace("tls.crt", identity.certificate);
    Replace("tls.key", identity.key);
  }
  void Replace(const std::string& name, const std::string& text) {
    const std::string made = path_ + "/new";
    std::ofstream(made) << text;
    fs::rename(made, path_ + "/" + name);
  }
  // As kubelets mount a Secret: tls.crt → ..data/tls.crt, ..data → ..<version>; the latter link is
  // replaced, and what it pointed to is removed.
  void Project(const test::Identity& identity) {
    const std::string version = path_ + "/..version" + std::to_string(++version_);
    fs::create_directory(version);
    std::ofstream(version + "/tls.crt") << identity.certificate;
    std::ofstream(version + "/tls.key") << identity.key;
    fs::create_symlink(version, path_ + "/..data_tmp");
    fs::rename(path_ + "/..data_tmp", path_ + "/..data");
    if (version_ == 1) {
      fs::create_symlink("..data/tls.crt", path_ + "/tls.crt");
      fs::create_symlink("..data/tls.key", path_ + "/tls.key");
    } else {
      fs::remove_all(path_ + "/..version" + std::to_string(version_ - 1));
    }
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/stentor_certificates_XXXXXX";
  int version_ = 0;
};

}  // namespace

TEST_CASE("TLS 1.3 is served, and TLS 1.2 only where it is wanted", "[tls_server]") {
  io::EventLoop loop;
  struct Case {
    const char* name;
    io::ServerTlsOptions options;
    int client_max;
    std::string version;  // empty: refused
  };
  const auto c = GENERATE(values<Case>({
      {"defaults", {}, 0, "TLSv1.3"},
      {"an old client", {}, TLS1_2_VERSION, ""},
      {"an old client where it is wanted",
       {.min_version = io::TlsVersion::k12},
       TLS1_2_VERSION,
       "TLSv1.2"},
      {"a suite of TLS 1.2",
       {.min_version = io::TlsVersion::k12,
        .cipher_suites = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"}},
       TLS1_2_VERSION,
       "TLSv1.2"},
      {"TLS 1.1", {.min_version = io::TlsVersion::k12}, TLS1_1_VERSION, ""},
      {"groups, one of them unknown to OpenSSL", {.groups = {4588, 24}}, 0, "TLSv1.3"},
  }));
  const bool given = GENERATE(false, true);  // by Use(), as for the webhooks
  DYNAMIC_SECTION(c.name << (given ? ", certificate given" : "")) {
    auto tls = given ? MakeEmpty(c.options) : MakeTls(c.options);
    if (given) {
      REQUIRE(tls->Use(PairOf(test::TestAuthority().Issue("given", ""))).ok());
    }
    const auto server = OpenHttp(loop, {.tls = tls}, HelloAndEcho());
    const auto [version, answer] = Beside(loop, [&] {
      TlsSocketClient client(server->port(), c.client_max);
      return client.connected() ? std::pair(client.Version(), client.Exchange(Get("/hello")))
                                : std::pair<std::string, std::string>();
    });
    CHECK(version == c.version);
    CHECK(answer.ends_with("hello\n") == !c.version.empty());
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
}

TEST_CASE("TLS settings that can't be used are told with their flag", "[tls_server]") {
  struct Case {
    const char* name;
    io::ServerTlsOptions options;
    const char* word;
  };
  const auto c = GENERATE(values<Case>({
      {"suites with TLS 1.3", {.cipher_suites = {"TLS_AES_128_GCM_SHA256"}}, "--tls-min-version"},
      {"no such suite",
       {.min_version = io::TlsVersion::k12, .cipher_suites = {"ROT13"}},
       "\"ROT13\""},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto made = io::ServerTls::Make(c.options);
    REQUIRE(absl::IsInvalidArgument(made.status()));
    CHECK_THAT(std::string(made.status().message()), Contains(c.word));
    CHECK(io::ServerTls::MakeEmpty(c.options).status() == made.status());
  }
}

TEST_CASE("A folder without files is an error, or waited for", "[tls_server]") {
  const test::TestAuthority authority;
  Folder folder;
  const auto made = io::ServerTls::Make({.certificate_folder = folder.path()});
  CHECK(absl::IsNotFound(made.status()));
  CHECK_THAT(std::string(made.status().message()), Contains(folder.path() + "/tls.crt"));

  const auto tls = MakeEmpty({.certificate_folder = folder.path()});
  CHECK_FALSE(tls->HasCertificate());
  CHECK(absl::IsNotFound(tls->Refresh()));
  CHECK(absl::IsNotFound(tls->Refresh()));
  folder.Replace("tls.crt", authority.Issue("half", "").certificate);
  CHECK(absl::IsNotFound(tls->Refresh()));
  CHECK_FALSE(tls->HasCertificate());
  folder.Write(authority.Issue("whole", ""));
  CHECK(tls->Refresh().ok());
  CHECK(tls->HasCertificate());
}

TEST_CASE("TLS versions are read as Kubernetes spells them", "[tls_server]") {
  CHECK(*io::ParseTlsVersion("VersionTLS12") == io::TlsVersion::k12);
  CHECK(*io::ParseTlsVersion("VersionTLS13") == io::TlsVersion::k13);
  CHECK_FALSE(io::ParseTlsVersion("1.3").ok());
  CHECK_FALSE(io::ParseTlsVersion("").ok());
}

TEST_CASE("Only HTTP/1.1 is negotiated", "[tls_server]") {
  io::EventLoop loop;
  const auto server = OpenHttp(loop, {.tls = MakeTls()}, HelloAndEcho());
  struct Case {
    const char* name;
    std::string offered;
    bool connects;
    std::string protocol;
  };
  const auto c = GENERATE(values<Case>({
      {"nothing", "", true, ""},
      {"HTTP/1.1", "\x08http/1.1", true, "http/1.1"},
      {"HTTP/2 or HTTP/1.1, as Go's clients do", "\x02h2\x08http/1.1", true, "http/1.1"},
      {"HTTP/1.1 or HTTP/2", "\x08http/1.1\x02h2", true, "http/1.1"},
      {"HTTP/2 alone", "\x02h2", false, ""},
      {"something else", "\x06stentr", false, ""},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto [connects, protocol, answer] = Beside(loop, [&] {
      TlsSocketClient client(server->port(), 0, c.offered);
      return client.connected()
                 ? std::tuple(true, client.Protocol(), client.Exchange(Get("/hello")))
                 : std::tuple(false, std::string(), std::string());
    });
    CHECK(connects == c.connects);
    CHECK(protocol == c.protocol);
    CHECK(answer.ends_with("hello\n") == c.connects);
    CHECK(RunUntil(loop, [&] { return server->connections() == 0; }));
  }
}

TEST_CASE("Without a certificate connections are closed at once", "[tls_server]") {
  io::EventLoop loop;
  const auto tls = MakeEmpty();
  CHECK(tls->Refresh().ok());  // there is no folder to look at
  CHECK_FALSE(tls->HasCertificate());
  const auto server = OpenHttp(loop, {.tls = tls}, HelloAndEcho());
  CHECK(Beside(loop, [&] { return SocketClient(server->port()).ReadAll(); }).empty());
  CHECK(NameAt(loop, *server).empty());
  CHECK(server->connections() == 0);

  REQUIRE(tls->Use(PairOf(test::TestAuthority().Issue("first", ""))).ok());
  CHECK(tls->HasCertificate());
  CHECK(NameAt(loop, *server) == "first");
}

TEST_CASE("A pair that is no pair is refused, and the last one stays", "[tls_server]") {
  const test::TestAuthority authority;
  const crypto::PemPair good = PairOf(authority.Issue("good", ""));
  const crypto::PemPair other = PairOf(authority.Issue("other", ""));
  io::EventLoop loop;
  const auto tls = MakeEmpty();
  const auto server = OpenHttp(loop, {.tls = tls}, HelloAndEcho());
  struct Case {
    const char* name;
    crypto::PemPair pair;
  };
  const auto c = GENERATE_COPY(values<Case>({
      {"nothing", {}},
      {"no certificate", {.certificate = "", .key = good.key}},
      {"no key", {.certificate = good.certificate, .key = ""}},
      {"another's key", {.certificate = good.certificate, .key = other.key}},
      {"the other way round", {.certificate = good.key, .key = good.certificate}},
      {"half a certificate",
       {.certificate = good.certificate.substr(0, good.certificate.size() / 2), .key = good.key}},
      {"half a key",
       {.certificate = good.certificate, .key = good.key.substr(0, good.key.size() / 2)}},
      {"no PEM", {.certificate = "certificate", .key = "key"}},
      {"a chain with a broken end",
       {.certificate = good.certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n", .key = good.key}},
  }));
  const bool before = GENERATE(false, true);
  DYNAMIC_SECTION(c.name << (before ? ", before the first" : ", after a good one")) {
    if (!before) {
      REQUIRE(tls->Use(good).ok());
    }
    const absl::Status status = tls->Use(c.pair);
    CHECK(absl::IsInvalidArgument(status));
    const std::string message(status.message());
    CHECK_THAT(message, Contains("can't be used"));
    // Nothing of a key gets into a log.
    CHECK_THAT(message, !Contains("-----BEGIN") && !Contains(good.key.substr(40, 20)));
    CHECK(NameAt(loop, *server) == (before ? "" : "good"));
  }
}

TEST_CASE("A certificate is exchanged while connections are open", "[tls_server]") {
  const test::TestAuthority authority;
  io::EventLoop loop;
  const auto tls = MakeEmpty();
  REQUIRE(tls->Use(PairOf(authority.Issue("first", ""))).ok());
  const auto server = OpenHttp(loop, {.tls = tls}, HelloAndEcho());
  const std::string hello = "GET /hello HTTP/1.1\r\n\r\n";
  std::unique_ptr<TlsSocketClient> open;
  CHECK(Beside(loop, [&] {
          open = std::make_unique<TlsSocketClient>(server->port());
          return open->Ask(hello);
        }).ends_with("hello\n"));

  REQUIRE(tls->Use(PairOf(authority.Issue("second", ""))).ok());
  CHECK(NameAt(loop, *server) == "second");
  CHECK(Beside(loop, [&] { return open->Ask(hello); }).ends_with("hello\n"));
  CHECK(open->PeerName() == "first");
  CHECK(Beside(loop, [&] { return open->Exchange(Get("/hello")); }).ends_with("hello\n"));
}

TEST_CASE("A certificate that is replaced in its folder is served, and a broken one is not",
          "[tls_server]") {
  const test::TestAuthority authority;
  Folder folder;
  folder.Write(authority.Issue("first", ""));
  io::EventLoop loop;
  std::vector<std::string> troubles;
  const auto server =
      OpenHttp(loop,
               {.tls = MakeTls({.certificate_folder = folder.path()}),
                .on_certificate_trouble =
                    [&](const absl::Status& status) { troubles.emplace_back(status.message()); }},
               HelloAndEcho());
  CHECK(NameAt(loop, *server) == "first");

  folder.Write(authority.Issue("second", ""));
  CHECK(NameAt(loop, *server) == "second");
  CHECK(troubles.empty());

  folder.Replace("tls.key", "not a key");
  CHECK(NameAt(loop, *server) == "second");
  CHECK(NameAt(loop, *server) == "second");
  REQUIRE(troubles.size() == 1);
  CHECK_THAT(troubles[0], Contains(folder.path()));

  fs::remove(folder.path() + "/tls.key");
  CHECK(NameAt(loop, *server) == "second");
  CHECK(NameAt(loop, *server) == "second");
  REQUIRE(troubles.size() == 2);
  CHECK_THAT(troubles[1], Contains(folder.path() + "/tls.key"));

  folder.Replace("tls.crt", std::string(crypto::kMaxPemOctets + 1, 'x'));
  CHECK(NameAt(loop, *server) == "second");
  REQUIRE(troubles.size() == 3);

  folder.Write(authority.Issue("third", ""));
  CHECK(NameAt(loop, *server) == "third");
  CHECK(troubles.size() == 3);
}

TEST_CASE("A Secret that a kubelet replaces is served to the next connection", "[tls_server]") {
  const test::TestAuthority authority;
  Folder folder;
  folder.Project(authority.Issue("first", ""));
  io::EventLoop loop;
  std::vector<std::string> troubles;
  const auto server =
      OpenHttp(loop,
               {.tls = MakeTls({.certificate_folder = folder.path()}),
                .on_certificate_trouble =
                    [&](const absl::Status& status) { troubles.emplace_back(status.message()); }},
               HelloAndEcho());
  CHECK(NameAt(loop, *server) == "first");
  for (const std::string next : {"second", "third", "fourth"}) {
    folder.Project(authority.Issue(next, ""));
    CHECK(NameAt(loop, *server) == next);
  }
  CHECK(troubles.empty());
}

}  // namespace stentor
