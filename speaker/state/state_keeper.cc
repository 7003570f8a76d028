// SPDX-License-Identifier: Apache-2.0
#include "speaker/state/state_keeper.h"

#include <algorithm>

#include "common/base/strings.h"
#include "speaker/state/lines.h"

namespace stentor::speaker {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;

}  // namespace

void StateKeeper::Upsert(const model::Node& node) {
  Put(Resource::kNodes, {"", node.name}, LineOf(node));
}

void StateKeeper::Upsert(const model::Pod& pod) { Put(Resource::kPods, pod.key, LineOf(pod)); }

void StateKeeper::Upsert(const model::IpAddressPoolResource& pool) {
  Put(Resource::kPools, pool.key, LineOf(pool));
}

void StateKeeper::Upsert(const model::L2AdvertisementResource& advertisement) {
  Put(Resource::kAdvertisements, advertisement.key, LineOf(advertisement));
}

void StateKeeper::Upsert(const model::AddressPoolResource& pool) {
  Put(Resource::kAddressPools, pool.key, LineOf(pool));
}

void StateKeeper::Upsert(const model::ConfigMapEntry& entry) {
  Put(Resource::kConfigMap, entry.key, LineOf(entry));
}

void StateKeeper::Delete(Resource resource, const model::ObjectKey& key) {
  if (objects_[resource].erase(key) > 0) {
    dirty_ = true;
  }
}

std::optional<std::string> StateKeeper::Poll(TimePoint now, WallTime wall) {
  if (const auto due = NextDeadline(); !due || now < *due) {
    return std::nullopt;
  }
  std::string text = Text(wall);
  octets_ = text.size();
  if (octets_ > kMaxStateOctets) {
    Failed(now, absl::ResourceExhaustedError(
                    StrCat("the state has ", octets_, " octets, more than ", kMaxStateOctets)));
    return std::nullopt;
  }
  dirty_ = false;
  under_way_ = true;
  not_before_ = now + kInterval * (1 + octets_ / kMiB);
  return text;
}

void StateKeeper::OnWritten(TimePoint now, const absl::Status& outcome) {
  under_way_ = false;
  if (!outcome.ok()) {
    Failed(now, outcome);
    return;
  }
  if (std::exchange(failures_, 0) > 0) {
    notice_ = absl::OkStatus();
  }
}

std::optional<TimePoint> StateKeeper::NextDeadline() const {
  if (!complete_ || !dirty_ || under_way_) {
    return std::nullopt;
  }
  return not_before_.value_or(TimePoint());  // at once
}

std::size_t StateKeeper::size() const {
  std::size_t count = 0;
  for (const auto& [resource, lines] : objects_) {
    count += lines.size();
  }
  return count;
}

void StateKeeper::Put(Resource resource, const model::ObjectKey& key, std::string line) {
  std::string& held = objects_[resource][key];
  if (held == line) {
    return;
  }
  line.shrink_to_fit();  // it stays
  held = std::move(line);
  dirty_ = true;
}

std::string StateKeeper::Text(WallTime wall) const {
  StateText text(identity_, wall);
  for (const auto& [resource, lines] : objects_) {
    for (const auto& [key, line] : lines) {
      text.Add(line);
    }
  }
  sources_.services([&text](const model::Service& service) { text.Add(LineOf(service)); });
  sources_.slices([&text](const model::EndpointSlice& slice) { text.Add(LineOf(slice)); });
  return std::move(text).Finish();
}

void StateKeeper::Failed(TimePoint now, const absl::Status& why) {
  dirty_ = true;
  if (++failures_ == 1) {
    notice_ = why;
  }
  Duration wait = kRetry;
  for (int i = 1; i < failures_ && wait < kMaxRetry; ++i) {
    wait *= 2;
  }
  not_before_ = now + std::min(wait, kMaxRetry);
}

}  // namespace stentor::speaker
