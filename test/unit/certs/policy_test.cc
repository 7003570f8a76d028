// SPDX-License-Identifier: Apache-2.0
#include "controller/certs/policy.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/certs/fake_cluster.h"
#include "test/unit/certs/metallb_secret.h"

namespace stentor::controller {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::sys_seconds;
using What = Renewal::What;

constexpr sys_seconds kNow = kMetallbNow;

void Random(std::span<std::byte> out) {
  static unsigned char next = 0;
  for (std::byte& octet : out) {
    octet = std::byte{++next};
  }
}

WebhookSecret After(const SecretChange& change, WebhookSecret secret = {}) {
  secret.ca_crt = change.ca_crt.value_or(secret.ca_crt);
  secret.ca_key = change.ca_key.value_or(secret.ca_key);
  secret.tls_crt = change.tls_crt;
  secret.tls_key = change.tls_key;
  return secret;
}

WebhookSecret NewSecret(sys_seconds now = kNow, const WebhookSecret& before = {},
                        What what = What::kAll) {
  const auto change = Issue(what, ReadMaterial(before), {}, kService, now, Random);
  REQUIRE(change.ok());
  return After(*change, before);
}

Renewal Judge(const WebhookSecret& secret, sys_seconds now) {
  return JudgeMaterial(ReadMaterial(secret), kService, now);
}

}  // namespace

TEST_CASE("What is issued is good, and lives as long as MetalLB's", "[certs]") {
  const CertificateMaterial material = ReadMaterial(NewSecret());
  REQUIRE(material.cas.size() == 1);
  REQUIRE(material.chain.size() == 1);
  const crypto::Certificate& ca = material.cas.front();
  const crypto::Certificate& leaf = material.chain.front();
  CHECK(ca.not_before() == kNow - hours(1));
  CHECK(ca.not_after() == kNow + days(3650));
  CHECK(leaf.not_before() == kNow - hours(1));
  CHECK(leaf.not_after() == kNow + days(365));
  CHECK(leaf.dns_names() ==
        std::vector<std::string>{"metallb-webhook-service.metallb-system.svc",
                                 "metallb-webhook-service.metallb-system.svc.cluster.local"});
  CHECK(JudgeMaterial(material, kService, kNow).what == What::kNothing);
  // or MetalLB would take it for one of its own, and fail on its key
  CHECK(ca.dns_names().empty());
  CHECK(ReadMaterial(NewSecret()).cas.front().subject() != ca.subject());
}

TEST_CASE("A Secret is judged by what it holds and by the time", "[certs]") {
  const WebhookSecret good = NewSecret();
  const WebhookSecret other = NewSecret();
  struct Case {
    const char* name;
    std::function<void(WebhookSecret&)> damage;
    seconds after;
    What want;
    std::string reason;
    bool doubtful = false;
  };
  const auto none = [](WebhookSecret&) {};
  const std::vector<Case> cases = {
      {"good", none, seconds(0), What::kNothing, ""},
      {"an hour before its time", none, -hours(1), What::kNothing, ""},
      {"serving: 91 days left", none, days(365 - 91), What::kNothing, ""},
      {"serving: 90 days left", none, days(365 - 90) + seconds(2), What::kServing,
       "the serving certificate ends at 2027-11-21T00:00:00Z"},
      {"serving: ended", none, days(366), What::kServing, "tls.crt: certificate has expired"},
      {"CA: 90 days left", none, days(3650 - 90) + seconds(1), What::kAll,
       "the CA ends at 2036-11-18T00:00:00Z"},
      {"CA: ended", none, days(4000), What::kAll, "the CA ends at 2036-11-18T00:00:00Z"},
      {"before its time", none, -hours(2), What::kAll, "the CA is not valid yet", true},
      {"empty", [](WebhookSecret& s) { s = {}; }, seconds(0), What::kAll,
       "ca.crt: no certificate in PEM form"},
      {"no ca.crt", [](WebhookSecret& s) { s.ca_crt.clear(); }, seconds(0), What::kAll,
       "ca.crt: no certificate in PEM form"},
      {"no ca.key", [](WebhookSecret& s) { s.ca_key.clear(); }, seconds(0), What::kAll,
       "ca.key: no private key in PEM form, or an encrypted one"},
      {"ca.crt is garbage", [](WebhookSecret& s) { s.ca_crt = "garbage"; }, seconds(0), What::kAll,
       "ca.crt: no certificate in PEM form"},
      {"ca.crt is no CA", [](WebhookSecret& s) { s.ca_crt = s.tls_crt; }, seconds(0), What::kAll,
       "ca.crt: not a CA"},
      {"another's ca.key", [&](WebhookSecret& s) { s.ca_key = other.ca_key; }, seconds(0),
       What::kAll, "ca.key is not the key of ca.crt"},
      {"no tls.crt", [](WebhookSecret& s) { s.tls_crt.clear(); }, seconds(0), What::kServing,
       "tls.crt: no certificate in PEM form"},
      {"no tls.key", [](WebhookSecret& s) { s.tls_key.clear(); }, seconds(0), What::kServing,
       "tls.key: no private key in PEM form, or an encrypted one"},
      {"another's tls.key", [&](WebhookSecret& s) { s.tls_key = other.tls_key; }, seconds(0),
       What::kServing, "tls.key is not the key of tls.crt"},
      {"signed by another CA",
       [&](WebhookSecret& s) {
         s.tls_crt = other.tls_crt;
         s.tls_key = other.tls_key;
       },
       seconds(0), What::kServing, "tls.crt: unable to get local issuer certificate"},
      {"the CA itself as serving",
       [](WebhookSecret& s) {
         s.tls_crt = s.ca_crt;
         s.tls_key = s.ca_key;
       },
       seconds(0), What::kServing, "tls.crt: unsuitable certificate purpose"},
      {"an older CA behind", [&](WebhookSecret& s) { s.ca_crt += other.ca_crt; }, seconds(0),
       What::kNothing, ""},
      {"an older CA first, with its key",
       [&](WebhookSecret& s) {
         s.ca_crt = other.ca_crt;
         s.ca_key = other.ca_key;
       },
       seconds(0), What::kServing, "tls.crt: unable to get local issuer certificate"},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      WebhookSecret secret = good;
      c.damage(secret);
      const Renewal renewal = Judge(secret, kNow + c.after);
      CHECK(renewal.what == c.want);
      CHECK(renewal.reason == c.reason);
      CHECK(renewal.clock_doubtful == c.doubtful);
      if (renewal.what != What::kNothing) {
        const WebhookSecret repaired = NewSecret(kNow + c.after, secret, renewal.what);
        CHECK(Judge(repaired, kNow + c.after).what == What::kNothing);
      }
    }
  }
}

TEST_CASE("Another Service name makes a new serving certificate", "[certs]") {
  const CertificateMaterial material = ReadMaterial(NewSecret());
  const WebhookService service{.name = "hooks", .name_space = "lb"};
  const Renewal renewal = JudgeMaterial(material, service, kNow);
  CHECK(renewal.what == What::kServing);
  CHECK(renewal.reason == "tls.crt: hostname mismatch");
}

TEST_CASE("What MetalLB left is used, and signed on with", "[certs]") {
  const WebhookSecret metallbs = MetallbSecret();
  CHECK(Judge(metallbs, kNow).what == What::kNothing);
  const sys_seconds later = kNow + days(300);
  REQUIRE(Judge(metallbs, later).what == What::kServing);
  const auto change = Issue(What::kServing, ReadMaterial(metallbs), {}, kService, later, Random);
  REQUIRE(change.ok());
  CHECK_FALSE(change->ca_crt.has_value());
  CHECK_FALSE(change->ca_key.has_value());  // PKCS #1, which MetalLB needs
  CHECK(Judge(After(*change, metallbs), later).what == What::kNothing);
}

TEST_CASE("A serving certificate does not outlive its CA", "[certs]") {
  const WebhookSecret first = NewSecret();
  const sys_seconds late = kNow + days(3650 - 100);
  const WebhookSecret second = NewSecret(late, first, What::kServing);
  const CertificateMaterial material = ReadMaterial(second);
  CHECK(material.chain.front().not_after() == material.cas.front().not_after());
  CHECK(Judge(second, late).what == What::kNothing);
  CHECK(Judge(second, late + days(11)).what == What::kAll);
}

TEST_CASE("A CA that was replaced is trusted as long as it is needed", "[certs]") {
  const WebhookSecret first = NewSecret();
  const auto count = [](const WebhookSecret& secret, sys_seconds now) {
    return TrustedCas(ReadMaterial(secret).cas, now).size();
  };
  SECTION("renewed in time: to its end") {
    const sys_seconds end = kNow + days(3650);
    const sys_seconds renewed = end - days(90) + seconds(1);
    const WebhookSecret second = NewSecret(renewed, first);
    CHECK(ReadMaterial(second).cas.back() == ReadMaterial(first).cas.front());
    CHECK(count(second, renewed) == 2);
    CHECK(count(second, end) == 2);
    CHECK(count(second, end + seconds(1)) == 1);
  }
  SECTION("replaced before its time: an hour") {
    WebhookSecret damaged = first;
    damaged.ca_key.clear();
    const sys_seconds replaced = kNow + days(30);
    const WebhookSecret second = NewSecret(replaced, damaged);
    CHECK(count(second, replaced + hours(1) - seconds(1)) == 2);
    CHECK(count(second, replaced + hours(1)) == 1);
  }
  SECTION("carried over from a Secret that is gone") {
    const std::vector<crypto::Certificate> carried = ReadMaterial(first).cas;
    const auto change = Issue(What::kAll, {}, carried, kService, kNow, Random);
    REQUIRE(change.ok());
    CHECK(count(After(*change), kNow) == 2);
    CHECK(count(After(*change), kNow + hours(1)) == 1);
  }
  SECTION("replaced again and again: four at most") {
    WebhookSecret secret = first;
    for (int i = 0; i < 6; ++i) {
      secret.ca_key.clear();
      secret = NewSecret(kNow + seconds(i), secret);
    }
    CHECK(ReadMaterial(secret).cas.size() == 4);
  }
  SECTION("the same twice, and what is no CA") {
    WebhookSecret secret = first;
    secret.ca_crt += first.ca_crt + first.tls_crt;
    CHECK(ReadMaterial(secret).cas.size() == 3);
    CHECK(count(secret, kNow) == 1);
  }
}

TEST_CASE("A bundle holds certificates only", "[certs]") {
  WebhookSecret secret = NewSecret();
  secret.ca_crt = "note\n" + secret.ca_key + secret.ca_crt + secret.tls_key;
  const CertificateMaterial material = ReadMaterial(secret);
  REQUIRE(material.cas.size() == 1);
  const std::string bundle = BundleText(material.cas);
  CHECK(bundle.find("PRIVATE") == std::string::npos);
  CHECK(bundle == material.cas.front().Pem());
}

TEST_CASE("What is wrong with a Secret is said without its keys", "[certs]") {
  const WebhookSecret good = NewSecret();
  for (std::size_t i = 40; i + 20 < good.ca_key.size(); i += 17) {
    WebhookSecret secret = good;
    secret.ca_key.erase(i, 7);
    const std::string reason = Judge(secret, kNow).reason;
    CHECK_FALSE(reason.empty());
    for (std::size_t at = 28; at + 6 < good.ca_key.size() - 26; at += 6) {
      CHECK(reason.find(good.ca_key.substr(at, 6)) == std::string::npos);
    }
  }
}

TEST_CASE("A certificate from elsewhere is checked for all but its CA", "[certs]") {
  const WebhookSecret ours = NewSecret();
  const WebhookSecret other = NewSecret();
  struct Case {
    const char* name;
    crypto::PemPair pair;
    seconds after;
    std::string want;
  };
  const std::vector<Case> cases = {
      {"good", {ours.tls_crt, ours.tls_key}, seconds(0), ""},
      {"with its CA behind", {ours.tls_crt + ours.ca_crt, ours.tls_key}, seconds(0), ""},
      {"ended", {ours.tls_crt, ours.tls_key}, days(366), "tls.crt: certificate has expired"},
      {"not begun",
       {ours.tls_crt, ours.tls_key},
       -days(1),
       "tls.crt: certificate is not yet valid"},
      {"another's key",
       {ours.tls_crt, other.tls_key},
       seconds(0),
       "tls.key is not the key of tls.crt"},
      {"nothing", {}, seconds(0), "tls.crt: no certificate in PEM form"},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      CHECK(CheckExternal(c.pair, kService, kNow + c.after).message() == c.want);
    }
  }
  CHECK(CheckExternal({ours.tls_crt, ours.tls_key}, {.name = "x", .name_space = "y"}, kNow)
            .message() == "tls.crt: hostname mismatch");
}

TEST_CASE("A Service whose name can't be certified is an error", "[certs]") {
  const WebhookService service{.name = "Not A Name", .name_space = "x"};
  CHECK(absl::IsInvalidArgument(Issue(What::kAll, {}, {}, service, kNow, Random).status()));
}

}  // namespace stentor::controller
