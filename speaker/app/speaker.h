// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/io/config_watch.h"
#include "common/io/event_loop.h"
#include "common/io/kube_client.h"
#include "common/obs/health.h"
#include "common/obs/log.h"
#include "speaker/announce/announcer.h"
#include "speaker/announce/links.h"
#include "speaker/app/flags.h"
#include "speaker/app/metrics.h"
#include "speaker/membership/membership.h"
#include "speaker/net/link_monitor.h"
#include "speaker/net/membership_socket.h"
#include "speaker/net/packet_ports.h"
#include "speaker/reconcile/reconciler.h"

namespace stentor::speaker {

/// What the speaker is started with, besides its flags.
struct SpeakerInputs {
  Flags flags;
  NameFilter excluded_interfaces;
  std::string member_key;  ///< Empty: datagrams between speakers are not sealed.
};

/// Brings the parts of a speaker together: API and membership → reconciler → announcer → packet
/// ports. Lives on the event loop's thread; loop, client, log and health must outlive it.
class SpeakerApp {
 public:
  SpeakerApp(SpeakerInputs inputs, io::EventLoop& loop, io::KubeClient& client,
             const obs::Logger& log, obs::Health& health);
  ~SpeakerApp();
  SpeakerApp(const SpeakerApp&) = delete;
  SpeakerApp& operator=(const SpeakerApp&) = delete;

  /// Opens sockets and begins to watch. Errors: what can't be opened, in one line.
  [[nodiscard]] absl::Status Start();

  /// Says goodbye to the other speakers, and stops the loop when they have heard it or shortly
  /// after.
  void Stop();

  /// For one scrape.
  void Collect(obs::MetricSet& metrics) const;

 private:
  // speaker.cc: sockets, elections and what follows from them
  [[nodiscard]] absl::Status StartLinks();
  void OnLinks();
  void ReopenLinks();
  [[nodiscard]] absl::Status StartMembership();
  void NoteTime();
  void OnMemberSocket();
  void Carry(const Actions& actions);
  void Tell(const Change& change);
  void ScheduleReconcile();
  void Reconcile();
  void Tell(const OwnershipChange& change);

  // watches.cc: objects of the API
  void StartWatches();
  [[nodiscard]] std::unique_ptr<io::WatchHandle> Watch(io::ResourceWatch resource,
                                                       io::WatchHandlers handlers);
  void WatchServices();
  void WatchNodes();
  void Unreadable(const absl::Status& status);
  void OnConfigChange();
  void TakeConfig();
  void Synced(const std::string& resource);
  [[nodiscard]] bool AllSynced() const;
  void EmitNodeAssigned(const OwnershipChange& change);

  // endpoints.cc: where Services have endpoints
  void WatchSlices();
  void WatchEndpoints();
  void DropEndpoints();

  // peers.cc: the other speakers
  void WatchPods();
  void SetPeers();

  const SpeakerInputs inputs_;
  const Flags& flags_;
  io::EventLoop& loop_;
  io::KubeClient& client_;
  const obs::Logger& log_;
  obs::Health& health_;
  Metrics metrics_;

  Links links_;
  Announcer announcer_;
  PacketPorts ports_;
  std::unique_ptr<LinkMonitor> link_monitor_;
  std::unique_ptr<io::DescriptorWatch> link_watch_;
  io::Timer link_timer_;

  std::optional<Membership> membership_;
  std::optional<MembershipSocket> member_socket_;
  std::unique_ptr<io::DescriptorWatch> member_watch_;
  io::Timer member_timer_;

  Reconciler reconciler_;
  io::ConfigWatch config_watch_;
  std::map<model::ObjectKey, model::Pod> pods_;
  std::unique_ptr<io::WatchHandle> pods_watch_;
  std::unique_ptr<io::WatchHandle> endpoints_watch_;  // only where slices are refused
  std::set<model::ObjectKey> endpoints_;              // what it brought
  std::set<model::NodeName> nodes_;
  std::map<std::string, bool> synced_;  // by resource
  bool reconcile_scheduled_ = false;
  bool stopping_ = false;
  std::vector<std::unique_ptr<io::WatchHandle>> watches_;
};

}  // namespace stentor::speaker
