// SPDX-License-Identifier: Apache-2.0

/// \file
/// Membership: everything that leaves.

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "speaker/membership/membership.h"

namespace stentor::speaker {
namespace {

// Datagrams that have said the same of their sender, before a heartbeat that does is quiet: what is
// lost is said again.
constexpr std::uint32_t kSaidOften = 3;

// What a datagram says of its sender, whatever else it is for.
std::size_t ReportOf(Body body) {
  body.kind = MessageKind::kHeartbeat;
  body.challenge = body.echo = body.nonce = 0;
  body.notes.clear();
  body.about.reset();
  const std::vector<std::byte> report = EncodeBody(body);
  return absl::HashOf(
      absl::string_view(reinterpret_cast<const char*>(report.data()), report.size()));
}

}  // namespace

void Membership::Seal(Peer& peer, Body body, Actions& actions, bool may_wait) {
  body.watched = peer.observer;
  peer.told_observer = peer.observer;
  peer.greet = false;
  body.yields = LocalYields();
  body.newest_key = keyring_.sealing_key();
  body.incarnation = incarnation_;
  body.seen_boot = peer.CountsAsAlive() && peer.session ? peer.session->boot : 0;
  body.view_digest = view_digest_;
  body.understands_claims = true;
  body.takes_quiet = Ready();  // before, each word about the others counts at once
  body.claims_digest = UnderstandsClaims(peer) ? claims_digest_ : 0;
  body.macs = macs_;
  std::optional<KeyId> asked_under;  // the key of the question that this answers
  for (std::optional<Session>* session : {&peer.session, &peer.pending}) {
    if (body.echo == 0 && *session && (*session)->owed_echo != 0) {
      body.echo = std::exchange((*session)->owed_echo, 0);
      asked_under = (*session)->key;
    }
  }
  NoteReport(peer, ReportOf(body));
  ++peer.sent;
  auto& [key, channel] = ChooseChannel(peer, asked_under);
  std::vector<std::byte> datagram =
      EncodeHeader({.key = key,
                    .boot = boot_,
                    .counter = peer.sent,
                    .node = node_,
                    .quiet = may_wait && body.echo == 0 && HasHeard(peer)});
  const std::vector<std::byte> sealed = channel.Seal(peer.sent, datagram, EncodeBody(body));
  datagram.insert(datagram.end(), sealed.begin(), sealed.end());
  actions.send.push_back({.destination = peer.addresses.front(), .bytes = std::move(datagram)});
}

void Membership::NoteReport(Peer& peer, std::size_t report) {
  peer.said_before = report == peer.said ? std::min(peer.said_before + 1, kSaidOften) : 0;
  peer.said = report;
}

// It has been told often enough what we say of ourselves, lives, hears us, and is the boot that
// said that it takes quiet ones.
bool Membership::HasHeard(const Peer& peer) {
  return peer.said_before == kSaidOften && peer.state == MemberState::kAlive && peer.session &&
         !peer.pending && peer.session->latest.takes_quiet && peer.session->latest.sees_us;
}

// A boot that isn't known to live may be followed by one of another build: what it sends itself
// says so.
bool Membership::UnderstandsClaims(const Peer& peer) {
  if (peer.CountsAsAlive()) {
    return peer.understands_claims;
  }
  const std::optional<Session>& last = peer.pending ? peer.pending : peer.session;
  return last && last->latest.understands_claims;
}

void Membership::MakeOutgoing(Peer& peer) const {
  peer.outgoing.clear();
  for (const KeyId key : keyring_.ids()) {
    peer.outgoing.push_back(
        {.key = key, .channel = keyring_.MakeChannel(key, boot_, node_, peer.node)});
  }
}

// That of the newest key that it holds. To a peer that is not known well enough, the one that it
// has asked under, or any: by chance, since of what takes turns, probes might get one and answers
// the other.
SealingChannel& Membership::ChooseChannel(Peer& peer, std::optional<KeyId> asked_under) const {
  const KeyId wanted = peer.fresh ? peer.newest_key : asked_under.value_or(0);
  const auto held = std::find_if(peer.outgoing.begin(), peer.outgoing.end(),
                                 [wanted](const SealingChannel& c) { return c.key == wanted; });
  if (held != peer.outgoing.end()) {
    return *held;
  }
  return peer.outgoing[peer.outgoing.size() > 1 ? random_() % peer.outgoing.size() : 0];
}

void Membership::Send(TimePoint now, Peer& peer, MessageKind kind, Actions& actions,
                      std::vector<Note> notes) {
  Body body;
  body.kind = kind;
  if (kind == MessageKind::kProbe) {
    body.challenge = Challenge(now, peer);
    if (peer.state == MemberState::kAlive && !peer.watched && !peer.asked_at) {
      peer.asked_at = now;
      Touch(peer);
    }
  }
  body.notes = std::move(notes);
  Seal(peer, std::move(body), actions);
}

// One of those that come all the time: it may wait where it says nothing new.
void Membership::SendHeartbeat(Peer& peer, Actions& actions) { Seal(peer, {}, actions, true); }

// Answers a boot that has to prove itself. Bounded in time, because whoever replays what an earlier
// boot sent can make us do it.
bool Membership::Demand(TimePoint now, Peer& peer, Actions& actions) {
  if (now < peer.next_demand) {
    return false;
  }
  peer.next_demand = now + profile_.probe_interval;
  Send(now, peer, MessageKind::kProbe, actions);
  return true;
}

void Membership::SendView(TimePoint now, Peer& peer, Actions& actions) {
  std::vector<Note> notes = {OwnNote()};
  for (const auto& [name, other] : peers_) {
    if (!other.session || &other == &peer || MayBeBack(now, other)) {
      continue;
    }
    if (notes.size() == kMaxNotes) {
      Send(now, peer, MessageKind::kHeartbeat, actions, std::exchange(notes, {}));
    }
    notes.push_back(NoteOf(other));
  }
  Send(now, peer, MessageKind::kHeartbeat, actions, std::move(notes));
}

// While members come back from the dead, whom we gave up together with them is no news: who hears
// of it would doubt all those with whom it was on the other side of the cut.
bool Membership::MayBeBack(TimePoint now, const Peer& dead) const {
  return dead.state == MemberState::kDead && healed_at_ &&
         now - *healed_at_ < profile_.view_interval &&
         dead.died_at < cut_at_ + profile_.view_interval &&
         cut_at_ < dead.died_at + profile_.view_interval;
}

// To everybody who lives, and to those whom `notes` are about: they may want to refute them.
void Membership::TellAll(TimePoint now, std::vector<Note> notes, Actions& actions) {
  do {
    const auto end = notes.begin() + static_cast<std::ptrdiff_t>(std::min(notes.size(), kMaxNotes));
    const std::vector<Note> some(notes.begin(), end);
    notes.erase(notes.begin(), end);
    for (auto& [name, peer] : peers_) {
      const MemberId id = peer.id;
      const bool concerned = std::any_of(some.begin(), some.end(),
                                         [id](const Note& note) { return note.member == id; });
      if (peer.CountsAsAlive() || concerned) {
        Send(now, peer, MessageKind::kHeartbeat, actions, some);
      }
    }
  } while (!notes.empty());
}

// One challenge stands until it is echoed or too old: a peer that answers an earlier copy of the
// same question is as fresh.
std::uint64_t Membership::Challenge(TimePoint now, Peer& peer) {
  if (peer.challenge == 0 || now >= peer.challenged_at + profile_.challenge_lifetime / 2) {
    peer.challenge = NonZeroRandom();
    peer.challenged_at = now;
  }
  return peer.challenge;
}

Note Membership::NoteOf(const Peer& peer) const {
  NoteState state = NoteState::kDead;
  if (peer.CountsAsAlive()) {
    state = NoteState::kAlive;
  } else if (peer.state == MemberState::kLeft) {
    state = NoteState::kLeft;
  }
  return {.member = peer.id,
          .boot = peer.session ? peer.session->boot : 0,
          .incarnation = peer.incarnation,
          .state = state,
          .yields = peer.yields};
}

Note Membership::OwnNote() const {
  return {.member = id_,
          .boot = boot_,
          .incarnation = incarnation_,
          .state = NoteState::kAlive,
          .yields = LocalYields()};
}

std::uint64_t Membership::NonZeroRandom() const {
  std::uint64_t value = 0;
  while (value == 0) {
    value = random_();
  }
  return value;
}

}  // namespace stentor::speaker
