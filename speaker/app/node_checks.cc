// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/node_checks.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "speaker/net/sysctls.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

// Changes come in swarms, and nothing here is urgent.
constexpr Duration kLookAfter = 500ms;
constexpr Duration kLookEvery = 30s;

}  // namespace

NodeChecks::NodeChecks(io::EventLoop& loop, const Links& links, std::optional<io::HttpTarget> proxy,
                       NodeChecksHandlers handlers)
    : loop_(loop),
      links_(links),
      proxy_(std::move(proxy)),
      handlers_(std::move(handlers)),
      health_({.enabled = proxy_.has_value()}),
      probe_(loop),
      ask_timer_(loop),
      look_timer_(loop) {}

NodeChecks::~NodeChecks() = default;

void NodeChecks::Start() {
  started_ = true;
  Ask();
  LookSoon();
}

void NodeChecks::SetConfig(const config::Config& config) {
  config_ = config;
  LookSoon();
}

void NodeChecks::SetNode(const std::optional<model::Labels>& labels) {
  if (labels_ != labels) {
    labels_ = labels;
    LookSoon();
  }
}

void NodeChecks::Ask() {
  if (health_.TakeProbe(loop_.Now())) {
    probe_.Get(*proxy_, health_.options().time_limit, [this](const auto& answer) {
      OnAnswer(answer.ok() ? JudgeProxyAnswer(answer->code, answer->body)
                           : JudgeProxyFailure(answer.status()));
    });
  }
  if (const auto deadline = health_.NextDeadline()) {
    ask_timer_.ArmAt(*deadline, [this] { Ask(); });
  }
}

void NodeChecks::OnAnswer(ProxyAnswer answer) {
  if (health_.OnAnswer(loop_.Now(), answer)) {
    handlers_.on_proxy(health_.Yields());
    LookSoon();
  }
  Ask();
}

void NodeChecks::LookSoon() {
  if (started_ && !std::exchange(soon_, true)) {
    look_timer_.ArmAfter(kLookAfter, [this] { Look(); });
  }
}

void NodeChecks::Look() {
  soon_ = false;
  const std::optional<ArpSysctls> arp = ReadArpSysctls(InterfacesToInspect(links_.all()));
  const std::set<net::IpAddress> in_use = handlers_.addresses();
  const TimePoint now = loop_.Now();
  const std::vector<TrapChange> changes = traps_.Update(now, FindTraps({.links = links_.all(),
                                                                        .arp = arp,
                                                                        .config = config_,
                                                                        .in_use = in_use,
                                                                        .labels = labels_,
                                                                        .proxy = health_.state()}));
  handlers_.on_look(changes);
  const TimePoint next = now + kLookEvery;
  look_timer_.ArmAt(std::min(next, traps_.NextDeadline().value_or(next)), [this] { Look(); });
}

}  // namespace stentor::speaker
