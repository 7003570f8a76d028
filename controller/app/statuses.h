// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/config/config.h"
#include "common/io/configuration_state_writer.h"
#include "common/io/context.h"
#include "common/io/lifetime.h"
#include "controller/allocator/address_allocator.h"
#include "controller/status/bgp_notice.h"
#include "controller/status/pool_status_keeper.h"

namespace stentor::controller {

struct StatusesOptions {
  std::string name_space;
  std::string pod_name;  ///< Owner of the ConfigurationState; empty: nobody.
  /// Whether this replica may write now; asked right before each write.
  std::function<bool()> may_write;
};

/// Carries what the controller says of its configuration to the API server: its ConfigurationState,
/// the status of pools, and that BGP is not spoken. All of it is the leader's to write. Lives on
/// the event loop's thread.
class Statuses {
 public:
  Statuses(const io::Context& context, StatusesOptions options);
  ~Statuses();
  Statuses(const Statuses&) = delete;
  Statuses& operator=(const Statuses&) = delete;

  /// Whether this replica leads. The first time that it does, it begins to watch.
  void SetLeading(bool leading);

  /// From the watch of IPAddressPools.
  void PoolSeen(const nlohmann::json& object);
  void PoolGone(const model::ObjectKey& key);

  /// What became of the last configuration.
  void ConfigOutcome(const absl::StatusOr<config::Config>& outcome);
  /// How much of each pool in force is in use.
  void SetUsage(const config::Config& config, const AddressAllocator& allocator);

 private:
  void Start();
  void LookForPod();
  void WatchBgp(BgpKind kind, const std::string& path, const std::string& resource);
  void UpdateBgp();

  void Schedule();
  void Poll();
  void Send(status::StatusRequest request);

  const io::Context context_;
  const StatusesOptions options_;
  io::ConfigurationStateWriter state_;
  PoolStatusKeeper pools_;
  BgpNotice bgp_notice_;
  std::map<std::pair<BgpKind, model::ObjectKey>, std::string> bgp_objects_;  // and their uid
  std::set<BgpKind> bgp_kinds_unread_ = {BgpKind::kAdvertisement, BgpKind::kPeer};
  bool leading_ = false;
  bool started_ = false;
  bool scheduled_ = false;
  io::Timer timer_;
  io::Timer pod_timer_;
  std::vector<std::unique_ptr<io::WatchHandle>> watches_;
  io::Lifetime lifetime_;
};

}  // namespace stentor::controller
