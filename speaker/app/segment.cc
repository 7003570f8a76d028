// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/segment.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/base/strings.h"
#include "speaker/membership/datagram.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReopenLinksAfter = 1s;
constexpr Duration kDumpPatience = 3s;

const char* ProtocolOf(net::IpFamily family) {
  return family == net::IpFamily::kIpv4 ? "ARP" : "NDP";
}

// Each of these is one log line a change of an interface.
PacketPorts::Observer Telling(const obs::Logger& log, std::function<void()> before_frames,
                              std::function<void()> after_frames) {
  return {
      .before_frames = std::move(before_frames),
      .after_frames = std::move(after_frames),
      .on_opened =
          [&log](const std::string& interface, net::IpFamily family) {
            log.Log(obs::Event::kInterfaceOpened,
                    StrCat("answering ", ProtocolOf(family), " on ", interface),
                    {{"interface", interface}, {"protocol", ProtocolOf(family)}});
          },
      .on_closed =
          [&log](const std::string& interface, net::IpFamily family) {
            log.Log(obs::Event::kInterfaceClosed,
                    StrCat("not answering ", ProtocolOf(family), " on ", interface),
                    {{"interface", interface}, {"protocol", ProtocolOf(family)}});
          },
      .on_failed =
          [&log](const std::string& interface, net::IpFamily family, const absl::Status& status) {
            log.Log(obs::Event::kInterfaceFailed, std::string(status.message()),
                    {{"interface", interface}, {"protocol", ProtocolOf(family)}});
          }};
}

}  // namespace

Segment::Segment(io::EventLoop& loop, const obs::Logger& log, NameFilter excluded,
                 const AnnouncerOptions& options, SegmentHandlers handlers)
    : loop_(loop),
      log_(log),
      handlers_(std::move(handlers)),
      links_(std::move(excluded)),
      announcer_(links_, options),
      ports_(loop, links_, announcer_,
             Telling(log, handlers_.before_frames, [this] { AfterFrames(); })),
      link_timer_(loop),
      neighbors_(loop, {.on_macs =
                            [this](std::set<net::MacAddress> macs) {
                              node_macs_ = std::move(macs);
                              SetKnownMacs();
                            },
                        .on_failed =
                            [this](const absl::Status& status) {
                              log_.Log(obs::Event::kInterfaceFailed, std::string(status.message()));
                            }}) {}

Segment::~Segment() = default;

absl::Status Segment::Start() {
  auto monitor = LinkMonitor::Open(links_);
  if (!monitor.ok()) {
    return monitor.status();
  }
  link_watch_.reset();  // of the former one's socket
  link_monitor_ = *std::move(monitor);
  link_watch_ =
      std::make_unique<io::DescriptorWatch>(loop_, link_monitor_->fd(), [this] { OnLinks(); });
  AwaitDump();
  return absl::OkStatus();
}

void Segment::OnLinks() {
  std::vector<LinkEvent> events;
  const absl::Status status = link_monitor_->OnReadable(&events);
  ports_.OnLinkEvents(events);
  handlers_.on_links();
  if (status.ok()) {
    AwaitDump();
    return;
  }
  log_.Log(obs::Event::kInterfaceFailed, std::string(status.message()));
  link_watch_.reset();
  awaits_dump_ = false;
  link_timer_.ArmAfter(kReopenLinksAfter, [this] { ReopenLinks(); });
}

// In a flood of changes the end of a dump may be lost, and nothing else would come of it.
void Segment::AwaitDump() {
  const bool dumping = link_monitor_->dumping();
  if (std::exchange(awaits_dump_, dumping) == dumping) {
    return;
  }
  if (dumping) {
    link_timer_.ArmAfter(kDumpPatience, [this] { ReopenLinks(); });
  } else {
    link_timer_.Disarm();
  }
}

void Segment::ReopenLinks() {
  awaits_dump_ = false;
  if (const absl::Status status = Start(); !status.ok()) {
    link_timer_.ArmAfter(kReopenLinksAfter, [this] { ReopenLinks(); });
  }
}

AnnouncementChange Segment::SetAnnounced(const Announcements& announcements,
                                         const std::set<net::IpAddress>& handed_over,
                                         std::set<net::IpAddress> unbounded) {
  announcer_.SetUnboundedHandOvers(std::move(unbounded));
  AnnouncementChange change = announcer_.SetAnnounced(announcements, handed_over, loop_.Now());
  ports_.Update();
  return change;
}

void Segment::SetPaused(bool paused) {
  if (announcer_.paused() == paused) {
    return;
  }
  announcer_.SetPaused(paused);
  ports_.Update();  // arms the timer for what is due, or none
}

void Segment::AnnounceAgain() {
  announcer_.AnnounceAgain(loop_.Now());
  ports_.Update();
}

void Segment::SetSpeakerMacs(std::set<net::MacAddress> macs) {
  speaker_macs_ = std::move(macs);
  SetKnownMacs();
}

void Segment::SetNodeAddresses(const std::set<net::IpAddress>& addresses) {
  neighbors_.SetNodeAddresses(addresses);
}

void Segment::SetKnownMacs() {
  std::set<net::MacAddress> known = node_macs_;
  known.insert(speaker_macs_.begin(), speaker_macs_.end());
  announcer_.SetKnownMacs(std::move(known), loop_.Now());
  ports_.Update();
}

std::set<std::string> Segment::InterfaceNames() const {
  std::set<std::string> names;
  for (const auto& [index, link] : links_.all()) {
    if (!link.excluded) {
      names.insert(link.name);
    }
  }
  return names;
}

std::set<net::MacAddress> Segment::Macs() const {
  std::set<net::MacAddress> in_use;
  for (const WantedPort& port : announcer_.WantedPorts()) {
    if (const Link* link = links_.Find(port.link)) {
      in_use.insert(link->mac);
    }
  }
  std::set<net::MacAddress> all = in_use;
  for (const auto& [index, link] : links_.all()) {
    if (link.answers_arp) {
      all.insert(link.mac);
    }
  }
  // Others are told of so many only; those that count are those in use.
  return all.size() <= kMaxMacs ? all : in_use;
}

bool Segment::HasCarrier() const {
  return std::ranges::any_of(links_.all(), [this](const auto& entry) {
    const Link& link = entry.second;
    return link.carrier && (link.answers_arp || (link.can_answer && named_.contains(link.name)));
  });
}

void Segment::AfterFrames() {
  const AnnouncementChange change = announcer_.TakeChanges();
  const std::vector<ConflictNotice> notices = announcer_.TakeConflictNotices();
  if (!notices.empty()) {
    handlers_.on_conflicts(notices);
  }
  if (!change.added.empty() || !change.withdrawn.empty()) {
    handlers_.on_states();
  }
  if (const std::vector<HandOverEnd> ends = announcer_.TakeHandOverEnds(); !ends.empty()) {
    handlers_.on_handed_over(ends);
    ports_.Update();  // less is let in now
  }
}

}  // namespace stentor::speaker
