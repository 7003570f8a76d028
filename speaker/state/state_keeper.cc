// SPDX-License-Identifier: Apache-2.0
#include "speaker/state/state_keeper.h"

#include <algorithm>

#include "common/base/strings.h"
#include "speaker/state/lines.h"

namespace stentor::speaker {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;

}  // namespace

void StateKeeper::Upsert(const model::Service& service) {
  Put(Resource::kServices, service.key, {.text = LineOf(service)});
}

void StateKeeper::Upsert(const model::EndpointSlice& slice) {
  Put(Resource::kSlices, slice.key, {.text = LineOf(slice), .service = slice.service_name});
}

void StateKeeper::Upsert(const model::Node& node) {
  Put(Resource::kNodes, {"", node.name}, {.text = LineOf(node)});
}

void StateKeeper::Upsert(const model::Pod& pod) {
  Put(Resource::kPods, pod.key, {.text = LineOf(pod)});
}

void StateKeeper::Upsert(const model::IpAddressPoolResource& pool) {
  Put(Resource::kPools, pool.key, {.text = LineOf(pool)});
}

void StateKeeper::Upsert(const model::L2AdvertisementResource& advertisement) {
  Put(Resource::kAdvertisements, advertisement.key, {.text = LineOf(advertisement)});
}

void StateKeeper::Upsert(const model::AddressPoolResource& pool) {
  Put(Resource::kAddressPools, pool.key, {.text = LineOf(pool)});
}

void StateKeeper::Upsert(const model::ConfigMapEntry& entry) {
  Put(Resource::kConfigMap, entry.key, {.text = LineOf(entry)});
}

void StateKeeper::Delete(Resource resource, const model::ObjectKey& key) {
  Lines& lines = objects_[resource];
  const auto it = lines.find(key);
  if (it == lines.end()) {
    return;
  }
  dirty_ = dirty_ || resource != Resource::kSlices || IsSaved(key, it->second);
  lines.erase(it);
}

void StateKeeper::SetAnnounced(const LastAnnounced& announced) {
  if (announced_ != announced) {
    announced_ = announced;
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

void StateKeeper::Put(Resource resource, const model::ObjectKey& key, Line line) {
  Line& held = objects_[resource][key];
  if (held == line) {
    return;
  }
  // A slice that moves to a Service that nobody knows is out of the text, too.
  dirty_ = dirty_ || resource != Resource::kSlices || IsSaved(key, held) || IsSaved(key, line);
  line.text.shrink_to_fit();  // there are thousands
  held = std::move(line);
}

bool StateKeeper::IsSaved(const model::ObjectKey& slice, const Line& line) const {
  const auto services = objects_.find(Resource::kServices);
  return services != objects_.end() && services->second.contains({slice.name_space, line.service});
}

std::string StateKeeper::Text(WallTime wall) const {
  StateText text(identity_, wall);
  for (const auto& [resource, lines] : objects_) {
    for (const auto& [key, line] : lines) {
      if (resource != Resource::kSlices || IsSaved(key, line)) {
        text.Add(line.text);
      }
    }
  }
  for (const auto& [service, addresses] : announced_) {
    text.Add(LineOf(service, addresses));
  }
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
