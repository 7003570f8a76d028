// SPDX-License-Identifier: Apache-2.0
#include "common/crypto/x509.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/catch.h"

namespace stentor::crypto {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using namespace std::chrono_literals;

constexpr sys_seconds kNow = sys_days(2026y / std::chrono::November / 21);
const std::string kName = "hooks.metallb-system.svc";

CertificateProfile Profile(std::string name, std::vector<std::string> dns_names,
                           sys_seconds from = kNow, sys_seconds to = kNow + days(10)) {
  return {.common_name = std::move(name),
          .organization = "test",
          .dns_names = std::move(dns_names),
          .not_before = from,
          .not_after = to,
          .serial = {std::byte{0xff}, std::byte{1}}};
}

PrivateKey NewKey() {
  auto key = PrivateKey::Generate();
  REQUIRE(key.ok());
  return *key;
}

struct Authority {
  explicit Authority(const std::string& name = "ca")
      : certificate(MakeCa(Profile(name, {}, kNow, kNow + days(100)), key).value()) {}
  PrivateKey key = NewKey();
  Certificate certificate;
};

struct Server {
  explicit Server(const Authority& ca, CertificateProfile profile = Profile("server", {kName}))
      : certificate(MakeServing(profile, key, ca.certificate, ca.key).value()) {}
  PrivateKey key = NewKey();
  Certificate certificate;
};

// Made with openssl(1); the password is "test".
constexpr std::string_view kEncryptedKey = R"(-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,B3A8B947726D57F128A05B78EB641546

2x5/wBCtnV+P+wYzy7Yzn92Zmd32SaGmoA2oay/YyVbqldoY+fxvfNHFjnf4QORi
prR0SvrfxXlCdVMMvOjTKXR3yfPHaI+p1iYcNC2C+sEwUW1VPiYfQeRnsVVpj6Q0
u5ffIqrgEx4WCKr48ySU5C8aYCkldC4iR0/JKbz4mY0=
-----END EC PRIVATE KEY-----
)";
constexpr std::string_view kEncryptedPkcs8 = R"(-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhqS7FDIcKMAwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEPlAS0o8SKafSOsvB1q1ANcEgZCy
/tLByjFR6RcxaEINwaoNGLfZfcHBFT3/oYEd0DBumz1DHiIIRzWkDmgD1Nv3tfIN
ooBm5evISmR9tqasEPzNf0y+KBMGgbNudeYjKoWDy2gmXmjehXCGIAc1KkxMNMiR
aVgRY1xYQZ15ZbwEJ4NND7pTx1xW9tyY2lAxVG1Oa8+N8+eOv32f+M6ksf2PYGo=
-----END ENCRYPTED PRIVATE KEY-----
)";

}  // namespace

TEST_CASE("A CA and a server's certificate say what they were told to", "[x509]") {
  const Authority ca("our ca");
  CHECK(ca.certificate.is_ca());
  CHECK(ca.certificate.subject() == "CN=our ca,O=test");
  CHECK(ca.certificate.issuer() == ca.certificate.subject());
  CHECK(ca.certificate.dns_names().empty());
  CHECK(ca.key.IsOf(ca.certificate));

  const Server server(
      ca, Profile("server", {kName, kName + ".cluster.local"}, kNow - hours(1), kNow + days(365)));
  CHECK_FALSE(server.certificate.is_ca());
  CHECK(server.certificate.subject() == "CN=server,O=test");
  CHECK(server.certificate.issuer() == ca.certificate.subject());
  CHECK(server.certificate.dns_names() ==
        std::vector<std::string>{kName, kName + ".cluster.local"});
  CHECK(server.certificate.not_before() == kNow - hours(1));
  CHECK(server.certificate.not_after() == kNow + days(365));
  CHECK(server.key.IsOf(server.certificate));
  CHECK_FALSE(server.key.IsOf(ca.certificate));
}

TEST_CASE("Certificates and keys survive the way through PEM", "[x509]") {
  const Authority ca;
  const Server server(ca);
  const auto parsed = ParseCertificates("a note\n" + server.certificate.Pem() + server.key.Pem() +
                                        "\n\n" + ca.certificate.Pem() + "the end");
  REQUIRE(parsed.ok());
  REQUIRE(parsed->size() == 2);
  CHECK(parsed->front() == server.certificate);
  CHECK(parsed->back() == ca.certificate);
  CHECK(parsed->front().not_after() == server.certificate.not_after());
  const auto key = PrivateKey::Parse(server.key.Pem());
  REQUIRE(key.ok());
  CHECK(key->IsOf(server.certificate));
}

TEST_CASE("Times reach from 1950 to 9999", "[x509]") {
  const auto time = GENERATE(values<sys_seconds>(
      {sys_days(1950y / 1 / 1), sys_days(1970y / 1 / 1), sys_days(2049y / 12 / 31) + hours(23),
       sys_days(2050y / 1 / 1), sys_days(2262y / 12 / 31), sys_days(9999y / 12 / 31)}));
  const PrivateKey key = NewKey();
  const auto made = MakeCa(Profile("ca", {}, time, time), key);
  REQUIRE(made.ok());
  CHECK(made->not_before() == time);
  CHECK(made->not_after() == time);
}

TEST_CASE("VerifyServing takes what a TLS client takes", "[x509]") {
  const Authority ca;
  const Authority other("other");
  const Authority namesake;  // same name, another key
  const Server server(ca);
  const PrivateKey key = NewKey();
  const Certificate self_signed = MakeSelfSignedServing(Profile("self", {kName}), key).value();
  struct Case {
    const char* name;
    std::vector<Certificate> chain;
    std::vector<Certificate> roots;
    std::string dns_name;
    sys_seconds at;
    bool want;
  };
  const auto& leaf = server.certificate;
  const std::vector<Case> cases = {
      {"its CA", {leaf}, {ca.certificate}, kName, kNow, true},
      {"its CA among others",
       {leaf},
       {other.certificate, namesake.certificate, ca.certificate},
       kName,
       kNow,
       true},
      {"the CA twice", {leaf}, {ca.certificate, ca.certificate}, kName, kNow, true},
      {"itself as anchor", {self_signed}, {self_signed}, kName, kNow, true},
      {"the leaf as anchor", {leaf}, {leaf}, kName, kNow, true},
      {"first second", {leaf}, {ca.certificate}, kName, leaf.not_before(), true},
      {"last second", {leaf}, {ca.certificate}, kName, leaf.not_after() - seconds(1), true},
      {"CA sent along", {leaf, ca.certificate}, {ca.certificate}, kName, kNow, true},
      {"no chain", {}, {ca.certificate}, kName, kNow, false},
      {"no roots", {leaf}, {}, kName, kNow, false},
      {"CA sent along only", {leaf, ca.certificate}, {other.certificate}, kName, kNow, false},
      {"another CA", {leaf}, {other.certificate}, kName, kNow, false},
      {"another CA of the same name", {leaf}, {namesake.certificate}, kName, kNow, false},
      {"another DNS name", {leaf}, {ca.certificate}, "hooks.other.svc", kNow, false},
      {"the common name", {leaf}, {ca.certificate}, "server", kNow, false},
      {"too early", {leaf}, {ca.certificate}, kName, leaf.not_before() - seconds(1), false},
      {"too late", {leaf}, {ca.certificate}, kName, leaf.not_after() + seconds(2), false},
      {"the CA as server", {ca.certificate}, {ca.certificate}, kName, kNow, false},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      const absl::Status status = VerifyServing(c.chain, c.roots, c.dns_name, c.at);
      INFO(status.ToString());
      CHECK(status.ok() == c.want);
    }
  }
}

TEST_CASE("A certificate ends with its CA", "[x509]") {
  const Authority ca;  // 100 days
  const Server server(ca, Profile("server", {kName}, kNow, kNow + days(365)));
  const std::vector<Certificate> chain = {server.certificate};
  const std::vector<Certificate> roots = {ca.certificate};
  CHECK(VerifyServing(chain, roots, kName, kNow + days(99)).ok());
  CHECK_FALSE(VerifyServing(chain, roots, kName, kNow + days(101)).ok());
}

TEST_CASE("What can't be put into a certificate is refused", "[x509]") {
  const Authority ca;
  const Server server(ca);
  const PrivateKey key = NewKey();
  struct Case {
    const char* name;
    CertificateProfile profile;
  };
  const auto c = GENERATE(values<Case>({
      {"no common name", Profile("", {kName})},
      {"a long common name", Profile(std::string(65, 'a'), {kName})},
      {"no DNS name", Profile("server", {})},
      {"an empty DNS name", Profile("server", {""})},
      {"a DNS name with a comma", Profile("server", {"a,DNS:b"})},
      {"a DNS name of 254 octets", Profile("server", {std::string(254, 'a')})},
      {"it ends before it begins", Profile("server", {kName}, kNow, kNow - seconds(1))},
      {"year 1949", Profile("server", {kName}, sys_days(1949y / 12 / 31), kNow)},
      {"year 10000", Profile("server", {kName}, kNow, sys_days(10000y / 1 / 1))},
      {"a name that is not UTF-8", Profile("\xff", {kName})},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(absl::IsInvalidArgument(MakeServing(c.profile, key, ca.certificate, ca.key).status()));
  }
}

TEST_CASE("Only a CA signs, and only with its key", "[x509]") {
  const Authority ca;
  const Server server(ca);
  const auto profile = Profile("server", {kName});
  CHECK(absl::IsFailedPrecondition(
      MakeServing(profile, server.key, server.certificate, server.key).status()));
  CHECK(absl::IsFailedPrecondition(
      MakeServing(profile, server.key, ca.certificate, server.key).status()));
}

TEST_CASE("Texts that hold no certificate are refused, and none is repeated", "[x509]") {
  const Authority ca;
  const std::string good = ca.certificate.Pem();
  std::string broken = good;
  broken[good.size() / 2] = '!';
  std::string cut_off = good.substr(0, good.size() / 2);
  std::string other_der =
      "-----BEGIN CERTIFICATE-----\nc2VjcmV0IHNhdWNl\n-----END CERTIFICATE-----\n";
  std::string many;
  for (std::size_t i = 0; i <= kMaxCertificates; ++i) {
    many += good;
  }
  struct Case {
    const char* name;
    std::string text;
  };
  const std::vector<Case> cases = {
      {"nothing", ""},
      {"no PEM", "secret sauce"},
      {"a broken one", broken},
      {"one that is cut off", cut_off},
      {"PEM of something else", other_der},
      {"a good one, then a broken one", good + broken},
      {"a key", ca.key.Pem()},
      {"17 of them", many},
      {"more than 64 KiB", std::string(kMaxPemOctets + 1, ' ')},
      {"zeros", std::string(100, '\0')},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      const auto parsed = ParseCertificates(c.text);
      REQUIRE(absl::IsInvalidArgument(parsed.status()));
      CHECK(parsed.status().ToString().find("sauce") == std::string::npos);
      CHECK(parsed.status().ToString().find("c2Vj") == std::string::npos);
    }
  }
  many.resize(many.size() - good.size());
  CHECK(ParseCertificates(many)->size() == kMaxCertificates);
}

TEST_CASE("Texts that hold no usable key are refused, and none is repeated", "[x509]") {
  const PrivateKey key = NewKey();
  const std::string good = key.Pem();
  std::string broken = good;
  broken[good.size() / 2] = '!';
  struct Case {
    const char* name;
    std::string text;
  };
  const std::vector<Case> cases = {
      {"nothing", ""},
      {"no PEM", "c2VjcmV0"},
      {"a broken one", broken},
      {"one that is cut off", good.substr(0, good.size() / 2)},
      {"encrypted", std::string(kEncryptedKey)},
      {"encrypted PKCS #8", std::string(kEncryptedPkcs8)},
      {"a certificate", Authority().certificate.Pem()},
      {"more than 64 KiB", good + std::string(kMaxPemOctets, ' ')},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      const auto parsed = PrivateKey::Parse(c.text);
      REQUIRE(absl::IsInvalidArgument(parsed.status()));
      CHECK(parsed.status().ToString().find("c2Vj") == std::string::npos);
      CHECK(parsed.status().ToString().find(good.substr(30, 12)) == std::string::npos);
    }
  }
}

}  // namespace stentor::crypto
