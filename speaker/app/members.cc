// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/members.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/random.h"
#include "speaker/app/log_text.h"

namespace stentor::speaker {
namespace {

obs::Event EventOf(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::kJoined:
      return obs::Event::kMemberJoined;
    case ChangeKind::kRestarted:
    case ChangeKind::kYieldsChanged:
      return obs::Event::kMemberChanged;
    case ChangeKind::kSuspected:
      return obs::Event::kMemberSuspected;
    case ChangeKind::kRefuted:
      return obs::Event::kMemberRefuted;
    case ChangeKind::kLeft:
    case ChangeKind::kRemoved:
      return obs::Event::kMemberLeft;
    case ChangeKind::kDied:
      return obs::Event::kMemberLost;
    case ChangeKind::kHolding:
      return obs::Event::kMembershipHolding;
    case ChangeKind::kReady:
      return obs::Event::kMembershipReady;
    case ChangeKind::kKeyDiffers:
      return obs::Event::kMembershipKeyDiffers;
  }
  return obs::Event::kMemberLost;
}

}  // namespace

Members::Members(io::EventLoop& loop, const obs::Logger& log, MembersOptions options,
                 MembersHandlers handlers)
    : loop_(loop),
      log_(log),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      secret_(loop, log, options_.key_folder, options_.key),
      membership_({.node = options_.node, .secrets = {}, .profile = options_.profile},
                  io::RandomU64),
      timer_(loop) {}

Members::~Members() = default;

absl::Status Members::Start() {
  const auto address = net::IpAddress::Parse(options_.bind_address);
  if (!address) {
    return absl::InvalidArgumentError(
        StrCat("--ml-bindaddr: \"", options_.bind_address, "\" is not an IP address"));
  }
  STENTOR_RETURN_IF_ERROR(secret_.Start());
  auto socket = MembershipSocket::Open(*address, options_.port);
  if (!socket.ok()) {
    return socket.status();
  }
  socket_.emplace(*std::move(socket));
  const auto take_secrets = [this] {
    Carry(membership_.SetSecrets(loop_.Now(), secret_.secrets()));
  };
  take_secrets();
  secret_.Follow(take_secrets, [this] { return membership_.AllHoldNewestSecret(); });
  if (!membership_.authenticated()) {
    log_.Log(obs::Event::kMembershipUnsealed,
             "no memberlist key: datagrams between speakers are not authenticated");
  }
  watch_ = std::make_unique<io::DescriptorWatch>(loop_, socket_->fd(), [this] { OnReadable(); });
  return absl::OkStatus();
}

void Members::SetPeers(const std::vector<PeerAddress>& peers) {
  Carry(membership_.SetPeers(loop_.Now(), peers));
}

void Members::SetYield(YieldReason reason, bool holds) {
  yields_ = static_cast<YieldReasons>(holds ? yields_ | reason : yields_ & ~reason);
  Carry(membership_.SetLocalState(loop_.Now(), yields_));
}

void Members::SetMacs(const std::set<net::MacAddress>& macs) {
  Carry(membership_.SetLocalMacs(loop_.Now(), macs));
}

void Members::SetClaims(const Claims& claims) { Carry(membership_.SetClaims(loop_.Now(), claims)); }

void Members::NoteTime() {
  if (const Actions actions = membership_.NoteTime(loop_.Now()); actions.view_changed) {
    Carry(actions);
  }
}

void Members::Leave() {
  leaving_ = true;
  Carry(membership_.Leave(loop_.Now()));
}

std::vector<Speaker> Members::Speakers() const {
  std::vector<Speaker> speakers;
  for (const AliveMember& member : membership_.AliveMembers()) {
    speakers.push_back({.node = member.node,
                        .yields = member.yields != kYieldsNothing,
                        .claims = member.claims,
                        .understands_claims = member.understands_claims});
  }
  return speakers;
}

void Members::OnReadable() {
  Drain();
  ArmTimer();
}

void Members::Drain() {
  draining_ = true;
  socket_->Drain(
      [this](const net::IpAddress& source, Bytes bytes, Duration age) {
        const Actions actions = membership_.OnDatagram(loop_.Now(), source, bytes, age);
        if (actions.dropped == MembershipDrop::kUnknownSender) {
          handlers_.on_unknown_sender();
        }
        Carry(actions);
      },
      [this](const net::IpAddress& destination, Bytes quoted) {
        Carry(membership_.OnUnreachable(loop_.Now(), destination, quoted));
      });
  draining_ = false;
  TellClaimsChanged();
}

void Members::TellClaimsChanged() {
  if (!draining_ && std::exchange(claims_changed_, false)) {
    handlers_.on_claims();
  }
}

void Members::Carry(const Actions& actions) {
  for (const OutgoingDatagram& datagram : actions.send) {
    // Lost, or not sent: the membership lives with both.
    (void)socket_->Send(datagram.destination, datagram.bytes);
  }
  for (const Change& change : actions.changes) {
    ++totals_.changes[static_cast<std::size_t>(change.kind)];
    if (change.kind == ChangeKind::kDied) {
      totals_.detection.Observe(std::chrono::duration<double>(change.silence).count());
      const TimePoint last = loop_.Now() - change.silence;
      lost_since_ = std::min(lost_since_.value_or(last), last);
    }
    Tell(change);
  }
  if (actions.macs_changed) {
    handlers_.on_macs();
  }
  claims_changed_ |= actions.claims_changed;
  if (actions.view_changed) {
    // Not posted: whoever takes over does it in the same turn of the loop.
    claims_changed_ = false;  // looked at as well
    handlers_.on_view();
  }
  lost_since_.reset();
  if (actions.rival_met) {
    ++totals_.rivals;
    handlers_.on_rival();
  }
  if (leaving_ && membership_.LeaveComplete()) {
    handlers_.on_left();
  }
  TellClaimsChanged();
  ArmTimer();
}

// Armed anew only where the time is another one: in a flood, a timer that is due and armed again
// with each datagram would never call.
void Members::ArmTimer() {
  if (draining_) {
    return;  // once, for all of them
  }
  const auto deadline = membership_.NextDeadline();
  if (deadline == armed_for_) {
    return;
  }
  armed_for_ = deadline;
  if (!deadline) {
    timer_.Disarm();
    return;
  }
  timer_.ArmAt(*deadline, [this] {
    armed_for_.reset();
    // What arrived meanwhile counts as heard in time, also when this timer is late.
    Drain();
    Carry(membership_.Poll(loop_.Now()));
  });
}

void Members::Tell(const Change& change) const {
  std::string message(ChangeKindName(change.kind));
  std::vector<obs::Field> fields = {{"node", change.node}, {"change", message}};
  switch (change.kind) {
    case ChangeKind::kSuspected:
    case ChangeKind::kDied:
      StrAppend(&message, ": ", SuspicionCauseName(change.cause));
      [[fallthrough]];
    case ChangeKind::kRefuted:
    case ChangeKind::kHolding:
      StrAppend(&message, " for ", Milliseconds(change.silence));
      fields.push_back({"silence", Milliseconds(change.silence)});
      break;
    default:
      break;
  }
  log_.Log(EventOf(change.kind), StrCat("speaker on ", change.node, " ", message), fields);
}

}  // namespace stentor::speaker
