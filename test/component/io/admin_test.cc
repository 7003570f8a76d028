// SPDX-License-Identifier: Apache-2.0
#include "common/io/admin.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include "common/io/http_server.h"
#include "common/io/metrics_text.h"
#include "common/io/random.h"
#include "test/component/io/http_fixture.h"
#include "test/support/catch.h"
#include "test/support/fake_api_server.h"

namespace stentor {
namespace {

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using test::Beside;
using test::Get;
using test::SocketClient;
using test::TlsSocketClient;
using Clock = std::chrono::steady_clock;

struct Lines final : obs::LogSink {
  void Write(obs::Level, std::string_view event, std::string_view message,
             std::span<const obs::Field>) override {
    all.push_back(std::string(event) + ": " + std::string(message));
  }
  std::vector<std::string> all;
};

// A port that was free a moment ago: Admin is told which, and can't be asked. Not one of those that
// the kernel gives to whoever asks for any, such as the server of the same test.
std::uint16_t FreePort() {
  static int next = 20'000 + getpid() % 10'000;
  for (int tries = 0; tries < 100; ++tries, ++next) {
    const UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(next));
    if (bind(fd.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      return static_cast<std::uint16_t>(next++);
    }
  }
  FAIL("no port is free");
  return 0;
}

struct Fixture {
  explicit Fixture(io::AdminSettings given) : settings(std::move(given)) {
    settings.probe_address = "127.0.0.1";
  }

  absl::Status Start(std::function<void(obs::MetricSet&)> collect = [](obs::MetricSet&) {}) {
    return admin.Start(std::move(collect));
  }
  std::string Probe(const std::string& path) {
    return Beside(loop, [&] {
      SocketClient prober(settings.probe_port);
      prober.Send(Get(path));
      return prober.ReadAll();
    });
  }

  io::AdminSettings settings;
  Lines lines;
  obs::Logger log{lines, obs::Level::kDebug};
  test::FakeApiServer server;
  io::EventLoop loop;
  io::KubeClient client{loop, test::Transport(loop, {.server = server.url()}), server.url(),
                        io::RandomUniform};
  io::Admin admin{loop, client, log, settings};
};

}  // namespace

TEST_CASE("Probes tell what is missing, and why", "[admin]") {
  Fixture f({.metrics_port = 0, .probe_port = FreePort()});
  obs::Health& health = f.admin.health();
  health.Set("services read", false);
  health.Set("webhooks", false, "no certificate yet");
  REQUIRE(f.Start().ok());
  CHECK_THAT(f.Probe("/healthz"), StartsWith("HTTP/1.1 200 ") && EndsWith("\r\n\r\nok\n"));
  CHECK_THAT(f.Probe("/readyz"),
             StartsWith("HTTP/1.1 503 ") &&
                 EndsWith("\r\n\r\nnot yet: services read\nnot yet: webhooks: no certificate "
                          "yet\n"));
  health.Set("services read", true);
  health.Set("webhooks", true);
  CHECK_THAT(f.Probe("/readyz"), StartsWith("HTTP/1.1 200 ") && EndsWith("\r\n\r\nok\n"));
  CHECK_THAT(f.Probe("/metrics"), StartsWith("HTTP/1.1 404 "));
  CHECK(f.lines.all.empty());
}

TEST_CASE("A loop that is stuck answers no probe, and answers again when it goes on", "[admin]") {
  Fixture f({.metrics_port = 0, .probe_port = FreePort()});
  REQUIRE(f.Start().ok());
  std::promise<void> stuck;
  std::promise<void> go_on;
  f.loop.Post([&] {
    stuck.set_value();
    go_on.get_future().wait();
  });
  const auto [silent, late] = Beside(f.loop, [&] {
    stuck.get_future().wait();
    SocketClient client(f.settings.probe_port);
    constexpr timeval kProbeTimeout{.tv_sec = 1, .tv_usec = 0};  // as kubelets have it
    setsockopt(client.fd(), SOL_SOCKET, SO_RCVTIMEO, &kProbeTimeout, sizeof kProbeTimeout);
    client.Send(Get("/healthz"));
    const std::string first = client.ReadAll();
    go_on.set_value();
    return std::pair(first, client.ReadAll());
  });
  CHECK(silent == "timeout");
  CHECK_THAT(late, StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("Metrics are served over TLS to who has a token", "[admin]") {
  Fixture f({.metrics_port = FreePort(), .probe_port = 0});
  bool collected = false;
  REQUIRE(f.Start([&](obs::MetricSet&) { collected = true; }).ok());
  const std::string answer = Beside(
      f.loop, [&] { return TlsSocketClient(f.settings.metrics_port).Exchange(Get("/metrics")); });
  CHECK_THAT(answer, StartsWith("HTTP/1.1 401 ") && Contains("WWW-Authenticate: Bearer\r\n"));
  CHECK(Beside(f.loop, [&] {
          SocketClient client(f.settings.metrics_port);
          client.Send(Get("/metrics"));
          return client.ReadAll();
        }).find("HTTP/") == std::string::npos);
  CHECK_FALSE(collected);
}

TEST_CASE("A certificate folder that can't be used is told with its flag", "[admin]") {
  Fixture f({.metrics_port = FreePort(),
             .probe_port = 0,
             .tls = {.certificate_folder = "/nonexistent/certificates"}});
  const absl::Status status = f.Start();
  CHECK_THAT(std::string(status.message()),
             StartsWith("--metrics-cert-dir: ") && Contains("/nonexistent/certificates/tls.crt"));
}

TEST_CASE("A port that is taken is told once, and opened when it is free", "[admin]") {
  auto taken = std::make_unique<UniqueFd>(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(bind(taken->Get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  REQUIRE(listen(taken->Get(), 1) == 0);
  REQUIRE(getsockname(taken->Get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);

  Fixture f({.metrics_port = 0, .probe_port = ntohs(address.sin_port)});
  REQUIRE(f.Start().ok());
  REQUIRE(f.lines.all.size() == 1);
  CHECK_THAT(f.lines.all[0], StartsWith("adminPortFailed: "));
  taken.reset();
  CHECK(test::RunUntil(f.loop, [&] {
    const SocketClient client(f.settings.probe_port);
    sockaddr_in peer{};
    socklen_t peer_size = sizeof peer;
    return getpeername(client.fd(), reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0;
  }));
  CHECK_THAT(f.Probe("/healthz"), StartsWith("HTTP/1.1 200 "));
  CHECK(f.lines.all.size() == 1);
}

TEST_CASE("A probe is answered while metrics of 10,000 Services are scraped", "[admin]") {
  constexpr obs::MetricInfo kAnnounced{"metallb_speaker_announced", obs::MetricType::kGauge, ""};
  constexpr std::array<obs::MetricInfo, 3> kCounted = {
      {{"metallb_layer2_requests_received", obs::MetricType::kCounter, ""},
       {"metallb_layer2_responses_sent", obs::MetricType::kCounter, ""},
       {"metallb_layer2_gratuitous_sent", obs::MetricType::kCounter, ""}}};
  Fixture f({.metrics_port = 0, .probe_port = FreePort()});
  REQUIRE(f.Start().ok());
  std::size_t scrapes = 0;
  Duration longest{};
  const auto metrics =
      test::OpenHttp(f.loop, {},
                     {{.path = io::ExactPath("/metrics"),
                       .handle = io::AnswerNow([&](const io::HttpRequest&) {
                         const auto begin = Clock::now();
                         obs::MetricSet set;
                         for (int i = 0; i < 10'000; ++i) {
                           const std::string ip =
                               "198.18." + std::to_string(i / 250) + "." + std::to_string(i % 250);
                           set.Set(kAnnounced,
                                   {{"ip", ip},
                                    {"node", "node-1"},
                                    {"protocol", "layer2"},
                                    {"service", "namespace/service-" + std::to_string(i)}},
                                   1.0);
                           for (const obs::MetricInfo& info : kCounted) {
                             set.Set(info, {{"ip", ip}}, static_cast<std::uint64_t>(i));
                           }
                         }
                         io::HttpAnswer answer{.content_type = io::kMetricsContentType,
                                               .body = io::WriteMetrics(set)};
                         ++scrapes;
                         longest = std::max(longest, Duration(Clock::now() - begin));
                         return answer;
                       })}});
  const auto [probes, slowest, lines] = Beside(f.loop, [&] {
    std::array<std::future<std::size_t>, 2> scrapers;
    for (auto& scraper : scrapers) {
      scraper = std::async(std::launch::async, [&] {
        std::size_t all = 0;
        for (int i = 0; i < 3; ++i) {
          SocketClient client(metrics->port());
          client.Send(Get("/metrics"));
          const std::string text = client.ReadAll();
          all += static_cast<std::size_t>(std::ranges::count(text, '\n'));
        }
        return all;
      });
    }
    int good = 0;
    Clock::duration worst{};
    for (int i = 0; i < 10; ++i) {
      const auto begin = Clock::now();
      SocketClient client(f.settings.probe_port);
      client.Send(Get("/healthz"));
      good += client.ReadAll().starts_with("HTTP/1.1 200 ") ? 1 : 0;
      worst = std::max(worst, Clock::now() - begin);
    }
    return std::tuple(good, worst, scrapers[0].get() + scrapers[1].get());
  });
  using Milliseconds = std::chrono::duration<double, std::milli>;
  INFO("longest rendering " << Milliseconds(longest).count() << " ms, slowest probe "
                            << Milliseconds(slowest).count() << " ms");
  CHECK(probes == 10);
  CHECK(scrapes == 6);
  CHECK(lines > 6 * 40'000);
  // A probe may wait for what two scrapers have asked for, and never for all that they will ask.
  CHECK(slowest < 5s);
}

}  // namespace stentor
