// SPDX-License-Identifier: Apache-2.0
#include "common/io/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <charconv>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace stentor::io {
namespace {

constexpr int kLargeBlock = 128 * 1024;

// One mapping, as proc_pid_smaps(5) has it.
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::string permissions;  // "r-xp"
  std::uint64_t inode = 0;  // 0: of no file
};

// "55d0c8a00000-55d0c8bd2000 r--p 00000000 fe:00 4242   /usr/bin/it"; nothing for other lines.
std::optional<Mapping> ParseMapping(const std::string& line) {
  Mapping mapping;
  const char* const end = line.data() + line.size();
  const auto first = std::from_chars(line.data(), end, mapping.begin, 16);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') {
    return std::nullopt;
  }
  const auto second = std::from_chars(first.ptr + 1, end, mapping.end, 16);
  if (second.ec != std::errc() || second.ptr == end || *second.ptr != ' ') {
    return std::nullopt;
  }
  std::istringstream rest(std::string(second.ptr, end));
  std::string offset;
  std::string device;
  rest >> mapping.permissions >> offset >> device >> mapping.inode;
  return mapping;
}

// Private, of a file, and not to be written.
bool MayRelease(const Mapping& mapping) {
  return mapping.inode != 0 && mapping.permissions.find('w') == std::string::npos &&
         mapping.permissions.ends_with('p');
}

}  // namespace

void GiveMemoryBack() {
  // To set a threshold also keeps it from growing.
  mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  mallopt(M_TRIM_THRESHOLD, kLargeBlock);
  mallopt(M_ARENA_MAX, 1);
}

void ReleaseIdleMemory() {
  malloc_trim(0);
  std::ifstream smaps("/proc/self/smaps");
  std::optional<Mapping> mapping;
  for (std::string line; std::getline(smaps, line);) {
    if (auto next = ParseMapping(line)) {
      mapping = std::move(next);
    } else if (std::string_view(line).starts_with("Anonymous:") && mapping &&
               MayRelease(*mapping)) {
      // A page that somebody has written (a relocation, a probe, a debugger's breakpoint) is no
      // file's any more, and would be lost: the mapping stays as it is.
      std::istringstream field(line.substr(line.find(':') + 1));
      std::uint64_t anonymous = 1;
      field >> anonymous;
      if (anonymous == 0) {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): an address that the kernel has told
        (void)madvise(reinterpret_cast<void*>(mapping->begin), mapping->end - mapping->begin,
                      MADV_DONTNEED);
      }
      mapping.reset();
    }
  }
}

MemoryKeeper::MemoryKeeper(EventLoop& loop) : timer_(loop) { ReleaseAfter(kFirst); }

void MemoryKeeper::ReleaseAfter(Duration delay) {
  timer_.ArmAfter(delay, [this] {
    ReleaseIdleMemory();
    ReleaseAfter(kAgain);
  });
}

}  // namespace stentor::io
