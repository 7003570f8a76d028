// SPDX-License-Identifier: Apache-2.0
#include "common/io/admin.h"

#include <chrono>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/io/http_server.h"
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

  HttpOptions options;
  std::vector<HttpRoute> routes;
  Timer timer;
  bool told = false;
  std::unique_ptr<HttpServer> server;
};

}  // namespace

struct Admin::Impl {
  Impl(EventLoop& its_loop, KubeClient& its_client, const obs::Logger& its_log, AdminSettings given)
      : loop(its_loop),
        client(its_client),
        log(its_log),
        settings(std::move(given)),
        authorizer(loop, client),
        health(loop.Now(), kPatience),
        tick(loop),
        metrics(loop),
        probes(loop) {}

  void Tick() {
    health.Progress(loop.Now());
    tick.ArmToTheSecond(kTick, [this] { Tick(); });
  }

  void Open(Port& port) {
    auto server = HttpServer::Open(loop, port.options, port.routes);
    if (server.ok()) {
      port.server = *std::move(server);
      return;
    }
    if (!std::exchange(port.told, true)) {
      log.Log(obs::Event::kAdminPortFailed, std::string(server.status().message()));
    }
    port.timer.ArmAfter(kOpenAgain, [this, &port] { Open(port); });
  }

  void CollectOwn(obs::MetricSet& set) const {
    client.Collect(set);
    if (metrics.server != nullptr) {
      metrics.server->counts().Collect("metrics", set);
    }
    if (probes.server != nullptr) {
      probes.server->counts().Collect("probes", set);
    }
  }

  absl::Status OpenMetrics(std::function<void(obs::MetricSet& metrics)> collect) {
    HttpRoute route{.path = ExactPath("/metrics"),
                    .handle = AnswerNow([this, collect = std::move(collect)](const HttpRequest&) {
                      obs::MetricSet set;
                      collect(set);
                      CollectOwn(set);
                      return HttpAnswer{.content_type = kMetricsContentType,
                                        .body = WriteMetrics(set)};
                    })};
    metrics.options.port = settings.metrics_port;
    if (settings.metrics_port != kPlainMetricsPort) {
      auto tls = ServerTls::Make(settings.tls);
      if (!tls.ok()) {
        return settings.tls.certificate_folder.empty()
                   ? tls.status()
                   : Annotate(tls.status(), "--metrics-cert-dir");
      }
      metrics.options.tls = *std::move(tls);
      metrics.options.on_certificate_trouble = [this](const absl::Status& status) {
        log.Log(obs::Event::kCertificateFailed, std::string(status.message()));
      };
      route.authorize = [this](const std::string& token, std::function<void(Access)> done) {
        authorizer.Decide(token, std::move(done));
      };
    }
    metrics.routes.push_back(std::move(route));
    Open(metrics);
    return absl::OkStatus();
  }

  void OpenProbes() {
    const auto route = [](std::string path, std::function<obs::HealthReport()> report) {
      return HttpRoute{.path = ExactPath(std::move(path)),
                       .handle = AnswerNow([report = std::move(report)](const HttpRequest&) {
                         const obs::HealthReport told = report();
                         return HttpAnswer{.code = told.ok ? 200 : 503, .body = told.text};
                       })};
    };
    probes.options.address = settings.probe_address;
    probes.options.port = settings.probe_port;
    probes.routes.push_back(route("/healthz", [this] { return health.Live(loop.Now()); }));
    probes.routes.push_back(route("/readyz", [this] { return health.Ready(); }));
    Open(probes);
  }

  EventLoop& loop;
  KubeClient& client;
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
