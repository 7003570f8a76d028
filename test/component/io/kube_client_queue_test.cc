// SPDX-License-Identifier: Apache-2.0

/// \file
/// Which requests wait for which, and for how long.

#include <string>
#include <vector>

#include "common/io/kube_client.h"
#include "common/io/random.h"
#include "test/component/io/fixture.h"
#include "test/support/catch.h"

namespace stentor {
namespace {

using kube::Priority;
using std::chrono::milliseconds;
using test::RunUntil;

// Holds what it is given until the test answers it.
class HeldTransport final : public kube::KubeTransport {
 public:
  struct Held {
    kube::Request request;
    kube::ResponseHandler handler;
    bool gone = false;
  };

  std::unique_ptr<kube::KubeCall> Send(kube::Request request,
                                       kube::ResponseHandler handler) override {
    held.push_back(std::make_shared<Held>(Held{std::move(request), std::move(handler)}));
    return std::make_unique<Call>(held.back());
  }
  std::unique_ptr<kube::KubeCall> Watch(std::string /*path*/,
                                        kube::WatchEvents /*events*/) override {
    return nullptr;
  }

  [[nodiscard]] std::vector<std::string> paths() const {
    std::vector<std::string> paths;
    for (const auto& one : held) {
      paths.push_back(one->request.path);
    }
    return paths;
  }

  std::vector<std::shared_ptr<Held>> held;

 private:
  class Call final : public kube::KubeCall {
   public:
    explicit Call(std::shared_ptr<Held> held) : held_(std::move(held)) {}
    ~Call() override { held_->gone = true; }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    std::shared_ptr<Held> held_;
  };
};

struct Setup {
  io::EventLoop loop;
  HeldTransport* transport = new HeldTransport;
  std::unique_ptr<io::KubeClient> client =
      std::make_unique<io::KubeClient>(loop, std::unique_ptr<kube::KubeTransport>(transport),
                                       "https://192.0.2.1", io::RandomUniform);
  std::vector<std::string> answers;  // "path code", or "path STATUS"

  void Ask(const std::string& path, Priority priority,
           std::optional<Duration> time_limit = std::nullopt) {
    client->Request(
        {.path = path, .priority = priority, .time_limit = time_limit},
        [this, path](const auto& response) {
          answers.push_back(path + " " +
                            (response.ok() ? std::to_string(response->code)
                                           : absl::StatusCodeToString(response.status().code())));
        });
  }
  void AskMany(const std::string& path, Priority priority, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Ask(path, priority);
    }
  }
  // As the transport does: from the loop.
  void Answer(std::size_t place) {
    loop.Post([this, place] {
      const kube::ResponseHandler handler = std::move(transport->held[place]->handler);
      handler(kube::Response{.code = 200, .body = "", .retry_after = std::nullopt});
    });
  }
  void WaitForSent(std::size_t count) {
    CHECK(RunUntil(loop, [&] { return transport->held.size() >= count; }));
    CHECK(transport->held.size() == count);
  }
  void Settle() {
    CHECK(RunUntil(loop, [] { return true; }));
  }
  [[nodiscard]] bool WasSent(const std::string& path) const {
    const auto paths = transport->paths();
    return std::find(paths.begin(), paths.end(), path) != paths.end();
  }
};

}  // namespace

TEST_CASE("An urgent request goes before a thousand that wait", "[client][queue]") {
  Setup s;
  s.AskMany("/write", Priority::kNormal, 1000);
  s.AskMany("/event", Priority::kBackground, 1000);
  CHECK(s.transport->held.size() == io::KubeClient::kMaxRequests);
  s.WaitForSent(io::KubeClient::kMaxRequests + io::KubeClient::kMaxBackground);
  CHECK(s.client->waiting() ==
        2000 - io::KubeClient::kMaxRequests - io::KubeClient::kMaxBackground);
  s.AskMany("/lease", Priority::kUrgent, 100);
  CHECK(s.transport->held.size() ==
        100 + io::KubeClient::kMaxRequests + io::KubeClient::kMaxBackground);
  CHECK(s.transport->held.back()->request.path == "/lease");
}

TEST_CASE("What waits in the background does not hold up what is normal, nor the reverse",
          "[client][queue]") {
  Setup s;
  s.AskMany("/event", Priority::kBackground, 1000);
  s.WaitForSent(io::KubeClient::kMaxBackground);
  s.Ask("/write", Priority::kNormal);
  CHECK(s.WasSent("/write"));
  s.AskMany("/write", Priority::kNormal, 1000);
  const std::size_t sent = s.transport->held.size();
  s.Answer(0);  // an event: the next is one too
  s.Settle();
  REQUIRE(s.transport->held.size() == sent + 1);
  CHECK(s.transport->held.back()->request.path == "/event");
}

TEST_CASE("What is in the background begins a moment after what it tells of", "[client][queue]") {
  Setup s;
  const TimePoint start = s.loop.Now();
  s.Ask("/event", Priority::kBackground);
  CHECK(s.client->waiting() == 1);
  s.Ask("/write", Priority::kNormal);
  CHECK(s.transport->paths() == std::vector<std::string>{"/write"});
  REQUIRE(RunUntil(s.loop, [&] { return s.WasSent("/event"); }));
  CHECK(s.loop.Now() - start >= io::KubeClient::kBackgroundDelay);
  s.Ask("/later", Priority::kBackground);  // its moment is its own
  CHECK_FALSE(s.WasSent("/later"));
  s.Answer(1);
  s.Settle();
  CHECK(s.answers == std::vector<std::string>{"/event 200"});
  REQUIRE(RunUntil(s.loop, [&] { return s.WasSent("/later"); }));
  CHECK(s.client->waiting() == 0);
}

TEST_CASE("A time limit counts in the background, too", "[client][queue]") {
  Setup s;
  s.Ask("/event", Priority::kBackground, milliseconds(10));
  REQUIRE(RunUntil(s.loop, [&] { return !s.answers.empty(); }));
  CHECK(s.answers == std::vector<std::string>{"/event DEADLINE_EXCEEDED"});
  CHECK(s.client->waiting() == 0);
  s.Ask("/next", Priority::kBackground);
  REQUIRE(RunUntil(s.loop, [&] { return s.WasSent("/next"); }));
  CHECK_FALSE(s.WasSent("/event"));
}

TEST_CASE("Those that wait go in order, and all are answered", "[client][queue]") {
  Setup s;
  const std::size_t total = io::KubeClient::kMaxRequests + 3;
  for (std::size_t i = 0; i < total; ++i) {
    s.Ask("/" + std::to_string(i), Priority::kNormal);
  }
  for (std::size_t i = 0; i < total; ++i) {
    s.Answer(i);
    s.Settle();
  }
  REQUIRE(s.answers.size() == total);
  for (std::size_t i = 0; i < total; ++i) {
    CHECK(s.answers[i] == "/" + std::to_string(i) + " 200");
  }
  CHECK(s.client->waiting() == 0);
}

TEST_CASE("More than may wait are refused, and not from within the call", "[client][queue]") {
  Setup s;
  s.AskMany("/write", Priority::kNormal,
            io::KubeClient::kMaxRequests + io::KubeClient::kMaxWaiting);
  CHECK(s.client->waiting() == io::KubeClient::kMaxWaiting);
  obs::MetricSet metrics;
  s.client->Collect(metrics);
  CHECK(metrics.families().at("stentor_k8s_client_waiting_requests").series.at({}) ==
        static_cast<double>(io::KubeClient::kMaxWaiting));
  s.Ask("/late", Priority::kNormal);
  s.Ask("/lease", Priority::kUrgent);
  s.Ask("/event", Priority::kBackground);
  CHECK(s.answers.empty());
  CHECK(s.WasSent("/lease"));
  s.Settle();
  CHECK(s.answers == std::vector<std::string>{"/late UNAVAILABLE"});
  CHECK(RunUntil(s.loop, [&] { return s.WasSent("/event"); }));
}

TEST_CASE("A time limit counts from the call, whether it waits or is under way",
          "[client][queue]") {
  Setup s;
  const bool waits = GENERATE(false, true);
  DYNAMIC_SECTION((waits ? "while it waits" : "while it is under way")) {
    if (waits) {
      s.AskMany("/write", Priority::kNormal, io::KubeClient::kMaxRequests);
    }
    const TimePoint start = s.loop.Now();
    s.Ask("/limited", Priority::kNormal, milliseconds(50));
    s.Ask("/next", Priority::kNormal);
    REQUIRE(RunUntil(s.loop, [&] { return !s.answers.empty(); }));
    CHECK(s.loop.Now() - start >= milliseconds(50));
    CHECK(s.answers == std::vector<std::string>{"/limited DEADLINE_EXCEEDED"});
    CHECK(s.WasSent("/limited") == !waits);
    if (waits) {
      s.Answer(0);
      s.Settle();
      CHECK(s.WasSent("/next"));  // its turn, rather than that of what was given up
      CHECK_FALSE(s.WasSent("/limited"));
    } else {
      CHECK(s.transport->held[0]->gone);  // the call has been cancelled
    }
  }
}

TEST_CASE("What is answered in time is not given up afterwards", "[client][queue]") {
  Setup s;
  s.Ask("/limited", Priority::kUrgent, milliseconds(30));
  s.Answer(0);
  REQUIRE(RunUntil(s.loop, [&] { return !s.answers.empty(); }));
  const TimePoint later = s.loop.Now() + milliseconds(60);
  REQUIRE(RunUntil(s.loop, [&] { return s.loop.Now() >= later; }));
  CHECK(s.answers == std::vector<std::string>{"/limited 200"});
}

TEST_CASE("A client that is destroyed says nothing of what waited, was refused or limited",
          "[client][queue]") {
  Setup s;
  s.AskMany("/write", Priority::kNormal,
            io::KubeClient::kMaxRequests + io::KubeClient::kMaxWaiting + 1);
  s.Ask("/limited", Priority::kUrgent, milliseconds(1));
  s.client.reset();
  const TimePoint later = s.loop.Now() + milliseconds(20);
  REQUIRE(RunUntil(s.loop, [&] { return s.loop.Now() >= later; }));
  CHECK(s.answers.empty());
}

TEST_CASE("A handler may destroy the client", "[client][queue]") {
  Setup s;
  bool called = false;
  const bool expires = GENERATE(false, true);
  DYNAMIC_SECTION((expires ? "at the time limit" : "at the answer")) {
    s.client->Request({.path = "/x", .time_limit = milliseconds(10)}, [&](const auto& /*answer*/) {
      called = true;
      s.client.reset();
    });
    s.AskMany("/more", Priority::kNormal, 2 * io::KubeClient::kMaxRequests);
    if (!expires) {
      s.Answer(0);
    }
    CHECK(RunUntil(s.loop, [&] { return called; }));
  }
}

}  // namespace stentor
