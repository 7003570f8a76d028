// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/proxy_checks.h"

#include <chrono>
#include <utility>

#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

constexpr Duration kAskEvery = 50ms;
constexpr Duration kTimeLimit = 500ms;
constexpr int kHttpOk = 200;

}  // namespace

ProxyChecks::ProxyChecks(io::EventLoop& loop, const Links& links, Handler on_ready)
    : loop_(loop), links_(links), on_ready_(std::move(on_ready)), timer_(loop) {}

ProxyChecks::~ProxyChecks() = default;

void ProxyChecks::Set(const ProxyWaits& waits) {
  const bool idle = waits_.empty();
  waits_ = waits;
  std::erase_if(under_way_, [this](const auto& entry) { return !waits_.contains(entry.first); });
  if (waits_.empty()) {
    timer_.Disarm();
  } else if (idle) {
    Ask();
  }
}

void ProxyChecks::Ask() {
  for (const model::ServiceKey& service : order_.Next(waits_)) {
    if (!under_way_.contains(service)) {
      Ask(service, waits_.at(service).port);
    }
  }
  timer_.ArmAfter(kAskEvery, [this] { Ask(); });
}

void ProxyChecks::Ask(const model::ServiceKey& service, std::uint16_t port) {
  auto& probe = under_way_[service];
  probe = std::make_unique<io::HttpProbe>(loop_);
  probe->Get({.hosts = ProxyHosts(links_),
              .port = port,
              .path = "/healthz",
              .host_header = StrCat("localhost:", port)},
             kTimeLimit, [this, service](const absl::StatusOr<io::HttpProbeAnswer>& answer) {
               const bool ready = answer.ok() && answer->code == kHttpOk;
               under_way_.erase(service);
               if (ready) {
                 on_ready_(service);
               }
             });
}

}  // namespace stentor::speaker
