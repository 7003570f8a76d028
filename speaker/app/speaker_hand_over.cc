// SPDX-License-Identifier: Apache-2.0

/// \file
/// How the speaker leaves addresses to others, takes them over, or keeps them.

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "speaker/app/log_text.h"
#include "speaker/app/speaker.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

// A hand-over that begins while others are under way has no more time than they. Within the grace
// period that a pod has (charts/stentor).
constexpr Duration kStopsWithin = 3500ms;

}  // namespace

// Make before break: the others hear at once that this speaker yields, and what they can take is
// answered from here until they have said so. What nobody else can take goes with the goodbye.
void SpeakerApp::Stop() {
  if (std::exchange(stopping_, true) || !members_) {
    context_.loop.Stop();
    return;
  }
  stop_timer_.ArmAfter(kStopsWithin, [this] { members_->Leave(); });
  members_->SetYield(kYieldStopping, true);
  LeaveSoon();
}

// Not at once: this may be the middle of an election.
void SpeakerApp::LeaveSoon() {
  if (stopping_) {
    context_.loop.Post(lifetime_.Bind([this] {
      if (!segment_.announcer().AnyLeaving()) {
        stop_timer_.Disarm();
        members_->Leave();
      }
    }));
  }
}

void SpeakerApp::TellSegment() {
  if (announced_revision_ == reconciler_.revision()) {
    return;
  }
  announced_revision_ = reconciler_.revision();
  std::set<net::IpAddress> handed_over;
  std::set<net::IpAddress> unbounded;
  for (const auto& [address, to] : reconciler_.handed_over()) {
    handed_over.insert(address);
    if (to.until_taken) {
      unbounded.insert(address);
    }
  }
  segment_.SetAnnounced(reconciler_.announcements(), handed_over, std::move(unbounded));
}

// What the rival claims comes first: what is its own now is not announced again. Where nobody
// claims anything there is nothing to wait for.
void SpeakerApp::OnRival() {
  if (!reconciler_.AnybodyClaims()) {
    segment_.AnnounceAgain();
    return;
  }
  announce_again_ = true;
  reconcile_.Schedule();
}

void SpeakerApp::OnHandedOver(const std::vector<HandOverEnd>& ends) {
  for (const HandOverEnd& end : ends) {
    const bool taken = end.outcome == HandOverOutcome::kTaken;
    std::vector<obs::Field> fields = {{"address", end.address.ToString()},
                                      {"took", Milliseconds(end.took)}};
    if (const auto to = reconciler_.handed_over().find(end.address);
        to != reconciler_.handed_over().end()) {
      fields.push_back({"service", to->second.service.ToString()});
      fields.push_back({"winner", to->second.winner});
    }
    if (taken) {
      if (reconciler_.NoteTaken(end.address)) {
        reconcile_.Schedule();
      }
      const Link* const link = segment_.links().Find(end.link);
      fields.push_back({"mac", end.successor.ToString()});
      fields.push_back({"interface", link != nullptr ? link->name : ""});
    }
    context_.log.Log(taken ? obs::Event::kHandedOver : obs::Event::kHandOverTimedOut,
                     taken ? "another node announces the address"
                           : "no other node was heard to announce the address in time",
                     fields);
  }
  LeaveSoon();
}

void SpeakerApp::Stays(const StayNotice& notice) {
  std::vector<obs::Field> fields = {{"service", notice.service.ToString()},
                                    {"preferred", notice.preferred}};
  std::string delay;
  if (notice.delay) {
    delay = StrCat(std::chrono::duration<double>(*notice.delay).count(), " s");
    fields.push_back({"delay", delay});
  }
  if (notice.given_back) {
    context_.log.Log(
        obs::Event::kGivenBack,
        StrCat("the service goes back to ", notice.preferred, ", which has been there for ", delay),
        fields);
  } else {
    context_.log.Log(
        obs::Event::kStays,
        StrCat("the service stays on this node, though ", notice.preferred, " is preferred",
               notice.delay ? StrCat("; it goes back after ", delay) : std::string()),
        fields);
  }
}

void SpeakerApp::ArmReconcile() {
  proxy_checks_.Set(reconciler_.proxy_waits());
  if (const auto deadline = reconciler_.NextDeadline()) {
    reconcile_timer_.ArmAt(*deadline, [this] { Reconcile(); });
  } else {
    reconcile_timer_.Disarm();
  }
}

}  // namespace stentor::speaker
