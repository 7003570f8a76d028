// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Runs a classic BPF program as the kernel would (linux/filter.h), so far as our filters go.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "common/base/bytes.h"
#include "common/net/rtnetlink.h"
#include "speaker/announce/packet_filter.h"

namespace stentor::test {

/// What the kernel knows about a frame, and filters can load (SKF_AD_*).
struct FrameFacts {
  std::uint32_t packet_type = 1;  ///< 0 to this host, 1 broadcast, 2 multicast, 3 other, 4 sent.
  net::IfIndex interface{};
};

inline bool BpfLoad(Bytes frame, const FrameFacts& facts, std::uint32_t offset, std::size_t size,
                    std::uint32_t* out) {
  if (offset == 0xfffff004U) {
    *out = facts.packet_type;
    return true;
  }
  if (offset == 0xfffff008U) {
    *out = static_cast<std::uint32_t>(facts.interface);
    return true;
  }
  if (offset > frame.size()) {
    return false;
  }
  ByteReader reader(frame.subspan(offset));
  *out = size == 4 ? reader.U32() : size == 2 ? reader.U16() : reader.U8();
  return reader.ok();
}

/// The number of octets accepted; 0 also where the program reads past the frame, is unknown or runs
/// off its end. `*steps`, where given, becomes the number of instructions that it took.
inline std::uint32_t RunBpf(const speaker::BpfProgram& program, Bytes frame,
                            const FrameFacts& facts, std::size_t* steps = nullptr) {
  std::size_t taken = 0;
  std::size_t& count = steps == nullptr ? taken : *steps;
  count = 0;
  std::uint32_t a = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {  // jumps only go forward: this ends
    const speaker::BpfInstruction& i = program[at];
    ++count;
    switch (i.code) {
      case 0x20:
      case 0x28:
      case 0x30:
        if (!BpfLoad(frame, facts, i.operand, i.code == 0x20 ? 4 : i.code == 0x28 ? 2 : 1, &a)) {
          return 0;
        }
        break;
      case 0x05:
        at += i.operand;
        break;
      case 0x15:
        at += a == i.operand ? i.jump_true : i.jump_false;
        break;
      case 0x25:
        at += a > i.operand ? i.jump_true : i.jump_false;
        break;
      case 0x35:
        at += a >= i.operand ? i.jump_true : i.jump_false;
        break;
      case 0x06:
        return i.operand;
      default:
        return 0;
    }
  }
  return 0;
}

/// What the kernel's checker demands: known instructions, jumps that stay inside, a return at the
/// end, no more than it takes.
inline bool IsValidBpf(const speaker::BpfProgram& program) {
  for (std::size_t at = 0; at < program.size(); ++at) {
    const speaker::BpfInstruction& i = program[at];
    const std::size_t left = program.size() - at - 1;  // a jump over `left` - 1 is the longest
    switch (i.code) {
      case 0x05:
        if (i.operand >= left) {
          return false;
        }
        break;
      case 0x15:
      case 0x25:
      case 0x35:
        if (std::max(i.jump_true, i.jump_false) >= left) {
          return false;
        }
        break;
      case 0x06:
      case 0x20:
      case 0x28:
      case 0x30:
        break;
      default:
        return false;
    }
  }
  return !program.empty() && program.back().code == 0x06 &&
         program.size() <= speaker::kMaxBpfInstructions;
}

}  // namespace stentor::test
