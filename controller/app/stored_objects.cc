// SPDX-License-Identifier: Apache-2.0
#include "controller/app/stored_objects.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/codec.h"

namespace stentor::controller {
namespace {

using namespace std::chrono_literals;

constexpr Duration kDistance = 20ms;
constexpr Duration kPace = 200ms;  // in the long run, but for kBurst
constexpr int kBurst = 100;
constexpr Duration kAgain = 300ms;  // after a reading that failed
// API servers wait ten seconds for a webhook, unless told otherwise.
constexpr Duration kTimeLimit = 8s;

struct Listing {
  Kind kind;
  const char* resource;
};
constexpr std::array kLayer2 = {Listing{Kind::kIpAddressPool, "v1beta1/ipaddresspools"},
                                Listing{Kind::kAddressPool, "v1beta1/addresspools"},
                                Listing{Kind::kL2Advertisement, "v1beta1/l2advertisements"}};
constexpr std::array kBgp = {Listing{Kind::kIpAddressPool, "v1beta1/ipaddresspools"},
                             Listing{Kind::kBgpAdvertisement, "v1beta1/bgpadvertisements"},
                             Listing{Kind::kBgpPeer, "v1beta2/bgppeers"},
                             Listing{Kind::kBfdProfile, "v1beta1/bfdprofiles"},
                             Listing{Kind::kCommunity, "v1beta1/communities"}};

bool IsBgp(Kind kind) {
  return kind != Kind::kIpAddressPool && kind != Kind::kAddressPool &&
         kind != Kind::kL2Advertisement;
}

bool IsForTheMoment(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status) ||
         absl::IsAborted(status) || absl::IsInternal(status) || absl::IsPermissionDenied(status);
}

std::string PathOf(const std::string& name_space, const std::string& resource) {
  const std::size_t slash = resource.find('/');
  return StrCat("/apis/metallb.io/", resource.substr(0, slash), "/namespaces/", name_space,
                resource.substr(slash));
}

}  // namespace

struct StoredObjects::Round {
  Facts facts;
  absl::Status status;
  std::size_t outstanding = 0;
  std::vector<Waiting> waiting;
};

StoredObjects::StoredObjects(const io::Context& context, std::string name_space, BgpMode bgp_mode)
    : context_(context),
      name_space_(std::move(name_space)),
      bgp_mode_(bgp_mode),
      layer2_(context.loop),
      bgp_(context.loop) {}

StoredObjects::~StoredObjects() = default;

void StoredObjects::Read(Kind kind, Done done) {
  Group& group = GroupOf(IsBgp(kind));
  group.waiting.push_back({std::move(done), context_.loop.Now() + kTimeLimit});
  if (!group.round && group.waiting.size() == 1) {
    group.timer.ArmAt(group.next_start, [this, bgp = IsBgp(kind)] { Start(bgp); });
  }
}

void StoredObjects::Start(bool bgp) {
  Group& group = GroupOf(bgp);
  // As many as somebody who applies a folder needs one after the other; a flood is slowed down.
  const TimePoint now = context_.loop.Now();
  group.used_up = std::max(group.used_up, now - kBurst * kPace) + kPace;
  group.next_start = std::max(now + kDistance, group.used_up);
  auto round = std::make_shared<Round>();
  round->facts.name_space = name_space_;
  round->facts.bgp_mode = bgp_mode_;
  round->waiting = std::exchange(group.waiting, {});
  group.round = round;
  const auto list = [&](const Listing& listing) {
    List(
        bgp, round, PathOf(name_space_, listing.resource),
        // What can't be read has no part in any conflict; the controller names it in its log.
        [facts = &round->facts, kind = listing.kind](const nlohmann::json& object) {
          (void)facts->Put(kind, object);
        },
        false);
  };
  if (!bgp) {
    round->outstanding = kLayer2.size();
    std::ranges::for_each(kLayer2, list);
    return;
  }
  round->outstanding = kBgp.size() + 1;
  std::ranges::for_each(kBgp, list);
  List(
      bgp, round, "/api/v1/nodes",
      [facts = &round->facts](const nlohmann::json& object) {
        const auto key = kube::DecodeKey(object);
        auto labels = kube::DecodeLabels(object);
        if (key.ok() && labels.ok()) {
          facts->nodes.insert_or_assign(key->name, *std::move(labels));
        }
      },
      true);
}

void StoredObjects::List(bool bgp, const std::shared_ptr<Round>& round, const std::string& path,
                         std::function<void(const nlohmann::json& object)> take,
                         bool metadata_only) {
  kube::Request request{.path = path, .time_limit = kTimeLimit};
  if (metadata_only) {
    request.accept = kube::kMetadataOnlyList;
  }
  context_.client.Request(
      std::move(request), lifetime_.Bind([this, bgp, round, path, take = std::move(take)](
                                             const absl::StatusOr<kube::Response>& response) {
        absl::Status status = kube::StatusOf(response);
        if (status.ok()) {
          const auto list = kube::ParseApiJson(response->body);
          const nlohmann::json::json_pointer items("/items");
          if (!list.ok()) {
            status = list.status();
          } else if (list->contains(items) && (*list)[items].is_array()) {
            std::ranges::for_each((*list)[items], take);
            shown_.insert(path);
          }
        }
        // An API server that has just started refuses what it has not read the roles for.
        const bool empty = absl::IsNotFound(status) ||
                           (absl::IsPermissionDenied(status) && !shown_.contains(path));
        if (!status.ok() && !empty) {
          round->status = status;
        }
        if (--round->outstanding == 0) {
          Finish(bgp);
        }
      }));
}

void StoredObjects::Finish(bool bgp) {
  Group& group = GroupOf(bgp);
  const std::shared_ptr<Round> round = std::exchange(group.round, nullptr);
  const absl::StatusOr<Facts> facts = round->status.ok()
                                          ? absl::StatusOr<Facts>(std::move(round->facts))
                                          : absl::StatusOr<Facts>(round->status);
  const TimePoint again = context_.loop.Now() + kAgain;
  std::vector<Waiting> answered;
  for (Waiting& waiting : round->waiting) {
    const bool can_wait = IsForTheMoment(round->status) && again < waiting.until;
    (can_wait ? group.waiting : answered).push_back(std::move(waiting));
  }
  if (!group.waiting.empty()) {
    group.timer.ArmAt(round->status.ok() ? group.next_start : again, [this, bgp] { Start(bgp); });
  }
  for (const Waiting& waiting : answered) {
    waiting.done(facts);
  }
}

}  // namespace stentor::controller
