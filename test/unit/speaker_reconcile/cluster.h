// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The reconcilers of several nodes that hear at once what the others claim.

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/unit/speaker_reconcile/fixture.h"

namespace stentor::speaker {

class Cluster {
 public:
  Cluster(const std::vector<std::string>& nodes, config::FailBackDelay fail_back)
      : config_(OnePool({{.name = "all", .fail_back = fail_back}})) {
    for (const std::string& node : nodes) {
      nodes_[node] = NodeNamed(node.c_str());
    }
    for (const std::string& node : nodes) {
      Start(node);
    }
    Settle();
  }

  /// Tells all speakers the same; they hold their elections at the next Settle().
  template <typename Tell>
  void TellAll(Tell tell) {
    for (auto& [node, reconciler] : speakers_) {
      tell(*reconciler);
    }
  }
  void SetConfig(config::Config config) {
    config_ = std::move(config);
    TellAll([this](Reconciler& r) { r.SetConfig(config_); });
  }
  void SetService(const model::Service& service) {
    services_[service.key] = service;
    TellAll([&](Reconciler& r) { r.UpsertService(service); });
  }
  void SetSlice(const model::EndpointSlice& slice) {
    slices_[slice.key] = slice;
    TellAll([&](Reconciler& r) { r.UpsertSlice(slice); });
  }
  void SetNode(const model::Node& node) {
    nodes_[node.name] = node;
    TellAll([&](Reconciler& r) { r.UpsertNode(node); });
  }

  /// A speaker without a memory.
  void Start(const std::string& node) {
    auto reconciler = std::make_unique<Reconciler>(Reconciler::Options{
        .node = node,
        .highest_epoch = [this](AddressKey address) { return HighestEpoch(address); }});
    for (const auto& [name, known] : nodes_) {
      reconciler->UpsertNode(known);
    }
    reconciler->SetConfig(config_);
    for (const auto& [key, service] : services_) {
      reconciler->UpsertService(service);
    }
    for (const auto& [key, slice] : slices_) {
      reconciler->UpsertSlice(slice);
    }
    last_claims_[node].clear();
    yielding_.erase(node);
    ++starts_[node];
    speakers_.insert_or_assign(node, std::move(reconciler));
  }
  void Kill(const std::string& node) {
    speakers_.erase(node);
    yielding_.erase(node);
  }
  void Yield(const std::string& node, bool yields) {
    if (yields) {
      yielding_.insert(node);
    } else {
      yielding_.erase(node);
    }
  }

  /// A speaker that knows nothing of claims, on a node that no election knows.
  void SetOldSpeaker(bool lives) { old_speaker_ = lives; }

  /// Until nobody claims anything else any more; all hear of each other's claims at once.
  void Settle() {
    for (int round = 0; round < 10; ++round) {
      bool quiet = true;
      for (auto& [node, reconciler] : speakers_) {
        reconciler->SetSpeakers(Seen(), true);
        (void)reconciler->Reconcile(now);
        Claims& last = last_claims_[node];
        quiet = quiet && last == reconciler->claims();
        last = reconciler->claims();
        for (StayNotice& notice : reconciler->TakeStayNotices()) {
          notices.push_back(std::move(notice));
        }
      }
      if (quiet && round > 0) {
        return;
      }
    }
    FAIL("claims change for ever");
  }
  void SettleAt(Duration later) {
    now += later;
    Settle();
  }

  /// Who announces `address`; "" for nobody, all of them where they are several.
  [[nodiscard]] std::string Owner(const net::IpAddress& address = kVip) const {
    std::string owner;
    for (const auto& [node, reconciler] : speakers_) {
      if (reconciler->announcements().contains(address)) {
        owner += owner.empty() ? node : "+" + node;
      }
    }
    return owner;
  }
  [[nodiscard]] std::uint32_t EpochOf(const std::string& node,
                                      const net::IpAddress& address = kVip) const {
    const auto it = last_claims_.find(node);
    return it == last_claims_.end() ? 0 : speaker::EpochOf(it->second, AddressKeyOf(address));
  }
  [[nodiscard]] Reconciler& Of(const std::string& node) { return *speakers_.at(node); }
  [[nodiscard]] bool Lives(const std::string& node) const { return speakers_.contains(node); }
  [[nodiscard]] int Starts(const std::string& node) const { return starts_.at(node); }
  [[nodiscard]] bool Yields(const std::string& node) const { return yielding_.contains(node); }
  [[nodiscard]] const model::Node& Node(const std::string& node) const { return nodes_.at(node); }

  TimePoint now = kNow;
  std::vector<StayNotice> notices;

 private:
  [[nodiscard]] std::vector<Speaker> Seen() const {
    std::vector<Speaker> seen;
    for (const auto& [node, reconciler] : speakers_) {
      const Claims& claims = last_claims_.at(node);
      seen.push_back({.node = node,
                      .yields = yielding_.contains(node),
                      .claims = claims.empty() ? nullptr : std::make_shared<const Claims>(claims)});
    }
    if (old_speaker_) {
      seen.push_back({.node = "old", .understands_claims = false});
    }
    return seen;
  }
  [[nodiscard]] std::uint32_t HighestEpoch(AddressKey address) const {
    std::uint32_t highest = 0;
    for (const auto& [node, claims] : last_claims_) {
      highest = std::max(highest, speaker::EpochOf(claims, address));
    }
    return highest;
  }

  config::Config config_;
  std::map<std::string, model::Node> nodes_;
  std::map<model::ServiceKey, model::Service> services_ = {{kKey, WebService()}};
  std::map<model::ObjectKey, model::EndpointSlice> slices_ = {{WebSlice().key, WebSlice()}};
  std::map<std::string, std::unique_ptr<Reconciler>> speakers_;
  std::map<std::string, Claims> last_claims_;  // of dead ones too
  std::set<std::string> yielding_;
  bool old_speaker_ = false;
  std::map<std::string, int> starts_;
};

inline const Duration kTakenWithin = Reconciler::Options().taken_within;
inline const std::vector<std::string> kBoth = {"iris1", "iris2"};

inline config::Config Staying(config::FailBackDelay fail_back, config::L2Advertisement ad = {}) {
  ad.name = "all";
  ad.fail_back = fail_back;
  return OnePool({ad});
}

// iris1 was away, and is back; iris2 has kVip.
inline void Return(Cluster& cluster) {
  cluster.Kill("iris1");
  cluster.Settle();
  REQUIRE(cluster.Owner() == "iris2");
  cluster.Start("iris1");
  cluster.Settle();
}

inline StayNotice Stays(std::optional<Duration> delay) {
  return {.service = kKey, .preferred = "iris1", .delay = delay};
}
inline StayNotice GoesBack(Duration delay) {
  return {.service = kKey, .preferred = "iris1", .given_back = true, .delay = delay};
}

}  // namespace stentor::speaker
