// SPDX-License-Identifier: Apache-2.0

/// \file
/// A Lease as the API server answers with it: decoded, and written back. It goes through a standby
/// too, as the answer to its first question and as what a watch shows.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/kube/codec.h"
#include "common/kube/lease.h"
#include "controller/leader/leader_elector.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace kube = stentor::kube;
  namespace controller = stentor::controller;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const controller::Moment at{stentor::TimePoint(std::chrono::hours(1)), {}};

  controller::LeaderOptions options;
  options.lease = {"ns", "name"};
  options.identity = "self";
  controller::LeaderElector elector(options, [] { return 0.5; });
  const auto first = elector.Poll(at);
  const auto next = elector.OnAnswer(at, first.request->ticket,
                                     kube::Response{200, std::string(text), std::nullopt});
  if (elector.MayWrite(at.now) || next.changes.size() > 2) {
    std::abort();  // reading alone makes no leader
  }

  const auto json = kube::ParseJson(text);
  const auto lease = json.ok() ? kube::DecodeLease(*json) : json.status();
  if (!lease.ok()) {
    return 0;
  }
  (void)elector.OnLease(at, *lease);
  const auto body = kube::ParseJson(kube::BuildLeaseBody(
      *lease, {.holder = "self", .duration_seconds = 15, .renewed = {}, .acquired = {}}));
  const auto again = body.ok() ? kube::DecodeLease(*body) : body.status();
  if (!again.ok() || again->holder != "self" ||
      again->resource_version != lease->resource_version) {
    std::abort();
  }
  return 0;
}
