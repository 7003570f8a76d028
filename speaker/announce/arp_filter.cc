// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/arp_filter.h"

#include <algorithm>
#include <iterator>
#include <span>

namespace stentor::speaker {
namespace {

// Opcodes of classic BPF: class, size or operation, mode or source (linux/bpf_common.h).
constexpr std::uint16_t kLoadWord = 0x20;    // A = 4 octets at the operand
constexpr std::uint16_t kLoadHalf = 0x28;    // A = 2 octets at the operand
constexpr std::uint16_t kJumpAlways = 0x05;  // by the operand, which has 32 bits
constexpr std::uint16_t kJumpEqual = 0x15;
constexpr std::uint16_t kJumpGreater = 0x25;
constexpr std::uint16_t kJumpGreaterOrEqual = 0x35;
constexpr std::uint16_t kReturn = 0x06;

// Loads at these offsets read what the kernel knows about the frame (linux/filter.h).
constexpr std::uint32_t kPacketTypeOffset = 0xfffff000U + 4;
constexpr std::uint32_t kInterfaceOffset = 0xfffff000U + 8;

constexpr std::uint32_t kPacketToHost = 0;
constexpr std::uint32_t kPacketBroadcast = 1;

constexpr std::uint32_t kAcceptAll = 0x40000;  // octets; more than any frame has
constexpr std::size_t kMaxJump = 255;
constexpr std::size_t kItemsPerLeaf = 16;

// Inclusive, in host order.
struct Range {
  std::uint32_t first = 0;
  std::uint32_t last = 0;

  [[nodiscard]] std::size_t Cost() const noexcept { return first == last ? 1 : 2; }
};

using Ranges = std::span<const Range>;

std::vector<Range> RangesOf(std::vector<net::Ipv4Address> addresses) {
  std::sort(addresses.begin(), addresses.end());
  std::vector<Range> ranges;
  for (const net::Ipv4Address address : addresses) {
    const std::uint32_t value = address.value();
    if (!ranges.empty() && value <= ranges.back().last) {
      continue;
    }
    if (!ranges.empty() && value - ranges.back().last == 1) {
      ranges.back().last = value;
    } else {
      ranges.push_back({value, value});
    }
  }
  return ranges;
}

// Joins the ranges with the smallest gaps between them until at most `count` are left.
std::vector<Range> Cover(const std::vector<Range>& ranges, std::size_t count) {
  if (ranges.size() <= count) {
    return ranges;
  }
  std::vector<std::size_t> gaps;  // gap i lies between range i and i + 1
  for (std::size_t i = 0; i + 1 < ranges.size(); ++i) {
    gaps.push_back(i);
  }
  const auto narrower = [&ranges](std::size_t a, std::size_t b) {
    const std::uint32_t gap_a = ranges[a + 1].first - ranges[a].last;
    const std::uint32_t gap_b = ranges[b + 1].first - ranges[b].last;
    return gap_a != gap_b ? gap_a < gap_b : a < b;
  };
  const auto closed_end =
      std::next(gaps.begin(), static_cast<std::ptrdiff_t>(ranges.size() - count));
  std::nth_element(gaps.begin(), closed_end, gaps.end(), narrower);
  std::vector<bool> closed(ranges.size(), false);
  std::for_each(gaps.begin(), closed_end, [&closed](std::size_t gap) { closed[gap] = true; });

  std::vector<Range> out;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (i > 0 && closed[i - 1]) {
      out.back().last = ranges[i].last;
    } else {
      out.push_back(ranges[i]);
    }
  }
  return out;
}

// Writes a binary search over `ranges` for the address in A. It never falls through: every path
// ends with a return.
class SearchWriter {
 public:
  explicit SearchWriter(BpfProgram* program) : program_(*program) {}

  void Write(Ranges ranges) {
    if (ranges.size() <= kItemsPerLeaf) {
      WriteLeaf(ranges);
      return;
    }
    const std::size_t middle = ranges.size() / 2;
    // Lower addresses: the code that follows. The others: behind it, at a distance known
    // afterwards.
    const std::size_t branch = program_.size();
    program_.push_back({kJumpGreaterOrEqual, 0, 1, ranges[middle].first});
    program_.push_back({kJumpAlways, 0, 0, 0});
    Write(ranges.first(middle));
    program_[branch + 1].operand = static_cast<std::uint32_t>(program_.size() - branch - 2);
    Write(ranges.subspan(middle));
  }

 private:
  // One or two comparisons a range, then the two returns that they jump to.
  void WriteLeaf(Ranges ranges) {
    std::size_t length = 0;
    for (const Range& range : ranges) {
      length += range.Cost();
    }
    static_assert(2 * kItemsPerLeaf + 1 <= kMaxJump);
    const auto distance = [](std::size_t octets) { return static_cast<std::uint8_t>(octets); };
    std::size_t done = 0;
    for (const Range& range : ranges) {
      done += range.Cost();
      const std::uint8_t to_reject = distance(length - done);
      const std::uint8_t to_accept = distance(length - done + 1);
      if (range.first == range.last) {
        program_.push_back({kJumpEqual, to_accept, 0, range.first});
      } else {
        // Ranges ascend: what is below this one is in none of the later ones.
        program_.push_back(
            {kJumpGreaterOrEqual, 0, static_cast<std::uint8_t>(to_reject + 1), range.first});
        program_.push_back({kJumpGreater, 0, to_accept, range.last});
      }
    }
    program_.push_back({kReturn, 0, 0, 0});
    program_.push_back({kReturn, 0, 0, kAcceptAll});
  }

  BpfProgram& program_;
};

// Everything but the addresses. Each test jumps over one return that rejects.
void WriteHeaderChecks(net::IfIndex link, BpfProgram* program) {
  const auto require = [program](std::uint16_t load, std::uint32_t offset, std::uint32_t value) {
    program->push_back({load, 0, 0, offset});
    program->push_back({kJumpEqual, 1, 0, value});
    program->push_back({kReturn, 0, 0, 0});
  };
  require(kLoadWord, kInterfaceOffset, static_cast<std::uint32_t>(link));
  program->push_back({kLoadWord, 0, 0, kPacketTypeOffset});
  program->push_back({kJumpEqual, 2, 0, kPacketToHost});
  program->push_back({kJumpEqual, 1, 0, kPacketBroadcast});
  program->push_back({kReturn, 0, 0, 0});
  require(kLoadHalf, 12, 0x0806);             // Ethernet type: ARP
  require(kLoadWord, 14, 0x00010800);         // hardware type Ethernet, protocol type IPv4
  require(kLoadWord, 18, 0x06040001);         // lengths of their addresses, operation: request
  program->push_back({kLoadWord, 0, 0, 38});  // target protocol address
}

BpfProgram BuildFor(const std::vector<Range>& ranges, net::IfIndex link) {
  BpfProgram program;
  WriteHeaderChecks(link, &program);
  SearchWriter(&program).Write(ranges);
  return program;
}

}  // namespace

BpfProgram BuildArpFilter(std::vector<net::Ipv4Address> addresses, net::IfIndex link,
                          std::size_t max_instructions) {
  if (addresses.empty()) {
    return {{kReturn, 0, 0, 0}};
  }
  const std::vector<Range> exact = RangesOf(std::move(addresses));
  BpfProgram program = BuildFor(exact, link);
  for (std::size_t count = exact.size(); program.size() > max_instructions;) {
    count = count * 9 / 10;  // coarser until it fits; the size follows the number of ranges
    program = BuildFor(Cover(exact, count), link);
  }
  return program;
}

}  // namespace stentor::speaker
