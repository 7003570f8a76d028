// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What a speaker says of itself: the conditions of its ConfigurationState beyond MetalLB's, and
/// the words of its events about Services.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "common/kube/event_body.h"
#include "common/net/ip_address.h"
#include "common/net/mac_address.h"
#include "common/status/condition.h"
#include "common/status/configuration_state_keeper.h"

namespace stentor::speaker {

/// Types of conditions; remarks, without effect on the result. Each is there, and True, while there
/// is something to say, and absent else.
inline constexpr std::string_view kAddressConflictType = "stentor.io/AddressConflict";
inline constexpr std::string_view kNodeTrapsType = "stentor.io/NodeTraps";

/// The object `speaker-NODE` with MetalLB's conditions and those above:
/// status::ConfigurationStateKeeper state(SpeakerStateOptions(ns, node), io::RandomUniform).
[[nodiscard]] status::ConfigurationStateOptions SpeakerStateOptions(std::string_view name_space,
                                                                    std::string_view node);

/// An address that this node announces, or withholds, and that another host claims.
struct ConflictFact {
  net::IpAddress address;
  net::MacAddress mac;    ///< Of the other host.
  std::string interface;  ///< Where it was seen.
  bool withheld = false;  ///< Policy strict: this node does not answer for it.

  friend auto operator<=>(const ConflictFact&, const ConflictFact&) = default;
};

/// The condition for all present conflicts, in any order; nothing where there are none. Reason
/// `Withheld` where one of them is, else `AnnouncedNevertheless`. The message names up to 50, in
/// the order of addresses: "192.0.2.7 is also claimed by 02:00:00:00:00:01 on eth0; …".
[[nodiscard]] std::optional<status::Condition> AddressConflictCondition(
    std::span<const ConflictFact> conflicts);

/// Something on the node that will keep its announcements from working.
struct TrapFact {
  std::string reason;   ///< CamelCase (status::IsConditionReason): TrapName() of speaker/node.
  std::string message;  ///< For people, with what to do about it.

  friend auto operator<=>(const TrapFact&, const TrapFact&) = default;
};

/// The condition for all present traps, in any order; nothing where there are none. Its reason is
/// that of the traps where all have the same, else `SeveralTraps`; messages are one on a line.
[[nodiscard]] std::optional<status::Condition> NodeTrapsCondition(std::span<const TrapFact> traps);

/// Events about Services, in MetalLB's words (its end-to-end suite reads them): Normal
/// `nodeAssigned`, to be sent on change only, and Warning `announceFailed`, with each message of
/// AnnounceFailure (speaker/reconcile). `wall` is now; `suffix` is random.
[[nodiscard]] kube::EventContent NodeAssignedEvent(std::string_view node, WallTime wall,
                                                   std::uint64_t suffix);
[[nodiscard]] kube::EventContent AnnounceFailedEvent(std::string_view node, std::string message,
                                                     WallTime wall, std::uint64_t suffix);

}  // namespace stentor::speaker
