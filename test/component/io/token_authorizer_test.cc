// SPDX-License-Identifier: Apache-2.0
#include "common/io/token_authorizer.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "test/component/io/fixture.h"
#include "test/support/catch.h"

namespace stentor {
namespace {

using namespace std::chrono_literals;
using io::Access;
using nlohmann::json;

constexpr const char* kTokenReviews = "/apis/authentication.k8s.io/v1/tokenreviews";
constexpr const char* kAccessReviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

// An API server that knows the token "good" (may read), "weak" (may not), and reviews nothing else.
class ReviewingTransport final : public kube::KubeTransport {
 public:
  struct Call final : kube::KubeCall {
    explicit Call(io::EventLoop& loop) : timer(loop) {}
    io::Timer timer;
  };

  explicit ReviewingTransport(io::EventLoop& loop) : loop_(loop) {}

  std::unique_ptr<kube::KubeCall> Send(kube::Request request,
                                       kube::ResponseHandler handler) override {
    auto call = std::make_unique<Call>(loop_);
    if (silent) {
      requests.push_back(std::move(request));
      return call;
    }
    call->timer.ArmAfter(
        0ns, [handler = std::move(handler), answer = Answer(request)] { handler(answer); });
    requests.push_back(std::move(request));
    return call;
  }
  std::unique_ptr<kube::KubeCall> Watch(std::string, kube::WatchEvents) override { return nullptr; }

  std::vector<kube::Request> requests;
  std::optional<absl::StatusOr<kube::Response>> instead;  // of any answer
  std::string instead_at;                                 // only for this path
  bool silent = false;

 private:
  [[nodiscard]] absl::StatusOr<kube::Response> Answer(const kube::Request& request) const {
    if (instead && (instead_at.empty() || instead_at == request.path)) {
      return *instead;
    }
    const json body = json::parse(request.body);
    json status;
    if (request.path == kTokenReviews) {
      const std::string token = body["spec"]["token"];
      status["authenticated"] = token == "good" || token == "weak";
      if (status["authenticated"]) {
        status["user"] = {{"username", token},
                          {"uid", "u-1"},
                          {"groups", {"system:authenticated"}},
                          {"extra", {{"pod", {"p"}}}}};
      }
    } else {
      status["allowed"] = body["spec"]["user"] == "good";
    }
    return kube::Response{.code = 201, .body = json{{"status", status}}.dump()};
  }

  io::EventLoop& loop_;
};

struct Fixture {
  explicit Fixture(io::TokenAuthorizerOptions options = {}) {
    auto owned = std::make_unique<ReviewingTransport>(loop);
    api = owned.get();
    client = std::make_unique<io::KubeClient>(loop, std::move(owned), "https://192.0.2.1:6443",
                                              [] { return 0.5; });
    authorizer = std::make_unique<io::TokenAuthorizer>(loop, *client, std::move(options));
  }

  Access Decide(const std::string& token) {
    std::optional<Access> got;
    authorizer->Decide(token, [&got](Access access) { got = access; });
    REQUIRE(test::RunUntil(loop, [&got] { return got.has_value(); }));
    return *got;
  }

  io::EventLoop loop;
  ReviewingTransport* api = nullptr;
  std::unique_ptr<io::KubeClient> client;
  std::unique_ptr<io::TokenAuthorizer> authorizer;
};

}  // namespace

TEST_CASE("A token is reviewed, then its account's access", "[authorizer]") {
  Fixture f;
  CHECK(f.Decide("good") == Access::kAllowed);
  REQUIRE(f.api->requests.size() == 2);
  CHECK(f.api->requests[0].method == "POST");
  CHECK(f.api->requests[0].path == kTokenReviews);
  CHECK(json::parse(f.api->requests[0].body)["spec"] == json{{"token", "good"}});
  CHECK(f.api->requests[1].method == "POST");
  CHECK(f.api->requests[1].path == kAccessReviews);
  CHECK(json::parse(f.api->requests[1].body)["spec"] ==
        json{{"nonResourceAttributes", {{"path", "/metrics"}, {"verb", "get"}}},
             {"user", "good"},
             {"uid", "u-1"},
             {"groups", {"system:authenticated"}},
             {"extra", {{"pod", {"p"}}}}});
}

TEST_CASE("Who may not is told so", "[authorizer]") {
  Fixture f;
  CHECK(f.Decide("weak") == Access::kDenied);
  CHECK(f.Decide("stranger") == Access::kUnauthenticated);
  CHECK(f.Decide("\xff\xfe not UTF-8") == Access::kUnauthenticated);
}

TEST_CASE("What can't be asked, or is not understood, is not allowed", "[authorizer]") {
  const std::string at = GENERATE(kTokenReviews, kAccessReviews);
  const auto c = GENERATE(values<absl::StatusOr<kube::Response>>({
      absl::UnavailableError("no route"),
      kube::Response{.code = 403, .body = "{}"},
      kube::Response{.code = 500, .body = ""},
      kube::Response{.code = 201, .body = "{"},
      kube::Response{.code = 201, .body = "[]"},
      kube::Response{.code = 201, .body = R"({"status": 1})"},
  }));
  Fixture f;
  f.api->instead = c;
  f.api->instead_at = at;
  CHECK(f.Decide("good") == Access::kUnavailable);
  // It is asked again, not remembered.
  f.api->instead.reset();
  CHECK(f.Decide("good") == Access::kAllowed);
}

TEST_CASE("Only true is yes", "[authorizer]") {
  struct Case {
    const char* name;
    const char* at;
    const char* body;
    Access want;
  };
  const auto c = GENERATE(values<Case>({
      {"authenticated as text", kTokenReviews, R"({"status": {"authenticated": "true"}})",
       Access::kUnauthenticated},
      {"no user", kTokenReviews, R"({"status": {"authenticated": true}})",
       Access::kUnauthenticated},
      {"user is a text", kTokenReviews, R"({"status": {"authenticated": true, "user": "x"}})",
       Access::kUnauthenticated},
      {"allowed as number", kAccessReviews, R"({"status": {"allowed": 1}})", Access::kDenied},
      {"allowed and denied", kAccessReviews, R"({"status": {"allowed": true, "denied": true}})",
       Access::kDenied},
  }));
  DYNAMIC_SECTION(c.name) {
    Fixture f;
    f.api->instead = kube::Response{.code = 201, .body = c.body};
    f.api->instead_at = c.at;
    CHECK(f.Decide("good") == c.want);
  }
}

TEST_CASE("An answer is believed for its time, a refusal too", "[authorizer]") {
  Fixture f({.keep = 500ms});
  const std::string token = GENERATE("good", "stranger");
  const Access first = f.Decide(token);
  const std::size_t asked = f.api->requests.size();
  CHECK(f.Decide(token) == first);
  CHECK(f.api->requests.size() == asked);
  const TimePoint over = f.loop.Now() + 500ms;
  REQUIRE(test::RunUntil(f.loop, [&] { return f.loop.Now() > over; }));
  CHECK(f.Decide(token) == first);
  CHECK(f.api->requests.size() == 2 * asked);
}

TEST_CASE("The oldest answers go first", "[authorizer]") {
  Fixture f({.max_kept = 2});
  for (const char* const token : {"a", "b", "c"}) {
    (void)f.Decide(token);
  }
  CHECK(f.api->requests.size() == 3);
  (void)f.Decide("c");
  (void)f.Decide("b");
  CHECK(f.api->requests.size() == 3);
  (void)f.Decide("a");
  CHECK(f.api->requests.size() == 4);
}

TEST_CASE("One token is asked about once at a time, and few at all", "[authorizer]") {
  Fixture f({.max_pending = 2});
  f.api->silent = true;
  std::vector<Access> answers;
  const auto done = [&answers](Access access) { answers.push_back(access); };
  f.authorizer->Decide("a", done);
  f.authorizer->Decide("a", done);
  f.authorizer->Decide("b", done);
  CHECK(f.api->requests.size() == 2);
  CHECK(answers.empty());
  f.authorizer->Decide("c", done);
  CHECK(answers == std::vector{Access::kUnavailable});
}

TEST_CASE("It can go while the API server is asked", "[authorizer]") {
  Fixture f;
  bool called = false;
  f.authorizer->Decide("good", [&called](Access) { called = true; });
  f.authorizer.reset();
  CHECK(test::RunUntil(f.loop, [&f] { return !f.api->requests.empty(); }));
  CHECK(test::RunUntil(f.loop, [] { return true; }));
  CHECK_FALSE(called);
}

}  // namespace stentor
