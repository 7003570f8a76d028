// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/bpf_search.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "common/base/check.h"

namespace stentor::speaker {
namespace {

// Opcodes: class, size or operation, mode or source (linux/bpf_common.h).
constexpr std::uint16_t kLoadWord = 0x20;  // A = 4 octets at the operand
constexpr std::uint16_t kLoadHalf = 0x28;
constexpr std::uint16_t kLoadByte = 0x30;
constexpr std::uint16_t kJumpAlways = 0x05;  // by the operand, which has 32 bits
constexpr std::uint16_t kJumpEqual = 0x15;
constexpr std::uint16_t kJumpGreater = 0x25;
constexpr std::uint16_t kJumpGreaterOrEqual = 0x35;
constexpr std::uint16_t kReturn = 0x06;

constexpr std::uint32_t kAcceptAll = 0x40000;  // octets; more than any frame has

constexpr std::size_t kItemsPerLeaf = 16;

// Returns are written where no path falls into them once a jump to them is this long...
constexpr std::size_t kReturnsAfter = 128;
// ...and anywhere, with a jump around them, when it is so long that the next item might put them
// out of reach.
constexpr std::size_t kReturnsAtLast = 200;
constexpr std::size_t kMaxJump = 255;

}  // namespace

void BpfWriter::Load(BpfSize size, std::uint32_t offset) {
  constexpr std::array kCodes = {kLoadByte, kLoadHalf, kLoadWord};
  Emit(kCodes[static_cast<std::size_t>(size)], offset);
}

void BpfWriter::RejectUnlessAtMost(std::uint32_t value) {
  Jump(kJumpGreater, value, Target::kReject, Target::kNext);
}

void BpfWriter::RejectUnlessBetween(std::uint32_t first, std::uint32_t last) {
  Jump(kJumpGreaterOrEqual, first, Target::kNext, Target::kReject);
  Jump(kJumpGreater, last, Target::kReject, Target::kNext);
}

void BpfWriter::RequireHalf(std::uint32_t offset, std::uint32_t value) {
  Load(BpfSize::kHalf, offset);
  Jump(kJumpEqual, value, Target::kNext, Target::kReject);
}

void BpfWriter::RequireWord(std::uint32_t offset, std::uint32_t value) {
  Load(BpfSize::kWord, offset);
  Jump(kJumpEqual, value, Target::kNext, Target::kReject);
}

void BpfWriter::Search(const AddressRanges& ranges, std::span<const std::uint32_t> offsets,
                       OnMiss on_miss) {
  STENTOR_CHECK(!ranges.empty() && !offsets.empty());
  offsets_ = offsets;
  miss_ = on_miss == OnMiss::kGoOn ? Target::kMiss : Target::kReject;
  WriteWord(ranges, 0);
  if (on_miss == OnMiss::kGoOn) {
    EndSearch();
  }
}

BpfProgram BpfWriter::Finish() && {
  WriteReturns();
  return std::move(program_);
}

void BpfWriter::Emit(std::uint16_t code, std::uint32_t operand) {
  program_.push_back({.code = code, .jump_true = 0, .jump_false = 0, .operand = operand});
}

void BpfWriter::Jump(std::uint16_t code, std::uint32_t operand, Target if_true, Target if_false) {
  const std::size_t at = program_.size();
  Emit(code, operand);
  if (if_true != Target::kNext) {
    pending_.push_back({.at = at, .if_true = true, .target = if_true});
  }
  if (if_false != Target::kNext) {
    pending_.push_back({.at = at, .if_true = false, .target = if_false});
  }
}

void BpfWriter::Aim(const PendingJump& jump, std::size_t to) {
  const std::size_t distance = to - jump.at - 1;
  STENTOR_CHECK(distance <= kMaxJump) << "jump over " << distance << " instructions";
  BpfInstruction& instruction = program_[jump.at];
  (jump.if_true ? instruction.jump_true : instruction.jump_false) =
      static_cast<std::uint8_t>(distance);
}

std::size_t BpfWriter::OldestPending() const noexcept {
  return pending_.empty() ? 0 : program_.size() - pending_.front().at;
}

// Every pending jump to `target` goes to `to`.
void BpfWriter::WriteTarget(Target target, std::size_t to) {
  std::erase_if(pending_, [this, target, to](const PendingJump& jump) {
    if (jump.target != target) {
      return false;
    }
    Aim(jump, to);
    return true;
  });
}

// Writes what the pending jumps go to. No path may fall into it.
void BpfWriter::WriteReturns() {
  const auto wanted = [this](Target target) {
    return std::any_of(pending_.begin(), pending_.end(),
                       [target](const PendingJump& jump) { return jump.target == target; });
  };
  if (wanted(Target::kAccept)) {
    WriteTarget(Target::kAccept, program_.size());
    Emit(kReturn, kAcceptAll);
  }
  if (wanted(Target::kReject)) {
    WriteTarget(Target::kReject, program_.size());
    Emit(kReturn, 0);
  }
  if (wanted(Target::kMiss)) {
    WriteTarget(Target::kMiss, program_.size());
    far_misses_.push_back(program_.size());
    Emit(kJumpAlways, 0);
  }
}

// What is written next is what a search without success goes on with.
void BpfWriter::EndSearch() {
  const auto is_miss = [](const PendingJump& jump) { return jump.target == Target::kMiss; };
  std::vector<PendingJump> last_misses;
  std::copy_if(pending_.begin(), pending_.end(), std::back_inserter(last_misses), is_miss);
  std::erase_if(pending_, is_miss);
  WriteReturns();
  for (const PendingJump& jump : last_misses) {
    Aim(jump, program_.size());
  }
  for (const std::size_t at : std::exchange(far_misses_, {})) {
    program_[at].operand = static_cast<std::uint32_t>(program_.size() - at - 1);
  }
}

// To be called where a path goes on, before jumps are written.
void BpfWriter::KeepInReach() {
  if (OldestPending() > kReturnsAtLast) {
    const std::size_t around = program_.size();
    Emit(kJumpAlways, 0);
    WriteReturns();
    program_[around].operand = static_cast<std::uint32_t>(program_.size() - around - 1);
  }
}

// To be called where no path goes on.
void BpfWriter::AtEndOfPath() {
  if (OldestPending() > kReturnsAfter) {
    WriteReturns();
  }
}

std::uint32_t BpfWriter::WordOf(const net::IpAddress& address, std::size_t depth) const {
  const std::size_t from_the_end = offsets_.size() - 1 - depth;
  const std::uint64_t half = from_the_end >= 2 ? address.high() : address.low();
  return static_cast<std::uint32_t>(half >> (from_the_end % 2 * 32U));
}

// Groups what has the same value in the word at `depth`.
std::vector<BpfWriter::Item> BpfWriter::ItemsOf(Ranges ranges, std::size_t depth) const {
  std::vector<Item> items;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const std::uint32_t first = WordOf(ranges[i].first, depth);
    const std::uint32_t last = WordOf(ranges[i].last, depth);
    if (first != last || depth + 1 == offsets_.size()) {
      items.push_back({.first = first, .last = last, .ranges = {}, .full = true});
      continue;
    }
    if (items.empty() || items.back().full || items.back().first != first) {
      begin = i;
      items.push_back({.first = first, .last = first, .ranges = {}, .full = false});
    }
    items.back().ranges = ranges.subspan(begin, i + 1 - begin);
  }
  return items;
}

// Every path of what this and the next three write ends with a jump to a return, or to what
// follows the search.
void BpfWriter::WriteWord(Ranges ranges, std::size_t depth) {
  KeepInReach();
  Load(BpfSize::kWord, offsets_[depth]);
  const std::vector<Item> items = ItemsOf(ranges, depth);
  WriteItems(items, depth);
}

void BpfWriter::WriteItems(Items items, std::size_t depth) {
  if (items.size() <= kItemsPerLeaf) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      WriteItem(items[i], i + 1 == items.size(), depth);
    }
    AtEndOfPath();
    return;
  }
  // Lower values: the code that follows. The others: behind it, at a distance known afterwards.
  // Leaves are filled, so that there are few of them.
  const std::size_t leaves = (items.size() + kItemsPerLeaf - 1) / kItemsPerLeaf;
  const std::size_t middle = leaves / 2 * kItemsPerLeaf;
  const std::size_t branch = program_.size();
  program_.push_back({kJumpGreaterOrEqual, 0, 1, items[middle].first});
  Emit(kJumpAlways, 0);
  WriteItems(items.first(middle), depth);
  program_[branch + 1].operand = static_cast<std::uint32_t>(program_.size() - branch - 2);
  WriteItems(items.subspan(middle), depth);
}

void BpfWriter::WriteItem(const Item& item, bool is_last, std::size_t depth) {
  KeepInReach();
  const Target otherwise = is_last ? miss_ : Target::kNext;
  if (!item.full) {
    WriteGroup(item, is_last, depth);
  } else if (item.first == item.last) {
    Jump(kJumpEqual, item.first, Target::kAccept, otherwise);
  } else {
    // Items ascend: what is below this one is in none of the later ones.
    Jump(kJumpGreaterOrEqual, item.first, Target::kNext, miss_);
    Jump(kJumpGreater, item.last, otherwise, Target::kAccept);
  }
}

void BpfWriter::WriteGroup(const Item& item, bool is_last, std::size_t depth) {
  if (is_last) {
    Jump(kJumpEqual, item.first, Target::kNext, miss_);
    WriteWord(item.ranges, depth + 1);
    return;
  }
  const std::size_t test = program_.size();
  if (item.ranges.size() == 1) {  // two or three tests a word: a short jump gets over them
    Emit(kJumpEqual, item.first);
    WriteWord(item.ranges, depth + 1);
    Aim({.at = test, .if_true = false, .target = Target::kNext}, program_.size());
    return;
  }
  program_.push_back({kJumpEqual, 1, 0, item.first});
  Emit(kJumpAlways, 0);
  WriteWord(item.ranges, depth + 1);
  program_[test + 1].operand = static_cast<std::uint32_t>(program_.size() - test - 2);
}

BpfProgram RejectAllProgram() {
  return {{.code = kReturn, .jump_true = 0, .jump_false = 0, .operand = 0}};
}

}  // namespace stentor::speaker
