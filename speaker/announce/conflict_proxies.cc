// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/conflict_proxies.h"

#include <algorithm>

namespace stentor::speaker {

bool ConflictProxies::IsProxy(const Segment& segment, const net::MacAddress& mac,
                              TimePoint now) const {
  const auto found = proxies_.find({segment, mac});
  return found != proxies_.end() && found->second > now;
}

ConflictProxies::Added ConflictProxies::Suspected(const Suspect& suspect) {
  const auto [found, is_new] =
      searches_.try_emplace(Segment{suspect.link, suspect.address.family()});
  Search& search = found->second;
  const std::pair key(suspect.address, suspect.mac);
  if (search.suspects.size() >= kMaxSuspects && !search.suspects.contains(key)) {
    return Added::kFull;
  }
  search.suspects.insert(key);
  return is_new ? Added::kMustAsk : Added::kPending;
}

void ConflictProxies::OnAsked(const Segment& segment, bool sent, TimePoint now) {
  const auto search = searches_.find(segment);
  if (search == searches_.end()) {
    return;
  }
  if (!sent) {
    searches_.erase(search);
  } else if (!search->second.until) {
    search->second.until = now + wait_;
    search->second.repeat = now + repeat_;
  }
}

ConflictProxies::Answered ConflictProxies::OnAnswer(const Segment& segment,
                                                    const net::MacAddress& mac, TimePoint now) {
  const auto search = searches_.find(segment);
  if (search == searches_.end() || !search->second.until) {
    return {};  // nobody asked
  }
  const std::pair key(segment, mac);
  const bool is_new = !IsProxy(segment, mac, now);
  if (proxies_.size() >= kMaxProxies && !proxies_.contains(key)) {
    proxies_.erase(
        std::min_element(proxies_.begin(), proxies_.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  proxies_[key] = now + memory_;
  auto& suspects = search->second.suspects;
  const std::size_t proxied =
      std::erase_if(suspects, [&mac](const auto& suspect) { return suspect.second == mac; });
  if (suspects.empty()) {
    searches_.erase(search);
  }
  return {.is_new = is_new, .proxied = proxied};
}

std::vector<ConflictProxies::Suspect> ConflictProxies::Decide(TimePoint now) {
  std::vector<Suspect> owners;
  for (auto item = searches_.begin(); item != searches_.end();) {
    const auto& [segment, search] = *item;
    if (!search.until || *search.until > now) {
      ++item;
      continue;
    }
    for (const auto& [address, mac] : search.suspects) {
      owners.push_back({.address = address, .mac = mac, .link = segment.link});
    }
    item = searches_.erase(item);
  }
  return owners;
}

std::optional<TimePoint> ConflictProxies::NextDecision() const {
  std::optional<TimePoint> next;
  for (const auto& [segment, search] : searches_) {
    if (search.until && (!next || *search.until < *next)) {
      next = search.until;
    }
  }
  return next;
}

std::vector<ConflictProxies::Segment> ConflictProxies::TakeRepeats(TimePoint now) {
  std::vector<Segment> segments;
  for (auto& [segment, search] : searches_) {
    if (search.repeat && *search.repeat <= now) {
      search.repeat.reset();
      segments.push_back(segment);
    }
  }
  return segments;
}

std::optional<TimePoint> ConflictProxies::NextRepeat() const {
  std::optional<TimePoint> next;
  for (const auto& [segment, search] : searches_) {
    if (search.repeat && (!next || *search.repeat < *next)) {
      next = search.repeat;
    }
  }
  return next;
}

bool ConflictProxies::IsPending(const net::IpAddress& address) const {
  return std::any_of(searches_.begin(), searches_.end(), [&address](const auto& item) {
    const auto found = item.second.suspects.lower_bound({address, net::MacAddress()});
    return found != item.second.suspects.end() && found->first == address;
  });
}

void ConflictProxies::Forget(const net::IpAddress& address) {
  for (auto& [segment, search] : searches_) {
    std::erase_if(search.suspects,
                  [&address](const auto& suspect) { return suspect.first == address; });
  }
}

}  // namespace stentor::speaker
