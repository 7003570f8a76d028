// SPDX-License-Identifier: Apache-2.0
// The part of Announcer that speaks without having been asked.

#include <algorithm>

#include "speaker/announce/announcer.h"

namespace stentor::speaker {
namespace {

OutgoingFrame FrameOf(IfIndex link, const net::IpAddress& address, Bytes bytes) {
  return {.link = link,
          .address = address,
          .bytes = std::vector<std::byte>(bytes.begin(), bytes.end())};
}

OutgoingFrame ProbeOn(const Link& link, const net::IpAddress& address) {
  OutgoingFrame frame =
      address.IsIpv4()
          ? FrameOf(link.index, address, net::EncodeArp(net::ArpProbe(link.mac, address.ipv4())))
          : FrameOf(link.index, address,
                    net::EncodeNd(net::DadProbe(link.mac, address.ipv6())).bytes());
  frame.probe = true;
  return frame;
}

}  // namespace

std::vector<OutgoingFrame> Announcer::Poll(TimePoint now) {
  latest_ = std::max(latest_, now);
  if (paused_) {
    return {};
  }
  pace_.Refill(now);
  ExpireHandOvers(now);
  guard_.Advance(
      now, [this](const net::IpAddress& address) { return entries_.find(address)->second.policy; });
  ApplyGuard(now);
  Frames out;
  while (pace_.Affordable()) {
    std::size_t sent = 0;
    if (auto due = schedule_.TakeUrgent(now)) {
      sent = SendGratuitous(*due, &out);
    } else if (const auto task = guard_.TakeTask()) {
      sent = SendTask(*task, &out);
      guard_.OnTaskDone(*task, sent, now);
    } else if (due = schedule_.TakeDue(now); due) {
      sent = SendGratuitous(*due, &out);
    } else {
      break;
    }
    pace_.Spend(sent);
  }
  ApplyGuard(now);
  return out;
}

std::optional<TimePoint> Announcer::NextDeadline() const {
  if (paused_) {
    return std::nullopt;
  }
  std::optional<TimePoint> next = guard_.NextTimer();
  const auto sooner = [&next](TimePoint at) { next = next ? std::min(*next, at) : at; };
  if (const std::optional<TimePoint> bound = hand_overs_.NextDeadline()) {
    sooner(*bound);
  }
  const std::optional<TimePoint> affordable = pace_.NextAffordable();
  if (schedule_.HasUrgent() || guard_.HasTask()) {
    sooner(affordable.value_or(latest_));
  } else if (const auto due = schedule_.NextDue()) {
    sooner(affordable ? std::max(*affordable, *due) : *due);
  }
  return next;
}

template <typename Send>
void Announcer::ForLinks(const net::IpAddress& address, const Entry& entry, IfIndex index,
                         Send send) const {
  const auto offer = [&](const Link& link) {
    if (link.carrier && Allows(*entry.scope, link, address.family())) {
      send(link);
    }
  };
  if (index != GratuitousSchedule::kAllLinks) {
    if (const Link* const link = links_.Find(index)) {
      offer(*link);
    }
    return;
  }
  for (const auto& [number, link] : links_.all()) {
    offer(link);
  }
}

std::size_t Announcer::SendGratuitous(const GratuitousSchedule::Due& due, Frames* out) {
  using Step = GratuitousSchedule::Step;
  const auto& [address, index] = due.target;
  Entry& entry = entries_.find(address)->second;
  const std::size_t before = out->size();
  ForLinks(address, entry, index, [&](const Link& link) {
    if (due.step != Step::kSecondForm) {
      SendAnnouncement(address, link, net::GratuitousArp::kRequest, out);
    }
    if (due.step != Step::kFirst && address.IsIpv4()) {
      SendAnnouncement(address, link, net::GratuitousArp::kReply, out);
    }
  });
  entry.counters.gratuitous_sent += out->size() - before;
  return out->size() - before;
}

// How many frames it took.
std::size_t Announcer::SendTask(const ConflictGuard::Task& task, Frames* out) {
  const std::size_t before = out->size();
  const net::IpAddress& address = task.address;
  if (task.kind == ConflictGuard::TaskKind::kControl) {
    const Link* const link = links_.Find(task.link);
    const bool wanted = guard_.ControlActive({task.link, address.family()});
    if (wanted && link != nullptr && link->carrier && MayAnswer(*link, address.family(), true)) {
      out->push_back(ProbeOn(*link, address));
    }
    return out->size() - before;
  }
  Entry& entry = entries_.find(address)->second;
  ForLinks(address, entry, task.link, [&](const Link& link) {
    if (task.kind == ConflictGuard::TaskKind::kProbe) {
      out->push_back(ProbeOn(link, address));
    } else {
      SendAnnouncement(address, link, net::GratuitousArp::kRequest, out);
    }
  });
  const std::size_t sent = out->size() - before;
  if (task.kind == ConflictGuard::TaskKind::kDefend) {
    entry.counters.gratuitous_sent += sent;
  }
  return sent;
}

// `form` matters for IPv4 only.
void Announcer::SendAnnouncement(const net::IpAddress& address, const Link& link,
                                 net::GratuitousArp form, Frames* out) {
  if (address.IsIpv4()) {
    out->push_back(
        FrameOf(link.index, address,
                net::EncodeArp(net::GratuitousArpPacket(link.mac, address.ipv4(), form))));
  } else if (link.link_local) {
    const net::NdPacket packet =
        net::UnsolicitedAdvertisement(link.mac, *link.link_local, address.ipv6());
    out->push_back(FrameOf(link.index, address, net::EncodeNd(packet).bytes()));
  }
}

}  // namespace stentor::speaker
