// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Runs a classic BPF program as the kernel would (linux/filter.h), so far as our filters go.

#include <cstddef>
#include <cstdint>

#include "common/base/bytes.h"
#include "common/net/rtnetlink.h"
#include "speaker/announce/arp_filter.h"

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
  *out = size == 4 ? reader.U32() : reader.U16();
  return reader.ok();
}

/// The number of octets accepted; 0 also where the program reads past the frame, is unknown or runs
/// off its end.
inline std::uint32_t RunBpf(const speaker::BpfProgram& program, Bytes frame,
                            const FrameFacts& facts) {
  std::uint32_t a = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {  // jumps only go forward: this ends
    const speaker::BpfInstruction& i = program[at];
    switch (i.code) {
      case 0x20:
      case 0x28:
        if (!BpfLoad(frame, facts, i.operand, i.code == 0x20 ? 4 : 2, &a)) {
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

}  // namespace stentor::test
