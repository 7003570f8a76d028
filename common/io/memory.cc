// SPDX-License-Identifier: Apache-2.0
#include "common/io/memory.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <istream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace stentor::io {
namespace {

constexpr int kLargeBlock = 128 * 1024;

struct Mapping {
  FileMapping place;        // inode 0: of no file
  std::string permissions;  // "r-xp"
};

// "55d0c8a00000-55d0c8bd2000 r--p 00000000 fe:00 4242   /usr/bin/it"; nothing for other lines.
std::optional<Mapping> ParseMapping(const std::string& line) {
  Mapping mapping;
  const char* const end = line.data() + line.size();
  const auto first = std::from_chars(line.data(), end, mapping.place.begin, 16);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') {
    return std::nullopt;
  }
  const auto second = std::from_chars(first.ptr + 1, end, mapping.place.end, 16);
  if (second.ec != std::errc() || second.ptr == end || *second.ptr != ' ') {
    return std::nullopt;
  }
  std::istringstream rest(std::string(second.ptr, end));
  std::string offset;
  std::string device;
  rest >> mapping.permissions >> offset >> device >> mapping.place.inode;
  return mapping;
}

bool MayBeClean(const Mapping& mapping) {
  return mapping.place.inode != 0 && mapping.permissions.find('w') == std::string::npos &&
         mapping.permissions.ends_with('p');
}

// Whether `line` is the field of this name ("Swap:"), and says that there is none.
bool SaysNone(const std::string& line, std::string_view field) {
  if (!line.starts_with(field)) {
    return false;
  }
  std::istringstream rest(line.substr(field.size()));
  std::uint64_t kilobytes = 1;
  return rest >> kilobytes && kilobytes == 0;
}

std::vector<FileMapping> OwnMappings() {
  std::ifstream smaps("/proc/self/smaps");
  return CleanFileMappings(smaps);
}

// 0 where the kernel does not tell.
std::uint64_t ResidentOctets() {
  std::ifstream statm("/proc/self/statm");  // in pages, the second is what is resident
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

void GiveMemoryBack() {
  // To set a threshold also keeps it from growing.
  mallopt(M_MMAP_THRESHOLD, kLargeBlock);
  mallopt(M_TRIM_THRESHOLD, kLargeBlock);
  mallopt(M_ARENA_MAX, 1);
}

std::vector<FileMapping> CleanFileMappings(std::istream& smaps) {
  std::vector<FileMapping> clean;
  std::optional<Mapping> mapping;
  bool none_in_memory = false;
  for (std::string line; std::getline(smaps, line);) {
    if (auto next = ParseMapping(line)) {
      mapping = std::move(next);
      none_in_memory = false;
    } else if (mapping && SaysNone(line, "Anonymous:")) {
      // A page that somebody has written (a relocation, a probe, a debugger's breakpoint) is
      // anonymous, until it is swapped out.
      none_in_memory = true;
    } else if (mapping && SaysNone(line, "Swap:") && none_in_memory && MayBeClean(*mapping)) {
      clean.push_back(mapping->place);
      mapping.reset();
    }
  }
  return clean;
}

IdleMemory::IdleMemory() : seen_(OwnMappings()) {}

void IdleMemory::Release() {
  malloc_trim(0);
  std::vector<FileMapping> clean = OwnMappings();
  for (const FileMapping& mapping : clean) {
    if (std::ranges::find(seen_, mapping) != seen_.end()) {
      // NOLINTNEXTLINE(performance-no-int-to-ptr): an address that the kernel has told
      (void)madvise(reinterpret_cast<void*>(mapping.begin), mapping.end - mapping.begin,
                    MADV_DONTNEED);
    }
  }
  seen_ = std::move(clean);
}

bool ReleasePolicy::IsDue(TimePoint now, std::uint64_t resident) {
  const bool rests = resident <= std::exchange(former_, resident);
  if (now >= due_) {
    return true;
  }
  if (!released_ || !rests) {
    return false;
  }
  if (!used_) {
    used_ = resident;
  }
  return resident >= *used_ + limits_.growth;
}

void ReleasePolicy::NoteReleased(TimePoint now) {
  released_ = true;
  used_.reset();
  former_ = 0;
  due_ = now + limits_.latest;
}

MemoryKeeper::MemoryKeeper(EventLoop& loop, const ReleasePolicy::Limits& limits, Duration look)
    : loop_(loop), look_(look), policy_(loop.Now(), limits), timer_(loop) {
  timer_.ArmToTheSecond(look_, [this] { Look(); });
}

void MemoryKeeper::Look() {
  const TimePoint now = loop_.Now();
  if (policy_.IsDue(now, ResidentOctets())) {
    memory_.Release();
    policy_.NoteReleased(now);
  }
  timer_.ArmToTheSecond(look_, [this] { Look(); });
}

}  // namespace stentor::io
