// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/io/context.h"
#include "common/io/http_server.h"
#include "common/io/tls_server.h"
#include "common/obs/health.h"
#include "controller/app/certificates.h"
#include "controller/app/stored_objects.h"

namespace stentor::controller {

struct WebhookSettings {
  std::uint16_t port = 9443;
  std::string name_space;    ///< Of the objects that are judged, the Secret and the Service.
  std::string service_name;  ///< --cert-service-name
  std::string secret_name;   ///< --webhook-secret
  /// --disable-cert-rotation: tls.crt and tls.key of the folder are served, and nothing is written;
  /// who brings them tells the API server whom to trust.
  bool external_certificates = false;
  std::string certificate_folder;  ///< --cert-dir; for external certificates only.
  io::ServerTlsOptions tls;        ///< Versions, suites and groups.
  BgpMode bgp_mode = BgpMode::kAny;
};

/// Serves the webhooks, in every replica. Lives on the event loop's thread.
class Webhooks {
 public:
  /// `health` must outlive it.
  Webhooks(const io::Context& context, WebhookSettings settings, obs::Health& health);
  ~Webhooks();
  Webhooks(const Webhooks&) = delete;
  Webhooks& operator=(const Webhooks&) = delete;

  /// Begins to serve. Errors: what in the settings can't be used. A port that is taken is tried
  /// again without end.
  [[nodiscard]] absl::Status Start();

  /// Whether the API server may be calling them.
  [[nodiscard]] bool AreCalled() const;
  void Collect(obs::MetricSet& metrics) const;
  /// Goes on answering, and tells the kubelet that nobody should be sent here any more.
  void StopBeingReady();

 private:
  void Open();
  void Answer(const io::HttpRequest& request, const io::HttpReply& reply);
  void Serve(const crypto::PemPair& pair);
  void Tick();
  void UpdateHealth();
  void Tell(const absl::Status& state);
  [[nodiscard]] absl::Status Ready() const;
  [[nodiscard]] absl::Status ExternalReady() const;

  const io::Context context_;
  const WebhookSettings settings_;
  obs::Health& health_;
  std::shared_ptr<io::ServerTls> tls_;
  StoredObjects stored_;
  std::unique_ptr<Certificates> certificates_;  // unless they are external
  io::Timer open_timer_;
  io::Timer tick_timer_;
  bool port_told_ = false;
  bool leaving_ = false;
  std::string state_;                      // what Ready() said last; empty: OK
  std::optional<TimePoint> untold_since_;  // of `state_`
  std::string told_;                       // the last line of the log on it
  std::unique_ptr<io::HttpServer> server_;
};

}  // namespace stentor::controller
