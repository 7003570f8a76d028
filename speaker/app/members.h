// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/io/event_loop.h"
#include "common/net/mac_address.h"
#include "common/obs/log.h"
#include "speaker/election/election.h"
#include "speaker/membership/membership.h"
#include "speaker/net/membership_socket.h"

namespace stentor::speaker {

struct MembersOptions {
  model::NodeName node;      ///< This one.
  std::string bind_address;  ///< As the flag has it.
  std::uint16_t port = 0;
  std::string key;  ///< Empty: datagrams are not sealed.
  Profile profile;
};

struct MembersHandlers {
  std::function<void()> on_view;            ///< Ready() or Speakers() is not what it was.
  std::function<void()> on_rival;           ///< Announce again: Actions::rival_met.
  std::function<void()> on_macs;            ///< PeerMacs() is not what it was.
  std::function<void()> on_unknown_sender;  ///< Somebody is not on the list of speakers (yet).
  std::function<void()> on_left;            ///< All have heard the goodbye, or had their time.
};

/// Carries datagrams and time into Membership, and out again what it says. Lives on the event
/// loop's thread; loop and log must outlive it.
class Members {
 public:
  Members(io::EventLoop& loop, const obs::Logger& log, MembersOptions options,
          MembersHandlers handlers);
  ~Members();
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;

  /// Opens the socket. Errors: what is wrong with the address, or can't be opened.
  [[nodiscard]] absl::Status Start();

  void SetPeers(const std::vector<PeerAddress>& peers);
  /// Adds or takes away one of this speaker's reasons to yield.
  void SetYield(YieldReason reason, bool holds);
  void SetMacs(const std::set<net::MacAddress>& macs);
  /// Before anything is announced or answered: after a pause others may do so for our addresses.
  void NoteTime();
  void Leave();

  [[nodiscard]] bool Ready() const { return membership_.Ready(); }
  [[nodiscard]] std::vector<Speaker> Speakers() const;
  [[nodiscard]] const Membership& membership() const noexcept { return membership_; }

 private:
  void OnReadable();
  void Carry(const Actions& actions);
  void Tell(const Change& change) const;

  io::EventLoop& loop_;
  const obs::Logger& log_;
  const MembersOptions options_;
  const MembersHandlers handlers_;
  Membership membership_;
  YieldReasons yields_ = kYieldsNothing;
  bool leaving_ = false;
  std::optional<MembershipSocket> socket_;
  std::unique_ptr<io::DescriptorWatch> watch_;
  io::Timer timer_;
};

}  // namespace stentor::speaker
