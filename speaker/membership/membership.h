// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which speakers live, and which of them yield (docs/architecture.md, "Membership"). One object a
/// speaker. It sends heartbeats to its observers (all others, in small clusters), suspects those
/// whom it watches when they fall silent, probes a suspect directly and through others, and
/// declares it dead only when nobody reached it.
///
/// The shell moves datagrams and time:
///
///   Membership membership({.node = "node-1", .secrets = {secret}}, [&] { return RandomU64(); });
///   Carry(membership.SetPeers(now, peers));              // on each change of the list of pods
///   Carry(membership.OnDatagram(now, source, bytes));    // for each datagram received
///   Carry(membership.Poll(now));                         // when NextDeadline() has come
///   // Carry(): sends actions.send, logs actions.changes, and holds the elections again where
///   // actions.view_changed (and soon where actions.claims_changed); the election's inputs are
///   // Ready() and AliveMembers().
///
/// Where both a datagram and the deadline are due, the datagrams come first. Quiet datagrams
/// (datagram.h) may wait until then; but whoever hands over anything, or calls Poll(), hands over
/// first those that are there: so nobody's silence is looked at, and nobody doubted, whose sign of
/// life was waiting. `age` says for how long.
///
/// What is trusted: a datagram that opens under the secret and has not been seen before is its
/// sender's. That it is not an old one is known once the sender has echoed a fresh challenge; until
/// then its boot changes nothing, also through others. Source addresses are not trusted and, where
/// there is a secret, not looked at: nodes have several. We send only to addresses that the API
/// lists, never to where a datagram came from.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/time.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"
#include "speaker/claims/claims.h"
#include "speaker/membership/datagram.h"
#include "speaker/membership/drop_reason.h"
#include "speaker/membership/keys.h"
#include "speaker/membership/peer.h"
#include "speaker/membership/profile.h"

namespace stentor::speaker {

/// Why a speaker should not be elected while another one can be; a set of bits, empty for none.
/// Values are on the wire: added, never renumbered.
enum YieldReason : std::uint16_t {
  kYieldsNothing = 0,
  kYieldStarting = 1U << 0U,        ///< Has not read the API's objects yet.
  kYieldHolding = 1U << 1U,         ///< Waits for a peer after a start. Set by Membership.
  kYieldStopping = 1U << 2U,        ///< Was asked to stop and still answers.
  kYieldProxyUnhealthy = 1U << 3U,  ///< Nothing on its node forwards to pods.
  kYieldNoCarrier = 1U << 4U,       ///< Its links are down.
  kYieldConflict = 1U << 5U,        ///< Found an address in use by another host (strict).
};
using YieldReasons = std::uint16_t;

/// A speaker as the API lists it. Datagrams go to the first address.
struct PeerAddress {
  std::string node;
  std::vector<net::IpAddress> addresses;  ///< Not empty.

  friend auto operator<=>(const PeerAddress&, const PeerAddress&) = default;
};

/// A living speaker, this one included.
struct AliveMember {
  std::string node;
  YieldReasons yields = kYieldsNothing;
  /// What it claims, as of what it told last; null for nothing. Shared: two values with one pointer
  /// are the same claims, but not the other way round.
  std::shared_ptr<const Claims> claims = nullptr;
  /// Its build knows of claims. Where one does not, nobody's claims may count in the elections.
  bool understands_claims = false;

  friend bool operator==(const AliveMember& a, const AliveMember& b) {
    return a.node == b.node && a.yields == b.yields &&
           a.understands_claims == b.understands_claims &&
           (a.claims == b.claims || (a.claims && b.claims && *a.claims == *b.claims));
  }
};

enum class ChangeKind : std::uint8_t {
  kJoined,         ///< Answers for the first time, or again after it was dead or had left.
  kRestarted,      ///< Was alive and is so under a new boot id.
  kSuspected,      ///< Silent, or told to be dead; still counts as alive.
  kRefuted,        ///< Was suspected and has shown that it lives.
  kDied,           ///< No probe reached it.
  kLeft,           ///< Said so.
  kRemoved,        ///< The API doesn't list it any more.
  kYieldsChanged,  ///< Its reasons to yield changed.
  kKeyDiffers,     ///< Its datagrams are sealed under another secret. At most once in ten minutes.
  kHolding,        ///< This speaker was paused, and answers nothing until a peer confirms it.
  kReady,          ///< This speaker may announce.
};
inline constexpr std::size_t kChangeKindCount = 11;

/// The label value of `kind`, in snake_case; has static storage.
[[nodiscard]] std::string_view ChangeKindName(ChangeKind kind) noexcept;

/// Something that an operator wants to see; one log line each. kSuspected and kRefuted are worth
/// debug level only: forged ICMP errors can cause them, at most once a heartbeat for each peer.
struct Change {
  ChangeKind kind = ChangeKind::kJoined;
  std::string node;                                 ///< Whom it is about.
  SuspicionCause cause = SuspicionCause::kSilence;  ///< Of kSuspected and kDied.
  Duration silence{};  ///< kSuspected, kRefuted, kDied: since its last sign of life. kHolding: the
                       ///< pause.
  YieldReasons yields = kYieldsNothing;  ///< kJoined, kRestarted, kYieldsChanged.
};

struct OutgoingDatagram {
  net::IpAddress destination;
  std::vector<std::byte> bytes;  ///< At most kMaxDatagramSize.
};

/// What the shell has to do after an input.
struct Actions {
  std::vector<OutgoingDatagram> send;
  std::vector<Change> changes;
  bool view_changed = false;    ///< Ready(), or who lives or yields, is not what it was.
  bool claims_changed = false;  ///< What a living member claims is not what it was. Elections may
                                ///< be held later for it: who claims an address has won it.
  bool macs_changed = false;    ///< PeerMacs() is not what it was.
  bool rival_met = false;  ///< A speaker that may have announced without us is back, or has let
                           ///< go of what we claim too: what stays ours after the elections has
                           ///< to be announced again.
  std::optional<MembershipDrop> dropped;  ///< OnDatagram() only; also counted in drops().
};

/// Not thread-safe: lives on the speaker's logic thread. Time must not go backwards.
class Membership {
 public:
  /// Returns 64 random bits at each call; cryptographically strong outside of tests.
  using Random = std::function<std::uint64_t()>;

  struct Options {
    std::string node;                  ///< Of this speaker; 1 to 253 octets.
    std::vector<std::string> secrets;  ///< As of SetSecrets().
    Profile profile = LanProfile();
  };

  /// Draws this speaker's boot id from `random`, which must outlive the object's calls.
  Membership(Options options, Random random);

  /// Replaces the list of the other speakers (this node's own entry is skipped). The first call
  /// starts the membership: without peers it is Ready() at once.
  [[nodiscard]] Actions SetPeers(TimePoint now, const std::vector<PeerAddress>& peers);

  /// Replaces the secrets. The first one seals to everybody who holds it, the second one to the
  /// others; both open, so that a secret can be replaced while speakers learn it one after the
  /// other. None or an empty one: nothing is authenticated (as with MetalLB).
  [[nodiscard]] Actions SetSecrets(TimePoint now, const std::vector<std::string>& secrets);

  /// Whether all living members hold the first secret: then the second one can go.
  [[nodiscard]] bool AllHoldNewestSecret() const;

  /// Replaces this speaker's reasons to yield, and tells everybody at once. Where somebody claims
  /// something, one that has none any more goes on with those that it had until all have answered
  /// what they claim now, for profile.suspect_after at most: it must not take what it doesn't know
  /// to be claimed.
  [[nodiscard]] Actions SetLocalState(TimePoint now, YieldReasons yields);

  /// Replaces the MACs that this speaker announces from, and tells everybody at once. Of more than
  /// kMaxMacs, the lowest are told.
  [[nodiscard]] Actions SetLocalMacs(TimePoint now, const std::set<net::MacAddress>& macs);

  /// Replaces what this speaker claims (sorted, each address once, with an epoch; at most
  /// kMaxClaims are taken), and tells the others: at once, but no more than once a heartbeat, and
  /// less often what takes many datagrams or goes to many. To be
  /// called after each time that the elections were held, also where nothing changed. Not taken
  /// while it is not Ready(): what it claimed before a pause stands until it knows what the others
  /// claim now.
  [[nodiscard]] Actions SetClaims(TimePoint now, Claims claims);

  /// The highest epoch of a claim of `address` that was ever heard of, of anybody; below the
  /// greatest number, since who claims anew takes the next one. 0 for none. What nobody claims any
  /// more is forgotten only where that would be too many addresses.
  [[nodiscard]] std::uint32_t HighestEpoch(AddressKey address) const;

  /// Whether what all living members claim is known, and not only its digest.
  [[nodiscard]] bool KnowsClaims() const;

  /// Any bytes from anywhere. What is not authentic allocates nothing, sends nothing and changes
  /// nothing but a counter.
  /// `age`: since when it has been there; at most a heartbeat interval counts.
  [[nodiscard]] Actions OnDatagram(TimePoint now, const net::IpAddress& source, Bytes datagram,
                                   Duration age = {});

  /// ICMP says that nobody listens at a peer's address; `quoted` is what it says of the datagram
  /// that caused it. A hint only, since who sees our datagrams can forge it: it makes a suspect,
  /// which is probed. One that doesn't quote a recent datagram of this boot is not looked at.
  [[nodiscard]] Actions OnUnreachable(TimePoint now, const net::IpAddress& destination,
                                      Bytes quoted);

  /// Finds out whether this speaker was paused; Poll() and OnDatagram() do so too. To be called
  /// before anything else that may have waited meanwhile, such as ARP requests. Cheap; unless it
  /// was paused there is nothing to carry out.
  [[nodiscard]] Actions NoteTime(TimePoint now);

  /// Does what is due. Harmless when nothing is.
  [[nodiscard]] Actions Poll(TimePoint now);

  /// Says goodbye; peers count us as gone at once. Poll() repeats it to those who have not
  /// confirmed until LeaveComplete(), which is within profile.leave_for.
  [[nodiscard]] Actions Leave(TimePoint now);
  [[nodiscard]] bool LeaveComplete() const noexcept { return leave_ == LeaveState::kComplete; }

  /// When to call Poll(); nothing before the first SetPeers() and after LeaveComplete().
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// False while this speaker must not announce: before it has met a peer and knows what all
  /// living members claim (or has waited for that in vain) after its start or after a pause.
  [[nodiscard]] bool Ready() const noexcept { return phase_ == Phase::kReady; }

  /// While it asks what is claimed, before it stops to yield: see SetLocalState().
  [[nodiscard]] bool Returning() const noexcept { return return_until_.has_value(); }

  /// All living speakers by name, suspects included; this one too, unless it is leaving.
  [[nodiscard]] std::vector<AliveMember> AliveMembers() const;

  /// The MACs that the other listed speakers announce from, as last heard; dead ones too, whose
  /// last words may still be on the segment.
  [[nodiscard]] std::set<net::MacAddress> PeerMacs() const;

  /// False where there is no secret: worth a warning at start.
  [[nodiscard]] bool authenticated() const noexcept { return keyring_.authenticated(); }

  /// Grows each time that `Actions::view_changed` or `claims_changed` was set.
  [[nodiscard]] std::uint64_t view_version() const noexcept { return view_version_; }

  /// Dropped datagrams, indexed by MembershipDrop.
  [[nodiscard]] const std::array<std::uint64_t, kMembershipDropCount>& drops() const noexcept {
    return drops_;
  }

  /// Equal at two speakers that see the same members alive, with the same boots, yields and digests
  /// of claims.
  [[nodiscard]] std::uint64_t ViewDigest() const { return view_digest_; }

 private:
  enum class Phase : std::uint8_t { kNew, kHolding, kReady };
  enum class LeaveState : std::uint8_t { kNo, kLeaving, kComplete };
  using Peers = std::map<std::string, Peer, std::less<>>;

  // membership.cc: inputs, and who lives
  Peer& Add(const std::string& node);
  void RemoveUnlisted(TimePoint now,
                      const std::map<std::string, std::vector<net::IpAddress>>& listed,
                      Actions& actions);
  void Hold(TimePoint now);
  void BecomeReady(TimePoint now, Actions& actions);
  void Join(TimePoint now, Peer& peer, ChangeKind kind, Actions& actions);
  void Refute(TimePoint now, Peer& peer, Actions& actions);
  void Suspect(TimePoint now, Peer& peer, SuspicionCause cause, Actions& actions);
  void DeclareDead(TimePoint now, Peer& peer, Actions& actions);
  void SetYields(TimePoint now, Peer& peer, YieldReasons yields, Actions& actions);
  // What was seen of `peer` (of this speaker: null) is not what it was.
  void ViewChanged(TimePoint now, Peer* peer, Actions& actions);
  void CountInDigest(Peer& peer);
  void CountSelfInDigest();
  void CompleteLeave();

  // observers.cc: who watches whom, and who is asked in turn
  void ChooseObservers();
  [[nodiscard]] static std::vector<Peer*> TakeTurn(const std::vector<Peer*>& all, std::size_t count,
                                                   std::size_t& turn);
  void SendHeartbeats(TimePoint now, Actions& actions);
  void AskEverybody(TimePoint now, Actions& actions);
  [[nodiscard]] bool IsAskedNow(const Peer& absent) const;
  [[nodiscard]] bool Small() const noexcept { return peers_.size() <= profile_.observers; }
  // So large that not everybody can do something at once.
  [[nodiscard]] bool Large() const noexcept { return peers_.size() > 4 * profile_.observers; }
  // So many that the segment is the cause, and others ask them as well.
  [[nodiscard]] bool ManySuspects() const noexcept { return suspects_ > 2 * profile_.observers; }

  // returning.cc: a speaker that stops to yield
  [[nodiscard]] bool BeginReturn(TimePoint now, Actions& actions);
  void PollReturn(TimePoint now, Actions& actions);
  [[nodiscard]] bool AllAnswered() const;
  void Return(TimePoint now, Actions& actions);
  void ChangeYields(TimePoint now, YieldReasons yields, Actions& actions);

  // timers.cc: what happens when nothing arrives
  void NoteLateness(TimePoint now, Actions& actions);
  void PollPeer(TimePoint now, Peer& peer, Actions& actions);
  void Touch(const Peer& peer);
  [[nodiscard]] TimePoint DeadlineOf(const Peer& peer) const;
  [[nodiscard]] TimePoint SilentAt(const Peer& peer) const;
  [[nodiscard]] TimePoint DoubtedSince(const Peer& peer) const;
  [[nodiscard]] TimePoint DeafAt(const Peer& peer) const;
  [[nodiscard]] TimePoint AskDeafAt(const Peer& peer) const;
  [[nodiscard]] TimePoint TellAt(const Peer& peer) const;
  [[nodiscard]] TimePoint DeadAt(const Peer& peer) const;
  void PollLeaving(TimePoint now, Actions& actions);
  void ProbeRound(TimePoint now, Peer& peer, Actions& actions);

  // receive.cc: from strangers' bytes to news of a member
  [[nodiscard]] std::optional<MembershipDrop> Receive(TimePoint now, const net::IpAddress& source,
                                                      Bytes datagram, Duration age,
                                                      Actions& actions);
  [[nodiscard]] std::optional<MembershipDrop> OnSession(TimePoint now, Peer& peer, const Body& body,
                                                        bool newest, TimePoint arrived,
                                                        Actions& actions);
  [[nodiscard]] std::optional<MembershipDrop> OnNewBoot(TimePoint now, Peer& peer, const Body& body,
                                                        Actions& actions);
  [[nodiscard]] bool WasSentTo(const Peer& peer, Bytes quoted) const;
  void ReportWrongKey(TimePoint now, const net::IpAddress& source, Peer& peer, Actions& actions);
  [[nodiscard]] bool ConsumeEcho(TimePoint now, Peer& peer, std::uint64_t echo);
  void TakeReport(TimePoint now, Peer& peer, Actions& actions);
  [[nodiscard]] std::optional<MembershipDrop> OnNews(TimePoint now, Peer& peer, const Body& body,
                                                     Actions& actions);
  [[nodiscard]] bool IsReadyFor(std::uint64_t view_digest) const;
  [[nodiscard]] bool AnybodyClaims() const;
  [[nodiscard]] bool IsAwaited(const Peer& peer) const;
  void OnNoteAboutSelf(TimePoint now, const Note& note, Actions& actions);
  void OnNote(TimePoint now, Peer& from, Peer& about, const Note& note, Actions& actions);
  void CompareViews(TimePoint now, Peer& peer, std::uint64_t digest, Actions& actions);

  // relaying.cc: members that are asked through others
  void AskRelay(TimePoint now, Peer& helper, Peer& about, Actions& actions);
  void OnRelayRequest(TimePoint now, Peer& from, const Body& body, Actions& actions);
  void AnswerRelays(TimePoint now, Peer& peer, Actions& actions);
  void OnRelayedAnswer(TimePoint now, const Peer& from, const Body& body, Actions& actions);

  // claims_telling.cc: what this speaker claims
  using SharedClaims = std::shared_ptr<const Claims>;
  struct ToldClaims {
    std::uint64_t digest = 0;
    SharedClaims claims;  // null: none
  };
  void PublishClaims(TimePoint now);
  [[nodiscard]] bool Published() const { return claims_ == history_.back().claims; }
  [[nodiscard]] const ToldClaims* ToldWith(std::uint64_t digest) const;
  void NoteEpochs(const Claims& changes);
  void NoteIncarnation();
  void LetGo(TimePoint now, const Claims& changes, Actions& actions);
  void AnswerClaimsRequest(TimePoint now, Peer& from, const ClaimsPart& asked, Actions& actions);
  void SendClaims(Peer& peer, const Note& about, ClaimsPart what, const Claims& claims,
                  Actions& actions);
  void TellClaims(TimePoint now, Actions& actions);
  void Greet(TimePoint now, Actions& actions);

  // claims_exchange.cc: what others claim
  void ForgetClaims(TimePoint now, Peer& peer, bool restarted);
  void SetToldClaims(TimePoint now, Peer& peer, std::uint64_t digest, Actions& actions);
  void SetKnownClaims(TimePoint now, Peer& peer, std::uint64_t digest, SharedClaims claims,
                      Actions& actions);
  void RequestClaims(TimePoint now, Peer& peer, Actions& actions);
  void OnClaimsRequest(TimePoint now, Peer& from, const Body& body, Actions& actions);
  [[nodiscard]] std::optional<MembershipDrop> OnClaims(TimePoint now, const Body& body,
                                                       Actions& actions);
  [[nodiscard]] bool MayBeRival(TimePoint now, const Peer& peer) const;
  [[nodiscard]] std::optional<MembershipDrop> TakePart(TimePoint now, Peer& peer,
                                                       const ClaimsPart& part, Actions& actions);

  // send.cc: everything that leaves
  void Seal(Peer& peer, Body body, Actions& actions, bool may_wait = false);
  static void NoteReport(Peer& peer, std::size_t report);
  [[nodiscard]] static bool HasHeard(const Peer& peer);
  [[nodiscard]] static bool UnderstandsClaims(const Peer& peer);
  void Send(TimePoint now, Peer& peer, MessageKind kind, Actions& actions,
            std::vector<Note> notes = {});
  void SendHeartbeat(Peer& peer, Actions& actions);
  bool Demand(TimePoint now, Peer& peer, Actions& actions);
  void SendView(TimePoint now, Peer& peer, Actions& actions);
  [[nodiscard]] bool MayBeBack(TimePoint now, const Peer& dead) const;
  void TellAll(TimePoint now, std::vector<Note> notes, Actions& actions);
  [[nodiscard]] SealingChannel& ChooseChannel(Peer& peer, std::optional<KeyId> asked_under) const;
  void MakeOutgoing(Peer& peer) const;
  [[nodiscard]] std::uint64_t Challenge(TimePoint now, Peer& peer);
  [[nodiscard]] Note NoteOf(const Peer& peer) const;
  [[nodiscard]] Note OwnNote() const;
  [[nodiscard]] std::uint64_t NonZeroRandom() const;

  [[nodiscard]] YieldReasons LocalYields() const noexcept;

  const std::string node_;
  const Profile profile_;
  const Random random_;
  Keyring keyring_;
  const MemberId id_;
  const BootId boot_;
  std::uint32_t incarnation_ = 1;
  YieldReasons yields_ = kYieldsNothing;
  std::optional<TimePoint> return_until_;  // it stops to yield then, or when all have answered
  TimePoint next_return_poll_{};
  std::vector<net::MacAddress> macs_;
  SharedClaims claims_;                 // null: none
  std::vector<ToldClaims> history_{1};  // what was told of them, the last one last
  std::uint64_t claims_digest_ = 0;     // of what was told last
  std::uint64_t base_digest_ = 0;       // of what TellClaims() told last
  TimePoint next_claims_published_{};   // not before
  TimePoint next_claims_told_{};        // not before
  bool claims_untold_ = false;
  std::unordered_map<AddressKey, std::uint32_t> epochs_;  // the highest one heard of
  std::size_t epochs_in_use_ = 0;                         // when it was last looked which are
  Peers peers_;
  std::map<MemberId, Peer*> peers_by_id_;
  std::uint64_t counter_floor_ = 0;  // no peer's send counter may start below: see Peer::sent
  Phase phase_ = Phase::kNew;
  LeaveState leave_ = LeaveState::kNo;
  TimePoint holding_since_{};
  TimePoint hold_until_{};
  TimePoint leave_until_{};
  TimePoint next_leave_{};
  TimePoint next_heartbeat_{};
  std::uint64_t heartbeats_ = 0;
  TimePoint other_key_at_{};  // a listed node's datagram was sealed under another secret
  Duration lateness_{};       // how late our timers were at worst, until:
  TimePoint lateness_until_{};
  std::size_t absent_turn_ = 0;
  std::size_t unproven_turn_ = 0;
  std::size_t distant_turn_ = 0;
  std::size_t relays_left_ = 0;  // until the next heartbeat, for what others tell of
  std::size_t suspects_ = 0;     // as of the last Poll()
  bool confirmed_ = false;       // while holding: a peer sees us
  bool paused_ = false;          // that is why we hold
  std::vector<Peer*> observers_;
  TimePoint next_peer_deadline_ = TimePoint::max();  // no peer's is earlier
  TimePoint next_ask_everybody_{};
  TimePoint next_view_{};
  std::optional<TimePoint> healed_at_;  // when somebody's way to us was mended last, and
  TimePoint cut_at_{};                  // when we had given him up
  TimePoint view_changed_at_{};
  std::uint64_t own_digest_ = 0;
  std::uint64_t view_digest_ = 0;
  std::uint64_t view_version_ = 0;
  std::array<std::uint64_t, kMembershipDropCount> drops_{};
};

}  // namespace stentor::speaker
