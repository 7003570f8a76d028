// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/membership.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/check.h"
#include "common/crypto/sha256.h"

namespace stentor::speaker {
namespace {

Change ChangeOf(ChangeKind kind, const Peer& peer, Duration silence = {}) {
  return {.kind = kind,
          .node = peer.node,
          .cause = peer.cause,
          .silence = silence,
          .yields = peer.yields};
}

// An ICMP error quotes one of the last datagrams: of more than six seconds, whatever the profile.
constexpr std::uint64_t kRecentDatagrams = 64;

std::uint64_t DigestOf(MemberId id, BootId boot, YieldReasons yields, std::uint64_t claims) {
  ByteWriter text;
  text.U64(id).U64(boot).U16(yields);
  if (claims != 0) {
    text.U64(claims);  // who doesn't know of claims has the same digest where there are none
  }
  const crypto::Sha256Digest digest = crypto::Sha256(text.buffer());
  return ByteReader(digest).U64();
}

}  // namespace

std::string_view SuspicionCauseName(SuspicionCause cause) noexcept {
  switch (cause) {
    case SuspicionCause::kSilence:
      return "silence";
    case SuspicionCause::kUnreachable:
      return "unreachable";
    case SuspicionCause::kToldDead:
      return "told_dead";
    case SuspicionCause::kToldSuspect:
      return "told_suspect";
    case SuspicionCause::kDeaf:
      return "deaf";
  }
  return "unknown";
}

std::string_view ChangeKindName(ChangeKind kind) noexcept {
  switch (kind) {
    case ChangeKind::kJoined:
      return "joined";
    case ChangeKind::kRestarted:
      return "restarted";
    case ChangeKind::kSuspected:
      return "suspected";
    case ChangeKind::kRefuted:
      return "refuted";
    case ChangeKind::kDied:
      return "died";
    case ChangeKind::kLeft:
      return "left";
    case ChangeKind::kRemoved:
      return "removed";
    case ChangeKind::kYieldsChanged:
      return "yields_changed";
    case ChangeKind::kKeyDiffers:
      return "key_differs";
    case ChangeKind::kHolding:
      return "holding";
    case ChangeKind::kReady:
      return "ready";
  }
  return "unknown";
}

Membership::Membership(Options options, Random random)
    : node_(std::move(options.node)),
      profile_(options.profile),
      random_(std::move(random)),
      keyring_(options.secrets),
      id_(MemberIdOf(node_)),
      boot_(NonZeroRandom()) {
  STENTOR_CHECK(!node_.empty() && node_.size() <= kMaxNodeNameSize) << node_;
  CountSelfInDigest();
}

Actions Membership::SetPeers(TimePoint now, const std::vector<PeerAddress>& peers) {
  Actions actions;
  std::map<std::string, std::vector<net::IpAddress>> listed;
  for (const PeerAddress& peer : peers) {
    if (peer.node.empty() || peer.node.size() > kMaxNodeNameSize || peer.node == node_) {
      continue;
    }
    // An old and a new Pod of one node may be listed at once.
    for (const net::IpAddress& address : peer.addresses) {
      std::vector<net::IpAddress>& all = listed[peer.node];
      if (std::find(all.begin(), all.end(), address) == all.end()) {
        all.push_back(address);
      }
    }
  }
  RemoveUnlisted(now, listed, actions);
  if (phase_ == Phase::kNew) {
    next_heartbeat_ = now + profile_.heartbeat_interval;
    Hold(now);
  }
  for (const auto& [node, addresses] : listed) {
    const auto it = peers_.find(node);
    Peer& peer = it == peers_.end() ? Add(node) : it->second;
    const bool is_new = it == peers_.end();
    peer.addresses = addresses;
    if (is_new) {
      Send(now, peer, MessageKind::kProbe, actions);
    }
  }
  if (phase_ == Phase::kHolding && peers_.empty()) {
    BecomeReady(now, actions);
  }
  return actions;
}

Peer& Membership::Add(const std::string& node) {
  Peer& peer = peers_[node];
  peer.node = node;
  peer.id = MemberIdOf(node);
  MakeOutgoing(peer);
  peer.sent = counter_floor_;
  peers_by_id_[peer.id] = &peer;
  return peer;
}

void Membership::RemoveUnlisted(TimePoint now,
                                const std::map<std::string, std::vector<net::IpAddress>>& listed,
                                Actions& actions) {
  bool view_changed = false;
  for (auto it = peers_.begin(); it != peers_.end();) {
    Peer& peer = it->second;
    if (listed.contains(it->first)) {
      ++it;
      continue;
    }
    counter_floor_ = std::max(counter_floor_, peer.sent);
    if (peer.CountsAsAlive()) {
      actions.changes.push_back(ChangeOf(ChangeKind::kRemoved, peer));
      view_changed = true;
    }
    actions.macs_changed |= !peer.macs.empty();
    view_digest_ -= peer.digest;
    std::erase(observers_, &peer);
    peers_by_id_.erase(peer.id);
    it = peers_.erase(it);
  }
  if (view_changed) {
    ViewChanged(now, nullptr, actions);
  }
}

Actions Membership::SetLocalMacs(TimePoint now, const std::set<net::MacAddress>& macs) {
  Actions actions;
  const auto end =
      std::next(macs.begin(), static_cast<std::ptrdiff_t>(std::min(macs.size(), kMaxMacs)));
  std::vector<net::MacAddress> told(macs.begin(), end);
  if (macs_ == told) {
    return actions;
  }
  macs_ = std::move(told);
  if (phase_ != Phase::kNew && leave_ == LeaveState::kNo) {
    TellAll(now, {}, actions);
  }
  return actions;
}

Actions Membership::SetSecrets(TimePoint now, const std::vector<std::string>& secrets) {
  Actions actions;
  keyring_ = Keyring(secrets);
  for (auto& [name, peer] : peers_) {
    MakeOutgoing(peer);
  }
  if (phase_ != Phase::kNew && leave_ == LeaveState::kNo) {
    TellAll(now, {}, actions);  // they learn what we hold
  }
  return actions;
}

bool Membership::AllHoldNewestSecret() const {
  return std::all_of(peers_.begin(), peers_.end(), [this](const auto& entry) {
    return !entry.second.CountsAsAlive() || entry.second.newest_key == keyring_.sealing_key();
  });
}

// Of this boot, and not long ago.
bool Membership::WasSentTo(const Peer& peer, Bytes quoted) const {
  const auto decoded = DecodeHeader(quoted);
  const Header* const header = std::get_if<Header>(&decoded);
  return header != nullptr && header->node == node_ && header->boot == boot_ &&
         header->counter <= peer.sent && peer.sent - header->counter < kRecentDatagrams;
}

Actions Membership::OnUnreachable(TimePoint now, const net::IpAddress& destination, Bytes quoted) {
  Actions actions;
  if (leave_ != LeaveState::kNo) {
    return actions;
  }
  for (auto& [name, peer] : peers_) {
    const bool matches = std::find(peer.addresses.begin(), peer.addresses.end(), destination) !=
                         peer.addresses.end();
    if (!matches || !WasSentTo(peer, quoted)) {
      continue;
    }
    if (peer.state == MemberState::kSuspect) {
      peer.refused = true;
      Touch(peer);
    } else if (peer.state == MemberState::kAlive && now >= peer.next_hint) {
      peer.next_hint = now + profile_.heartbeat_interval;
      Suspect(now, peer, SuspicionCause::kUnreachable, actions);
    }
  }
  return actions;
}

Actions Membership::Leave(TimePoint now) {
  Actions actions;
  if (leave_ != LeaveState::kNo) {
    return actions;
  }
  leave_ = LeaveState::kLeaving;
  leave_until_ = now + profile_.leave_for;
  next_leave_ = now;
  PollLeaving(now, actions);
  if (actions.send.empty()) {
    CompleteLeave();
  }
  ViewChanged(now, nullptr, actions);
  return actions;
}

void Membership::CompleteLeave() { leave_ = LeaveState::kComplete; }

std::set<net::MacAddress> Membership::PeerMacs() const {
  std::set<net::MacAddress> macs;
  for (const auto& [name, peer] : peers_) {
    macs.insert(peer.macs.begin(), peer.macs.end());
  }
  return macs;
}

std::vector<AliveMember> Membership::AliveMembers() const {
  std::vector<AliveMember> members;
  if (leave_ == LeaveState::kNo) {
    members.push_back(
        {.node = node_, .yields = LocalYields(), .claims = claims_, .understands_claims = true});
  }
  for (const auto& [name, peer] : peers_) {
    if (peer.CountsAsAlive()) {
      members.push_back({.node = name,
                         .yields = peer.yields,
                         .claims = peer.claims.known,
                         .understands_claims = peer.understands_claims});
    }
  }
  std::sort(members.begin(), members.end(),
            [](const AliveMember& a, const AliveMember& b) { return a.node < b.node; });
  return members;
}

// Doubts everybody: whatever arrives from now on may have been waiting for long.
void Membership::Hold(TimePoint now) {
  phase_ = Phase::kHolding;
  hold_until_ = now + profile_.hold_for;
  holding_since_ = now;
  confirmed_ = false;
  for (auto& [name, peer] : peers_) {
    peer.fresh = false;
    peer.challenge = 0;
    peer.next_demand = now;
    peer.relay_nonce = 0;
    if (peer.CountsAsAlive()) {
      peer.state = MemberState::kAlive;
      peer.last_heard = now;
      peer.asked_at.reset();
      peer.unseen_since.reset();
      Touch(peer);
    }
  }
}

void Membership::BecomeReady(TimePoint now, Actions& actions) {
  phase_ = Phase::kReady;
  paused_ = false;
  NoteIncarnation();
  actions.changes.push_back({.kind = ChangeKind::kReady, .node = node_});
  ViewChanged(now, nullptr, actions);
  TellAll(now, {}, actions);
}

void Membership::Join(TimePoint now, Peer& peer, ChangeKind kind, Actions& actions) {
  const bool healed = peer.state == MemberState::kDead;
  peer.state = MemberState::kAlive;
  peer.last_heard = now;
  peer.eligible_since = now;
  peer.asked_at.reset();
  peer.unseen_since.reset();
  actions.rival_met |= (peer.yields & kYieldHolding) == 0;
  PublishClaims(now);  // with the first word of ours it may become ready
  actions.changes.push_back(ChangeOf(kind, peer));
  ViewChanged(now, &peer, actions);
  if (!peer.greet) {
    Send(now, peer, MessageKind::kHeartbeat, actions);  // it learns that we see it
  }
  // Others of our side may be dead to it as well. Who was asked in its turn is told, and not who
  // has heard of us from another one of our side, and of all others too: so each one's view goes to
  // somebody else, and all know all after a few.
  const auto sought_at = std::exchange(peer.sought_at, std::nullopt);
  const bool found = sought_at && now - *sought_at < profile_.heartbeat_interval;
  if (healed && peer.session->boot == peer.dead_boot) {
    peer.back_at = now;
    healed_at_ = now;
    cut_at_ = peer.died_at;
  }
  if (healed && found && !Small() && now >= next_view_) {
    next_view_ = now + profile_.heartbeat_interval;
    SendView(now, peer, actions);
  }
}

void Membership::Refute(TimePoint now, Peer& peer, Actions& actions) {
  peer.state = MemberState::kAlive;
  peer.relay_nonce = 0;
  peer.asked_at.reset();
  actions.changes.push_back(ChangeOf(ChangeKind::kRefuted, peer, now - peer.last_heard));
}

void Membership::Suspect(TimePoint now, Peer& peer, SuspicionCause cause, Actions& actions) {
  peer.state = MemberState::kSuspect;
  peer.cause = cause;
  peer.suspected_at = now;
  peer.refused = cause == SuspicionCause::kUnreachable;
  peer.told = cause == SuspicionCause::kToldDead || cause == SuspicionCause::kToldSuspect;
  peer.told_dead = cause == SuspicionCause::kToldDead;
  peer.challenge = 0;  // an echo that was on its way says nothing about now
  peer.relay_nonce = 0;
  peer.next_helper = random_();
  actions.changes.push_back(ChangeOf(ChangeKind::kSuspected, peer, now - peer.last_heard));
  ProbeRound(now, peer, actions);
  Touch(peer);
}

void Membership::DeclareDead(TimePoint now, Peer& peer, Actions& actions) {
  peer.state = MemberState::kDead;
  peer.dead_boot = peer.session->boot;
  peer.died_at = now;
  peer.fresh = false;
  peer.watched = false;
  peer.challenge = 0;
  peer.relay_nonce = 0;
  peer.relays.clear();
  actions.changes.push_back(ChangeOf(ChangeKind::kDied, peer, now - peer.last_heard));
  ViewChanged(now, &peer, actions);
}

void Membership::SetYields(TimePoint now, Peer& peer, YieldReasons yields, Actions& actions) {
  if (peer.yields == yields) {
    return;
  }
  peer.yields = yields;
  peer.eligible_since = now;
  if (peer.CountsAsAlive()) {
    actions.changes.push_back(ChangeOf(ChangeKind::kYieldsChanged, peer));
    ViewChanged(now, &peer, actions);
  }
}

void Membership::ViewChanged(TimePoint now, Peer* peer, Actions& actions) {
  if (peer != nullptr) {
    CountInDigest(*peer);
  }
  CountSelfInDigest();
  view_changed_at_ = now;
  ChooseObservers();
  ++view_version_;
  actions.view_changed = true;
}

// Who hears of us from others knows by it what is newer. It stays at its greatest.
void Membership::NoteIncarnation() {
  incarnation_ += incarnation_ < std::numeric_limits<std::uint32_t>::max() ? 1 : 0;
}

YieldReasons Membership::LocalYields() const noexcept {
  return static_cast<YieldReasons>(Ready() || paused_ ? yields_ : yields_ | kYieldHolding);
}

// The digest is a sum, so that a change costs as much as what changed: nobody who is not a member
// can send one, so that it need not withstand more than accidents.
void Membership::CountInDigest(Peer& peer) {
  view_digest_ -= peer.digest;
  peer.digest = peer.CountsAsAlive() && peer.session
                    ? DigestOf(peer.id, peer.session->boot, peer.yields, peer.claims.told)
                    : 0;
  view_digest_ += peer.digest;
}

void Membership::CountSelfInDigest() {
  view_digest_ -= own_digest_;
  own_digest_ = leave_ == LeaveState::kNo ? DigestOf(id_, boot_, LocalYields(), claims_digest_) : 0;
  view_digest_ += own_digest_;
}

}  // namespace stentor::speaker
