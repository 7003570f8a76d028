// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/speaker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/random.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReopenLinksAfter = 1s;
constexpr Duration kAskForPodsAgain = 2s;

std::string Join(const std::vector<net::IpAddress>& addresses) {
  std::string out;
  for (const net::IpAddress& address : addresses) {
    StrAppend(&out, out.empty() ? "" : ",", address.ToString());
  }
  return out;
}

std::string Milliseconds(Duration duration) {
  return StrCat(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count(), " ms");
}

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

SpeakerApp::SpeakerApp(SpeakerInputs inputs, io::EventLoop& loop, io::KubeClient& client,
                       const obs::Logger& log, obs::Health& health)
    : inputs_(std::move(inputs)),
      flags_(inputs_.flags),
      loop_(loop),
      client_(client),
      log_(log),
      health_(health),
      metrics_(flags_.node_name),
      links_(inputs_.excluded_interfaces),
      announcer_(links_, {.jitter_seed = io::RandomU64()}),
      ports_(loop, links_, announcer_,
             {.before_frames = [this] { NoteTime(); },
              .on_opened =
                  [this](const std::string& interface) {
                    log_.Log(obs::Event::kInterfaceOpened, "answering ARP on " + interface,
                             {{"interface", interface}});
                  },
              .on_closed =
                  [this](const std::string& interface) {
                    log_.Log(obs::Event::kInterfaceClosed, "not answering ARP on " + interface,
                             {{"interface", interface}});
                  },
              .on_failed =
                  [this](const std::string& interface, const absl::Status& status) {
                    log_.Log(obs::Event::kInterfaceFailed, std::string(status.message()),
                             {{"interface", interface}});
                  }}),
      link_timer_(loop),
      member_timer_(loop),
      reconciler_({.node = flags_.node_name,
                   .load_balancer_class = flags_.common.load_balancer_class,
                   .ignore_exclude_label = flags_.ignore_exclude_label}),
      config_watch_(client, log,
                    {.name_space = flags_.common.name_space,
                     .config_map = flags_.common.config_map,
                     .config_map_named = flags_.common.config_map_named,
                     .leave_out_unreadable = true},
                    {.on_change = [this] { OnConfigChange(); },
                     .on_unreadable = [this] { ++metrics_.client.update_errors; }}) {}

SpeakerApp::~SpeakerApp() = default;

absl::Status SpeakerApp::Start() {
  STENTOR_RETURN_IF_ERROR(StartLinks());
  STENTOR_RETURN_IF_ERROR(StartMembership());
  StartWatches();
  return absl::OkStatus();
}

void SpeakerApp::Stop() {
  if (std::exchange(stopping_, true) || !membership_) {
    loop_.Stop();
    return;
  }
  Carry(membership_->Leave(loop_.Now()));
}

void SpeakerApp::Collect(obs::MetricSet& metrics) const {
  metrics_.Collect(announcer_, membership_ ? &*membership_ : nullptr, metrics);
}

// --- links ---

absl::Status SpeakerApp::StartLinks() {
  auto monitor = LinkMonitor::Open(links_);
  if (!monitor.ok()) {
    return monitor.status();
  }
  link_monitor_ = *std::move(monitor);
  link_watch_ =
      std::make_unique<io::DescriptorWatch>(loop_, link_monitor_->fd(), [this] { OnLinks(); });
  return absl::OkStatus();
}

void SpeakerApp::OnLinks() {
  std::vector<LinkEvent> events;
  const absl::Status status = link_monitor_->OnReadable(&events);
  ports_.OnLinkEvents(events);
  if (status.ok()) {
    return;
  }
  log_.Log(obs::Event::kInterfaceFailed, std::string(status.message()));
  link_watch_.reset();
  link_timer_.ArmAfter(kReopenLinksAfter, [this] { ReopenLinks(); });
}

void SpeakerApp::ReopenLinks() {
  if (const absl::Status status = StartLinks(); !status.ok()) {
    link_timer_.ArmAfter(kReopenLinksAfter, [this] { ReopenLinks(); });
  }
}

// --- membership ---

absl::Status SpeakerApp::StartMembership() {
  if (flags_.member_bind_address.empty() || flags_.member_labels.empty()) {
    // As with MetalLB: without membership, every node with a Node object counts as alive.
    return absl::OkStatus();
  }
  const auto address = net::IpAddress::Parse(flags_.member_bind_address);
  if (!address) {
    return absl::InvalidArgumentError(
        StrCat("--ml-bindaddr: \"", flags_.member_bind_address, "\" is not an IP address"));
  }
  auto socket = MembershipSocket::Open(*address, flags_.member_bind_port);
  if (!socket.ok()) {
    return socket.status();
  }
  member_socket_.emplace(*std::move(socket));
  membership_.emplace(
      Membership::Options{.node = flags_.node_name,
                          .secrets = {inputs_.member_key},
                          .profile = flags_.wan_profile ? WanProfile() : LanProfile()},
      io::RandomU64);
  if (!membership_->authenticated()) {
    log_.Log(obs::Event::kMembershipUnsealed,
             "no memberlist key: datagrams between speakers are not authenticated");
  }
  Carry(membership_->SetLocalState(loop_.Now(), kYieldStarting));  // until everything is read
  member_watch_ = std::make_unique<io::DescriptorWatch>(loop_, member_socket_->fd(),
                                                        [this] { OnMemberSocket(); });
  return absl::OkStatus();
}

// Before anything is announced or answered: after a pause others may do so for our addresses.
void SpeakerApp::NoteTime() {
  if (!membership_) {
    return;
  }
  if (const Actions actions = membership_->NoteTime(loop_.Now()); actions.view_changed) {
    Carry(actions);
  }
}

void SpeakerApp::OnMemberSocket() {
  member_socket_->Drain(
      [this](const net::IpAddress& source, Bytes bytes) {
        const Actions actions = membership_->OnDatagram(loop_.Now(), source, bytes);
        if (actions.dropped == MembershipDrop::kUnknownSender && pods_watch_) {
          pods_watch_->PollSoon(kAskForPodsAgain);  // it may have come since the last list
        }
        Carry(actions);
      },
      [this](const net::IpAddress& destination) {
        Carry(membership_->OnUnreachable(loop_.Now(), destination));
      });
}

void SpeakerApp::Carry(const Actions& actions) {
  for (const OutgoingDatagram& datagram : actions.send) {
    // Lost, or not sent: the membership lives with both.
    (void)member_socket_->Send(datagram.destination, datagram.bytes);
  }
  for (const Change& change : actions.changes) {
    Tell(change);
  }
  if (actions.view_changed) {
    // Not posted: whoever takes over does it in the same turn of the loop.
    Reconcile();
  }
  if (actions.rival_met) {
    announcer_.AnnounceAgain(loop_.Now());
    ports_.Update();
  }
  if (stopping_ && membership_->LeaveComplete()) {
    loop_.Stop();
  }
  if (const auto deadline = membership_->NextDeadline()) {
    member_timer_.ArmAt(*deadline, [this] {
      // What arrived meanwhile counts as heard in time, also when this timer is late.
      OnMemberSocket();
      Carry(membership_->Poll(loop_.Now()));
    });
  } else {
    member_timer_.Disarm();
  }
}

void SpeakerApp::Tell(const Change& change) {
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

// --- elections ---

void SpeakerApp::ScheduleReconcile() {
  if (!std::exchange(reconcile_scheduled_, true)) {
    loop_.Post([this] {
      reconcile_scheduled_ = false;
      Reconcile();
    });
  }
}

void SpeakerApp::Reconcile() {
  TakeConfig();
  if (!AllSynced()) {
    return;
  }
  std::vector<Speaker> speakers;
  if (membership_) {
    for (const AliveMember& member : membership_->AliveMembers()) {
      speakers.push_back({.node = member.node, .yields = member.yields != kYieldsNothing});
    }
  } else {
    for (const model::NodeName& node : nodes_) {
      speakers.push_back({.node = node});
    }
  }
  reconciler_.SetSpeakers(std::move(speakers), !membership_ || membership_->Ready());
  const std::vector<OwnershipChange> changes = reconciler_.Reconcile();
  announcer_.SetAnnounced(reconciler_.announcements(), loop_.Now());
  ports_.Update();
  for (const OwnershipChange& change : changes) {
    metrics_.Note(change);
    Tell(change);
    if (change.verdict == Verdict::kAnnounced) {
      EmitNodeAssigned(change);
    }
  }
}

void SpeakerApp::Tell(const OwnershipChange& change) {
  std::vector<obs::Field> fields = {{"service", change.service.ToString()},
                                    {"address", Join(change.addresses)},
                                    {"pool", change.pool},
                                    {"protocol", "layer2"}};
  if (change.verdict == Verdict::kAnnounced) {
    log_.Log(obs::Event::kAnnouncing, "service has IP, announcing", fields);
    return;
  }
  const std::string_view why = change.verdict == Verdict::kNotElected
                                   ? DecisionReasonName(change.decision)
                                   : VerdictName(change.verdict);
  fields.push_back({"reason", std::string(why)});
  if (!change.winner.empty()) {
    fields.push_back({"winner", change.winner});
  }
  log_.Log(obs::Event::kWithdrawn, "withdrawing service announcement", fields);
}

}  // namespace stentor::speaker
