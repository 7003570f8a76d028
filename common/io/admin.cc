// SPDX-License-Identifier: Apache-2.0
#include "common/io/admin.h"

#include <chrono>
#include <map>
#include <utility>

#include "common/base/status.h"
#include "common/io/admin_server.h"
#include "common/io/metrics_text.h"
#include "common/io/token_authorizer.h"

namespace stentor::io {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTick = 1s;
constexpr Duration kPatience = 10s;
constexpr Duration kOpenAgain = 5s;

// A port, until it is open.
struct Port {
  explicit Port(EventLoop& loop) : timer(loop) {}

  AdminOptions options;
  std::map<std::string, AdminRoute> routes;
  Timer timer;
  bool told = false;
  std::unique_ptr<AdminServer> server;
};

}  // namespace

struct Admin::Impl {
  Impl(EventLoop& its_loop, KubeClient& client, const obs::Logger& its_log, AdminSettings given)
      : loop(its_loop),
        log(its_log),
        settings(std::move(given)),
        authorizer(loop, client),
        health(loop.Now(), kPatience),
        tick(loop),
        metrics(loop),
        probes(loop) {}

  void Tick() {
    health.Progress(loop.Now());
    tick.ArmAfter(kTick, [this] { Tick(); });
  }

  void Open(Port& port) {
    auto server = AdminServer::Open(loop, port.options, port.routes);
    if (server.ok()) {
      port.server = *std::move(server);
      return;
    }
    if (!std::exchange(port.told, true)) {
      log.Log(obs::Event::kAdminPortFailed, std::string(server.status().message()));
    }
    port.timer.ArmAfter(kOpenAgain, [this, &port] { Open(port); });
  }

  absl::Status OpenMetrics(std::function<void(obs::MetricSet& metrics)> collect) {
    AdminRoute route{.handle =
                         [collect = std::move(collect)] {
                           obs::MetricSet set;
                           collect(set);
                           return AdminAnswer{.content_type = kMetricsContentType,
                                              .body = WriteMetrics(set)};
                         },
                     .authorize = {}};
    metrics.options.port = settings.metrics_port;
    if (settings.metrics_port != kPlainMetricsPort) {
      STENTOR_ASSIGN_OR_RETURN(metrics.options.tls, ServerTls::Make(settings.tls));
      metrics.options.on_certificate_trouble = [this](const absl::Status& status) {
        log.Log(obs::Event::kCertificateFailed, std::string(status.message()));
      };
      route.authorize = [this](const std::string& token, std::function<void(Access)> done) {
        authorizer.Decide(token, std::move(done));
      };
    }
    metrics.routes.emplace("/metrics", std::move(route));
    Open(metrics);
    return absl::OkStatus();
  }

  void OpenProbes() {
    const auto answer = [](const obs::HealthReport& report) {
      return AdminAnswer{.code = report.ok ? 200 : 503, .body = report.text};
    };
    probes.options.address = settings.probe_address;
    probes.options.port = settings.probe_port;
    probes.routes.emplace(
        "/healthz", AdminRoute{.handle = [this, answer] { return answer(health.Live(loop.Now())); },
                               .authorize = {}});
    probes.routes.emplace(
        "/readyz",
        AdminRoute{.handle = [this, answer] { return answer(health.Ready()); }, .authorize = {}});
    Open(probes);
  }

  EventLoop& loop;
  const obs::Logger& log;
  const AdminSettings settings;
  TokenAuthorizer authorizer;
  obs::Health health;
  Timer tick;
  Port metrics;
  Port probes;
};

Admin::Admin(EventLoop& loop, KubeClient& client, const obs::Logger& log, AdminSettings settings)
    : impl_(std::make_unique<Impl>(loop, client, log, std::move(settings))) {}
Admin::~Admin() = default;

absl::Status Admin::Start(std::function<void(obs::MetricSet& metrics)> collect) {
  impl_->Tick();
  if (impl_->settings.metrics_port != 0) {
    STENTOR_RETURN_IF_ERROR(impl_->OpenMetrics(std::move(collect)));
  }
  if (impl_->settings.probe_port != 0) {
    impl_->OpenProbes();
  }
  return absl::OkStatus();
}

obs::Health& Admin::health() noexcept { return impl_->health; }

}  // namespace stentor::io
