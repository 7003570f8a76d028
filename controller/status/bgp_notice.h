// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Tells whoever made BGPPeers or BGPAdvertisements that this version announces by layer 2 only: a
/// condition of the ConfigurationState as long as there are any, and one event when they appear.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/kube/event_body.h"
#include "common/model/types.h"
#include "common/status/condition.h"

namespace stentor::controller {

enum class BgpKind : std::uint8_t { kAdvertisement, kPeer };

/// A BGPAdvertisement or BGPPeer that exists.
struct BgpObject {
  BgpKind kind = BgpKind::kPeer;
  model::ObjectKey key;
  std::string uid;
};

/// A Kubernetes Event that is to be made: `POST kube::EventsPath(about.key.name_space)` with
/// kube::BuildEventBody(about, event), once `time`, `suffix` and `host` are set.
struct BgpEvent {
  kube::EventObject about;
  kube::EventContent event;
};

struct BgpTidings {
  /// Of type bgpAnnounced; absent: to be removed.
  std::optional<status::Condition> condition;
  std::optional<BgpEvent> event;
};

/// Not thread-safe.
class BgpNotice {
 public:
  /// To be called by the leader as long as it has not read which objects exist, with `recorded` as
  /// below. What this instance writes meanwhile lacks the condition: only what was there first says
  /// whether another instance has sent the event.
  void OnReading(std::optional<bool> recorded);

  /// What there is to tell, where `objects` (in any order) are all that exist. `recorded`: whether
  /// the ConfigurationState that the API server has carries the condition already
  /// (ConfigurationStateKeeper::Recorded), so that this instance or another one has sent the event
  /// before; nothing: not known yet, and the event waits. To be called by the leader only, when one
  /// of the two changes.
  [[nodiscard]] BgpTidings Update(std::span<const BgpObject> objects, std::optional<bool> recorded);

 private:
  bool told_ = false;
  std::optional<bool> recorded_before_;  // what was there first, until the objects are read
};

}  // namespace stentor::controller
