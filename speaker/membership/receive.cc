// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: from strangers' bytes to news of a member.

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "speaker/membership/membership.h"

namespace stentor::speaker {
namespace {

using std::chrono_literals::operator""min;

// A key that differs is said once in so long for each node: strangers can cause it.
constexpr Duration kKeyReportInterval = 10min;

// Nobody knows a later incarnation of ours than we do, unless something has gone wrong; one that is
// far ahead would bring ours to its end.
constexpr std::uint32_t kMostAhead = 1U << 16U;

bool Lists(const Peer& peer, const net::IpAddress& address) {
  return std::find(peer.addresses.begin(), peer.addresses.end(), address) != peer.addresses.end();
}

}  // namespace

Actions Membership::OnDatagram(TimePoint now, const net::IpAddress& source, Bytes datagram,
                               Duration age) {
  Actions actions;
  if (leave_ == LeaveState::kNo) {
    NoteLateness(now, actions);
  }
  actions.dropped = Receive(now, source, datagram,
                            std::clamp(age, Duration(), profile_.heartbeat_interval), actions);
  if (actions.dropped) {
    ++drops_[static_cast<std::size_t>(*actions.dropped)];
  }
  return actions;
}

std::optional<MembershipDrop> Membership::Receive(TimePoint now, const net::IpAddress& source,
                                                  Bytes datagram, Duration age, Actions& actions) {
  const auto decoded = DecodeHeader(datagram);
  if (const auto* drop = std::get_if<MembershipDrop>(&decoded)) {
    return *drop;
  }
  const Header& header = std::get<Header>(decoded);
  if (header.node == node_) {
    return MembershipDrop::kOwnName;
  }
  const auto it = peers_.find(header.node);
  if (it == peers_.end()) {
    return MembershipDrop::kUnknownSender;
  }
  Peer& peer = it->second;
  if (!authenticated() && !Lists(peer, source)) {
    return MembershipDrop::kWrongSource;
  }
  if (!keyring_.Has(header.key)) {
    ReportWrongKey(now, source, peer, actions);
    return MembershipDrop::kWrongKey;
  }

  const auto same_boot = [&header](const std::optional<Session>& s) {
    return s && s->boot == header.boot;
  };
  if (std::find(peer.former_boots.begin(), peer.former_boots.end(), header.boot) !=
      peer.former_boots.end()) {
    return MembershipDrop::kReplay;
  }
  const bool known = same_boot(peer.session);
  std::optional<Session>& slot = known ? peer.session : peer.pending;
  if (same_boot(slot) && !slot->seen.IsNew(header.counter)) {
    return MembershipDrop::kReplay;
  }
  // Another boot, or the same one under another secret: nothing is replaced before it proved
  // authentic.
  std::optional<Channel> channel;
  if (!same_boot(slot) || slot->key != header.key) {
    channel = keyring_.MakeChannel(header.key, header.boot, header.node, node_);
  }
  std::array<std::byte, kMaxDatagramSize> plaintext;
  const std::size_t clear = HeaderSize(header.node.size());
  const std::optional<std::size_t> size =
      (channel ? *channel : slot->channel)
          .Open(header.counter, datagram.first(clear), datagram.subspan(clear), plaintext);
  if (!size || header.counter == 0) {
    return MembershipDrop::kNotAuthentic;
  }
  if (!same_boot(slot)) {
    slot.emplace();
    slot->boot = header.boot;
  }
  if (channel) {
    slot->key = header.key;
    slot->channel = std::move(*channel);
  }
  const bool newest = slot->seen.IsNewest(header.counter);
  slot->seen.Mark(header.counter);
  const std::optional<Body> body = DecodeBody(Bytes(plaintext).first(*size));
  if (!body) {
    return MembershipDrop::kMalformed;
  }
  if (newest) {
    slot->latest = {.yields = body->yields,
                    .incarnation = body->incarnation,
                    .newest_key = body->newest_key,
                    .claims_digest = body->claims_digest,
                    .understands_claims = body->understands_claims,
                    .takes_quiet = body->takes_quiet,
                    .watched = body->watched,
                    .sees_us = body->seen_boot == boot_};
  }
  const auto drop = known ? OnSession(now, peer, *body, newest, now - age, actions)
                          : OnNewBoot(now, peer, *body, actions);
  RequestClaims(now, peer, actions);
  Touch(peer);
  return drop;
}

void Membership::ReportWrongKey(TimePoint now, const net::IpAddress& source, Peer& peer,
                                Actions& actions) {
  if (!Lists(peer, source)) {
    return;
  }
  other_key_at_ = now;
  // Who is alive has our key; the same bytes in its name are then somebody else's.
  if (peer.CountsAsAlive() ||
      (peer.key_reported_at && now - *peer.key_reported_at < kKeyReportInterval)) {
    return;
  }
  peer.key_reported_at = now;
  actions.changes.push_back({.kind = ChangeKind::kKeyDiffers, .node = peer.node});
}

bool Membership::ConsumeEcho(TimePoint now, Peer& peer, std::uint64_t echo) {
  if (echo == 0 || echo != peer.challenge ||
      now - peer.challenged_at > profile_.challenge_lifetime) {
    return false;
  }
  peer.challenge = 0;  // the next proof needs another one
  return true;
}

// From a boot that has not proved that it is not a recording.
std::optional<MembershipDrop> Membership::OnNewBoot(TimePoint now, Peer& peer, const Body& body,
                                                    Actions& actions) {
  if (leave_ != LeaveState::kNo || body.kind == MessageKind::kLeaving) {
    return MembershipDrop::kUnconfirmedBoot;
  }
  if (body.challenge != 0) {
    peer.pending->owed_echo = body.challenge;
  }
  if (!ConsumeEcho(now, peer, body.echo)) {
    Demand(now, peer, actions);
    return MembershipDrop::kUnconfirmedBoot;
  }
  const bool restarted = peer.CountsAsAlive();
  if (peer.session) {
    std::rotate(peer.former_boots.begin(), peer.former_boots.end() - 1, peer.former_boots.end());
    peer.former_boots.front() = peer.session->boot;
  }
  peer.session = std::exchange(peer.pending, std::nullopt);
  peer.session->seen.Close();
  peer.fresh = true;
  peer.has_seen_us = false;
  peer.unseen_since.reset();
  peer.to_answer = false;
  peer.incarnation = 0;
  peer.relayed_at.reset();
  peer.yields = peer.session->latest.yields;
  ForgetClaims(now, peer, restarted);
  TakeReport(now, peer, actions);  // what proved it may have been overtaken
  Join(now, peer, restarted ? ChangeKind::kRestarted : ChangeKind::kJoined, actions);
  AnswerRelays(now, peer, actions);
  return OnNews(now, peer, body, actions);
}

// From the boot that we know.
std::optional<MembershipDrop> Membership::OnSession(TimePoint now, Peer& peer, const Body& body,
                                                    bool newest, TimePoint arrived,
                                                    Actions& actions) {
  if (leave_ != LeaveState::kNo) {
    peer.left_confirmed |= body.seen_boot != boot_;
    if (!peer.left_confirmed && body.challenge != 0) {
      // Our goodbye could be a recording, for all that it knows.
      peer.session->owed_echo = body.challenge;
      Send(now, peer, MessageKind::kLeaving, actions);
    }
    const bool all = std::all_of(peers_.begin(), peers_.end(), [](const auto& entry) {
      return entry.second.left_confirmed || !entry.second.CountsAsAlive();
    });
    if (all) {
      CompleteLeave();
    }
    return std::nullopt;
  }
  const bool proved = ConsumeEcho(now, peer, body.echo);
  if (body.kind == MessageKind::kLeaving) {
    if (peer.CountsAsAlive() && (peer.fresh || proved)) {
      peer.state = MemberState::kLeft;
      peer.fresh = false;
      actions.changes.push_back({.kind = ChangeKind::kLeft, .node = peer.node});
      ViewChanged(now, &peer, actions);
    }
    Demand(now, peer, actions);  // tells it that we know
    return std::nullopt;
  }
  if (peer.state == MemberState::kLeft) {
    return MembershipDrop::kUnconfirmedBoot;  // on its way while it left; it comes back as another
  }
  if (body.challenge != 0) {
    peer.session->owed_echo = body.challenge;
  }
  const bool again = proved && !peer.fresh;
  peer.to_answer &= !proved;
  peer.fresh |= proved;
  if (!peer.fresh) {
    Demand(now, peer, actions);
    return MembershipDrop::kUnconfirmedBoot;
  }

  if (newest || again) {
    TakeReport(now, peer, actions);
  } else if (body.claims_digest != 0 && body.claims_digest != peer.claims.told) {
    // Overtaken by a later one: it has let go of that already, and we may never have known it.
    actions.rival_met |= claims_ && MayBeRival(now, peer);
  }
  if (peer.state == MemberState::kSuspect) {
    Refute(now, peer, actions);
  } else if (peer.state != MemberState::kAlive) {
    Join(now, peer, ChangeKind::kJoined, actions);
  }
  peer.last_heard = std::max(peer.last_heard, arrived);
  peer.asked_at.reset();
  if (proved) {
    AnswerRelays(now, peer, actions);
  }
  if (peer.session->owed_echo != 0) {
    Send(now, peer, MessageKind::kAnswer, actions);
  }
  return OnNews(now, peer, body, actions);
}

// What the newest datagram of a proven boot says of its sender.
void Membership::TakeReport(TimePoint now, Peer& peer, Actions& actions) {
  const SelfReport& report = peer.session->latest;
  // What another speaker has just heard of it may be newer than what was on its way to us.
  const bool overtaken = peer.relayed_at && report.incarnation < peer.incarnation &&
                         now - *peer.relayed_at < profile_.heartbeat_interval;
  if (!overtaken) {
    peer.relayed_at.reset();
    peer.incarnation = report.incarnation;
    SetYields(now, peer, report.yields, actions);
    SetToldClaims(now, peer, report.claims_digest, actions);
  }
  if (std::exchange(peer.understands_claims, report.understands_claims) !=
      report.understands_claims) {
    ViewChanged(now, &peer, actions);
  }
  peer.watched = report.watched;
  peer.newest_key = report.newest_key;
  if (report.sees_us) {
    // It had given us up, and not we it: somebody else may have announced what is ours.
    actions.rival_met |= peer.unseen_since && peer.has_seen_us;
    peer.has_seen_us = true;
    peer.unseen_since.reset();
  } else if (!peer.unseen_since) {
    peer.unseen_since = now;
    Demand(now, peer, actions);
  }
}

// What a proven member tells beyond its own life.
std::optional<MembershipDrop> Membership::OnNews(TimePoint now, Peer& peer, const Body& body,
                                                 Actions& actions) {
  std::optional<MembershipDrop> drop;
  if (peer.macs != body.macs) {
    peer.macs = body.macs;
    actions.macs_changed = true;
  }
  switch (body.kind) {
    case MessageKind::kRelayRequest:
      OnRelayRequest(now, peer, body, actions);
      break;
    case MessageKind::kRelayedAnswer:
      OnRelayedAnswer(now, peer, body, actions);
      break;
    case MessageKind::kClaimsRequest:
      OnClaimsRequest(now, peer, body, actions);
      break;
    case MessageKind::kClaims:
      drop = OnClaims(now, body, actions);
      break;
    default:
      for (const Note& note : body.notes) {
        const auto about = peers_by_id_.find(note.member);
        if (note.member == id_) {
          OnNoteAboutSelf(now, note, actions);
        } else if (about != peers_by_id_.end() && about->second != &peer) {
          OnNote(now, peer, *about->second, note, actions);
        }
      }
  }
  CompareViews(now, peer, body.view_digest, actions);
  if (return_until_ && AllAnswered()) {
    Return(now, actions);
  }
  confirmed_ |= body.seen_boot == boot_;
  if (phase_ == Phase::kHolding && confirmed_ && IsReadyFor(body.view_digest)) {
    BecomeReady(now, actions);
  }
  return drop;
}

// Of a speaker that holds: whether it may announce, where a peer that sees it tells such a digest.
// After a start, whoever may announce what we would has to be known; after a pause, silence is
// worse, unless somebody may have claimed meanwhile what was ours.
bool Membership::IsReadyFor(std::uint64_t view_digest) const {
  if (!KnowsClaims()) {
    return false;
  }
  if (!paused_ || view_digest == view_digest_) {
    return view_digest == view_digest_;
  }
  return !AnybodyClaims() || std::none_of(peers_.begin(), peers_.end(), [](const auto& entry) {
    return entry.second.CountsAsAlive() && !entry.second.fresh;
  });
}

bool Membership::AnybodyClaims() const {
  return claims_ || std::any_of(peers_.begin(), peers_.end(), [](const auto& entry) {
           return entry.second.CountsAsAlive() && entry.second.claims.told != 0;
         });
}

void Membership::OnNoteAboutSelf(TimePoint now, const Note& note, Actions& actions) {
  if (note.boot != boot_ || note.state == NoteState::kAlive || note.incarnation < incarnation_ ||
      note.incarnation - incarnation_ > kMostAhead) {
    return;
  }
  incarnation_ = note.incarnation;
  NoteIncarnation();
  actions.rival_met |= note.state == NoteState::kDead;
  TellAll(now, {}, actions);
}

// Others' word makes us look; what we find decides. So a lie or an error costs a few probes.
void Membership::OnNote(TimePoint now, Peer& from, Peer& about, const Note& note,
                        Actions& actions) {
  const bool same_boot = about.session && about.session->boot == note.boot;
  if (note.state == NoteState::kAlive) {
    const bool gone = same_boot && about.state == MemberState::kLeft;
    const bool news =
        !gone && (!same_boot || !about.CountsAsAlive() || note.incarnation > about.incarnation);
    if (news && Demand(now, about, actions) && relays_left_ > 0) {
      --relays_left_;
      AskRelay(now, from, about, actions);
    }
    return;
  }
  if (!same_boot || note.incarnation < about.incarnation || !about.CountsAsAlive()) {
    return;
  }
  const bool dead = note.state != NoteState::kSuspect;
  if (about.state == MemberState::kAlive) {
    Suspect(now, about, dead ? SuspicionCause::kToldDead : SuspicionCause::kToldSuspect, actions);
  } else if (dead) {
    about.told_dead = true;
    if (now >= DeadAt(about)) {
      about.cause = SuspicionCause::kToldDead;
      DeclareDead(now, about, actions);
    }
    Touch(about);
  }
}

// Two speakers that see different members tell each other what they see. The same difference only
// now and then: it may be a lasting one, such as a Pod that the API has shown to only one of them.
void Membership::CompareViews(TimePoint now, Peer& peer, std::uint64_t digest, Actions& actions) {
  // Of a large view most of what differs is on its way already, and each one is costly.
  if (digest == view_digest_ || peer.greet ||
      (!Small() && (now - view_changed_at_ < profile_.heartbeat_interval || now < next_view_)) ||
      (peer.compared_ours == view_digest_ && peer.compared_theirs == digest &&
       now - peer.compared_at < profile_.view_interval)) {
    return;
  }
  peer.compared_ours = view_digest_;
  peer.compared_theirs = digest;
  peer.compared_at = now;
  next_view_ = now + 2 * profile_.heartbeat_interval;
  SendView(now, peer, actions);
}

}  // namespace stentor::speaker
