// SPDX-License-Identifier: Apache-2.0
#include "test/component/io/fixture.h"

#include <utility>

#include "common/kube/codec.h"
#include "test/support/catch.h"

namespace stentor::test {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(2);

}  // namespace

bool RunUntil(io::EventLoop& loop, const std::function<bool()>& condition, Duration deadline) {
  const TimePoint end = loop.Now() + deadline;
  bool holds = false;
  io::Timer timer(loop);
  std::function<void()> look = [&] {
    holds = condition();
    if (holds || loop.Now() >= end) {
      loop.Stop();
    } else {
      timer.ArmAfter(kLook, look);
    }
  };
  loop.Post(look);
  loop.Run();
  return holds;
}

std::unique_ptr<kube::KubeTransport> Transport(io::EventLoop& loop,
                                               const config::ClientConfig& config,
                                               const io::TransportLimits& limits) {
  io::InitializeTransportThreads();
  auto transport = io::MakeCpprestTransport(loop, config, limits);
  INFO(transport.status());
  REQUIRE(transport.ok());
  return *std::move(transport);
}

absl::StatusOr<kube::Response> Send(io::EventLoop& loop, kube::KubeTransport& transport,
                                    kube::Request request) {
  std::optional<absl::StatusOr<kube::Response>> answer;
  const auto call = transport.Send(
      std::move(request),
      [&answer](absl::StatusOr<kube::Response> response) { answer = std::move(response); });
  if (!RunUntil(loop, [&answer] { return answer.has_value(); })) {
    return absl::DeadlineExceededError("the test's own deadline");
  }
  return *std::move(answer);
}

io::WatchHandlers Mirror::Handlers() {
  return {.on_upsert =
              [this](const nlohmann::json& object) {
                objects[*kube::DecodeKey(object)] = object;
                ++upserts;
              },
          .on_delete =
              [this](const model::ObjectKey& key) {
                objects.erase(key);
                ++deletes;
              },
          .on_synced = [this] { ++synced; },
          .on_trouble = [this](const absl::Status& status) { troubles.push_back(status); },
          .on_recovered = [this] { ++recovered; }};
}

}  // namespace stentor::test
