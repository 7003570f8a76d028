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
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "speaker/claims/claims.h"

namespace stentor::sim {

/// What a speaker's election knows of another one.
enum class Standing : std::uint8_t { kAbsent, kYields, kAlive };

struct Candidate {
  Standing standing = Standing::kAbsent;
  std::shared_ptr<const speaker::Claims> claims;
};

/// A time for which an address had no announcer, or too many.
struct Stretch {
  Duration length{};
  TimePoint begin{};
  std::size_t address = 0;
};

class Addresses {
 public:
  static constexpr int kNoGroup = -1;

  /// The owners of the first `staying` addresses stay where they are when a better one comes back.
  Addresses(const std::vector<std::string>& nodes, std::size_t count, std::size_t staying);

  /// The addresses that `self` has to announce where `view` (one a node) is what it knows: the
  /// election without advertisements, preferences and local endpoints.
  [[nodiscard]] std::vector<bool> Elect(std::size_t self, const std::vector<Candidate>& view) const;
  /// What a speaker claims that announces `mine` and claimed `before`; `highest` is the highest
  /// epoch that it knows of an address.
  [[nodiscard]] speaker::Claims ClaimsFor(
      const std::vector<bool>& mine, const speaker::Claims* before,
      const std::function<std::uint32_t(speaker::AddressKey)>& highest) const;

  /// A cause: all stretches end, and new ones begin. `groups` has one entry a node, kNoGroup for
  /// those that answer nothing.
  void Regroup(TimePoint now, const std::vector<int>& groups);
  /// What a node announces from now on.
  void SetAnnounced(TimePoint now, std::size_t node, std::vector<bool> announced);
  /// A node announces again what it announces.
  void AnnounceAgain(std::size_t node);
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
  /// How often it did so although a better candidate of its group (of an address that stays: any
  /// one) announced it and did not yield.
  [[nodiscard]] std::uint64_t usurped() const { return usurped_; }
  [[nodiscard]] std::size_t size() const { return order_.size(); }
  [[nodiscard]] std::size_t staying() const { return keys_.size(); }
  /// How many addresses a node announces.
  [[nodiscard]] std::size_t CountOf(std::size_t node) const;
  /// How many addresses that stay a client somewhere in the group of an announcer of theirs takes
  /// to be at another node: it has announced them later.
  [[nodiscard]] std::size_t Mistaken() const;
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
  void Announce(std::size_t node, std::size_t address);
  [[nodiscard]] std::uint32_t WinnerOf(std::size_t address, const std::vector<Candidate>& view,
                                       Standing least) const;
  [[nodiscard]] static Stretch Worst(TimePoint now, std::size_t addresses, const Fault& fault);

  std::vector<std::vector<std::uint32_t>> order_;  // by address: nodes, best first
  std::vector<std::vector<std::uint32_t>> rank_;   // by address and node
  std::vector<speaker::AddressKey> keys_;          // of the addresses that stay
  std::vector<std::vector<bool>> announced_;       // by node and address
  std::vector<std::vector<std::size_t>> heard_;    // by node, address: who announced it there last
  std::vector<int> groups_;
  std::vector<bool> yields_;
  std::vector<std::uint32_t> counts_;  // announcers by group and address
  Fault unanswered_;
  Fault doubled_;
  std::uint64_t taken_over_ = 0;
  std::uint64_t usurped_ = 0;
};

}  // namespace stentor::sim
