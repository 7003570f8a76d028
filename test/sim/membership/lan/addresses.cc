// SPDX-License-Identifier: Apache-2.0
#include "test/sim/membership/lan/addresses.h"

#include <algorithm>
#include <utility>

#include "common/net/ip_address.h"
#include "speaker/election/election.h"

namespace stentor::sim {
namespace {

constexpr TimePoint kNever = TimePoint::max();
constexpr std::size_t kNobody = ~std::size_t{0};

net::IpAddress AddressAt(std::size_t index) {
  return net::Ipv4Address(0xCB007100U + static_cast<std::uint32_t>(index));  // 203.0.113.0/24
}

}  // namespace

Addresses::Addresses(const std::vector<std::string>& nodes, std::size_t count, std::size_t staying)
    : order_(count),
      rank_(count, std::vector<std::uint32_t>(nodes.size())),
      announced_(nodes.size(), std::vector<bool>(count)),
      heard_(nodes.size(), std::vector<std::size_t>(staying, kNobody)),
      groups_(nodes.size(), kNoGroup),
      yields_(nodes.size()) {
  for (std::size_t address = 0; address < count; ++address) {
    std::vector<std::pair<crypto::Sha256Digest, std::uint32_t>> digests;
    for (std::size_t node = 0; node < nodes.size(); ++node) {
      digests.emplace_back(speaker::CandidateDigest(nodes[node], AddressAt(address)),
                           static_cast<std::uint32_t>(node));
    }
    std::sort(digests.begin(), digests.end());
    for (const auto& [digest, node] : digests) {
      rank_[address][node] = static_cast<std::uint32_t>(order_[address].size());
      order_[address].push_back(node);
    }
  }
  for (std::size_t address = 0; address < staying; ++address) {
    keys_.push_back(speaker::AddressKeyOf(AddressAt(address)));
  }
}

// The number of nodes where there is none.
std::uint32_t Addresses::WinnerOf(std::size_t address, const std::vector<Candidate>& view,
                                  Standing least) const {
  auto winner = static_cast<std::uint32_t>(view.size());
  std::uint32_t best = 0;
  for (const std::uint32_t node : order_[address]) {
    if (view[node].standing < least) {
      continue;
    }
    const speaker::Claims* claims = view[node].claims.get();
    const bool stays = address < staying() && claims != nullptr;
    const std::uint32_t epoch = stays ? speaker::EpochOf(*claims, keys_[address]) : 0;
    if (winner == view.size() || epoch > best) {
      winner = node;
      best = epoch;
    }
  }
  return winner;
}

std::vector<bool> Addresses::Elect(std::size_t self, const std::vector<Candidate>& view) const {
  const bool healthy = std::any_of(view.begin(), view.end(), [](const Candidate& candidate) {
    return candidate.standing == Standing::kAlive;
  });
  std::vector<bool> mine(size());
  for (std::size_t address = 0; address < size(); ++address) {
    mine[address] = WinnerOf(address, view, healthy ? Standing::kAlive : Standing::kYields) == self;
  }
  return mine;
}

speaker::Claims Addresses::ClaimsFor(
    const std::vector<bool>& mine, const speaker::Claims* before,
    const std::function<std::uint32_t(speaker::AddressKey)>& highest) const {
  speaker::Claims claims;
  for (std::size_t address = 0; address < staying(); ++address) {
    if (mine[address]) {
      const std::uint32_t epoch = before == nullptr ? 0 : speaker::EpochOf(*before, keys_[address]);
      claims.push_back(
          {.address = keys_[address], .epoch = epoch == 0 ? highest(keys_[address]) + 1 : epoch});
    }
  }
  std::sort(claims.begin(), claims.end());
  return claims;
}

void Addresses::Announce(std::size_t node, std::size_t address) {
  for (std::size_t other = 0; other < groups_.size(); ++other) {
    if (address < staying() && groups_[other] != kNoGroup && groups_[other] == groups_[node]) {
      heard_[other][address] = node;
    }
  }
}

void Addresses::AnnounceAgain(std::size_t node) {
  for (std::size_t address = 0; address < staying(); ++address) {
    if (announced_[node][address]) {
      Announce(node, address);
    }
  }
}

std::size_t Addresses::CountOf(std::size_t node) const {
  return static_cast<std::size_t>(
      std::count(announced_[node].begin(), announced_[node].end(), true));
}

std::size_t Addresses::Mistaken() const {
  std::size_t mistaken = 0;
  for (std::size_t node = 0; node < groups_.size(); ++node) {
    for (std::size_t address = 0; groups_[node] != kNoGroup && address < staying(); ++address) {
      for (const std::size_t announcer : Announcers(address)) {
        const bool together = groups_[announcer] == groups_[node];
        const std::size_t heard = heard_[node][address];
        mistaken += together && heard != kNobody && heard != announcer ? 1U : 0U;
      }
    }
  }
  return mistaken;
}

void Addresses::Note(TimePoint now, std::size_t slot, bool wrong, Fault& fault) {
  TimePoint& since = fault.since[slot];
  if (wrong == (since != kNever)) {
    return;
  }
  if (wrong) {
    since = now;
    ++fault.open;
    return;
  }
  if (now - since > fault.worst.length) {
    fault.worst = {.length = now - since, .begin = since, .address = slot % size()};
  }
  since = kNever;
  --fault.open;
}

void Addresses::Count(TimePoint now, std::size_t slot) {
  Note(now, slot, counts_[slot] == 0, unanswered_);
  Note(now, slot, counts_[slot] > 1, doubled_);
}

void Addresses::Regroup(TimePoint now, const std::vector<int>& groups) {
  for (std::size_t slot = 0; slot < counts_.size(); ++slot) {
    Note(now, slot, false, unanswered_);
    Note(now, slot, false, doubled_);
  }
  groups_ = groups;
  for (std::size_t node = 0; node < groups_.size(); ++node) {
    if (groups_[node] == kNoGroup) {
      heard_[node].assign(staying(), kNobody);  // whoever is there asks anew
    }
  }
  const int last = *std::max_element(groups_.begin(), groups_.end());
  counts_.assign(static_cast<std::size_t>(last + 1) * size(), 0);
  unanswered_.since.assign(counts_.size(), kNever);
  doubled_.since.assign(counts_.size(), kNever);
  for (std::size_t node = 0; node < groups_.size(); ++node) {
    for (std::size_t address = 0; groups_[node] != kNoGroup && address < size(); ++address) {
      counts_[Slot(groups_[node], address)] += announced_[node][address] ? 1U : 0U;
    }
  }
  for (std::size_t slot = 0; slot < counts_.size(); ++slot) {
    Count(now, slot);
  }
}

void Addresses::SetAnnounced(TimePoint now, std::size_t node, std::vector<bool> announced) {
  const int group = groups_[node];
  for (std::size_t address = 0; address < size(); ++address) {
    if (announced[address] == announced_[node][address]) {
      continue;
    }
    if (announced[address]) {
      ++taken_over_;
      Announce(node, address);
      const auto& rank = rank_[address];
      for (std::size_t other = 0; other < groups_.size(); ++other) {
        if (group != kNoGroup && groups_[other] == group && announced_[other][address] &&
            !yields_[other] && (address < staying() || rank[other] < rank[node])) {
          ++usurped_;
        }
      }
    }
    if (group != kNoGroup) {
      counts_[Slot(group, address)] += announced[address] ? 1U : ~0U;
      Count(now, Slot(group, address));
    }
  }
  announced_[node] = std::move(announced);
}

void Addresses::Reset(TimePoint now) {
  Regroup(now, groups_);
  unanswered_.worst = {};
  doubled_.worst = {};
  taken_over_ = 0;
  usurped_ = 0;
}

Stretch Addresses::Worst(TimePoint now, std::size_t addresses, const Fault& fault) {
  Stretch worst = fault.worst;
  for (std::size_t slot = 0; fault.open > 0 && slot < fault.since.size(); ++slot) {
    const TimePoint since = fault.since[slot];
    if (since != kNever && now - since > worst.length) {
      worst = {.length = now - since, .begin = since, .address = slot % addresses};
    }
  }
  return worst;
}

Stretch Addresses::WorstUnanswered(TimePoint now) const { return Worst(now, size(), unanswered_); }
Stretch Addresses::WorstDoubled(TimePoint now) const { return Worst(now, size(), doubled_); }

std::vector<std::size_t> Addresses::Announcers(std::size_t address) const {
  std::vector<std::size_t> announcers;
  for (std::size_t node = 0; node < announced_.size(); ++node) {
    if (announced_[node][address]) {
      announcers.push_back(node);
    }
  }
  return announcers;
}

}  // namespace stentor::sim
