// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What a client of the simulated LAN sees: which speakers answer for which address, and for how
/// long nobody or more than one did.
///
/// Speakers that can reach each other are a group; each group is a segment of its own to its
/// clients, so every address is to be answered in each by exactly one. A *cause* is anything that a
/// test does to the LAN; stretches are measured from the last one, if they began before.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/time.h"

namespace stentor::sim {

/// What a speaker's election knows of another one.
enum class Standing : std::uint8_t { kAbsent, kYields, kAlive };

/// A time for which an address had no announcer, or too many.
struct Stretch {
  Duration length{};
  TimePoint begin{};
  std::size_t address = 0;
};

class Addresses {
 public:
  static constexpr int kNoGroup = -1;

  Addresses(const std::vector<std::string>& nodes, std::size_t count);

  /// The addresses that `self` has to announce where `view` (one a node) is what it knows: the
  /// election without advertisements, preferences and local endpoints.
  [[nodiscard]] std::vector<bool> Elect(std::size_t self, const std::vector<Standing>& view) const;

  /// A cause: all stretches end, and new ones begin. `groups` has one entry a node, kNoGroup for
  /// those that answer nothing.
  void Regroup(TimePoint now, const std::vector<int>& groups);
  /// What a node announces from now on.
  void SetAnnounced(TimePoint now, std::size_t node, std::vector<bool> announced);
  /// Whether `node` has a reason to leave its addresses to others.
  void SetYields(std::size_t node, bool yields) { yields_[node] = yields; }
  /// Counts anew.
  void Reset(TimePoint now);

  [[nodiscard]] Stretch WorstUnanswered(TimePoint now) const;
  [[nodiscard]] Stretch WorstDoubled(TimePoint now) const;
  /// How many addresses of any group have no announcer, and how many have several.
  [[nodiscard]] std::size_t unanswered() const { return unanswered_.open; }
  [[nodiscard]] std::size_t doubled() const { return doubled_.open; }
  /// How often a speaker began to announce an address.
  [[nodiscard]] std::uint64_t taken_over() const { return taken_over_; }
  /// How often it did so although a better candidate of its group announced it and did not yield.
  [[nodiscard]] std::uint64_t usurped() const { return usurped_; }
  [[nodiscard]] std::size_t size() const { return order_.size(); }
  /// Who announces `address`.
  [[nodiscard]] std::vector<std::size_t> Announcers(std::size_t address) const;

 private:
  // All addresses that are unanswered, or doubled, in some group.
  struct Fault {
    std::vector<TimePoint> since;  // by group and address; kNever where it is not
    std::size_t open = 0;
    Stretch worst;
  };

  [[nodiscard]] std::size_t Slot(int group, std::size_t address) const {
    return static_cast<std::size_t>(group) * size() + address;
  }
  void Note(TimePoint now, std::size_t slot, bool wrong, Fault& fault);
  void Count(TimePoint now, std::size_t slot);
  [[nodiscard]] static Stretch Worst(TimePoint now, std::size_t addresses, const Fault& fault);

  std::vector<std::vector<std::uint32_t>> order_;  // by address: nodes, best first
  std::vector<std::vector<std::uint32_t>> rank_;   // by address and node
  std::vector<std::vector<bool>> announced_;       // by node and address
  std::vector<int> groups_;
  std::vector<bool> yields_;
  std::vector<std::uint32_t> counts_;  // announcers by group and address
  Fault unanswered_;
  Fault doubled_;
  std::uint64_t taken_over_ = 0;
  std::uint64_t usurped_ = 0;
};

}  // namespace stentor::sim
