// SPDX-License-Identifier: Apache-2.0
#include "common/io/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "test/component/io/temporary_file.h"
#include "test/support/catch.h"

namespace stentor {
namespace {

// Of the mapping that begins at `address`, in KiB.
std::size_t Resident(const void* address) {
  std::ostringstream head;
  head << std::hex << reinterpret_cast<std::uintptr_t>(address) << '-';
  std::ifstream smaps("/proc/self/smaps");
  bool found = false;
  for (std::string line; std::getline(smaps, line);) {
    found = found || line.starts_with(head.str());
    if (found && line.starts_with("Rss:")) {
      return std::stoul(line.substr(4));
    }
  }
  return 0;
}

// 64 KiB of a file, each octet an 'f', read once: all of it is resident.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path, int protection)
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)),
        data_(static_cast<char*>(mmap(nullptr, kSize, protection, MAP_PRIVATE, fd_.Get(), 0))) {
    REQUIRE(data_ != MAP_FAILED);
    for (std::size_t i = 0; i < kSize; i += 4096) {
      REQUIRE(data_[i] == 'f');
    }
    REQUIRE(Resident(data_) == kSize / 1024);
  }
  ~MappedFile() { (void)munmap(data_, kSize); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  static constexpr std::size_t kSize = 65536;
  [[nodiscard]] char* data() const { return data_; }

 private:
  UniqueFd fd_;
  char* data_;
};

}  // namespace

TEST_CASE("Pages of files that nobody may write are given back, and are there when needed",
          "[memory]") {
  const test::TemporaryFile file(std::string(MappedFile::kSize, 'f'));
  const int protection = GENERATE(PROT_READ, PROT_READ | PROT_EXEC);
  const MappedFile read_only(file.path(), protection);
  io::IdleMemory memory;
  for (int i = 0; i < 2; ++i) {
    memory.Release();
    CHECK(Resident(read_only.data()) == 0);
    CHECK(read_only.data()[4096] == 'f');
    CHECK(Resident(read_only.data()) > 0);
  }
  // Through the unwinder and type information, all of them relocated once.
  CHECK_THROWS_AS(throw std::out_of_range("thrown"), std::logic_error);
}

TEST_CASE("What has been written, or may be, stays as it is", "[memory]") {
  const test::TemporaryFile file(std::string(MappedFile::kSize, 'f'));
  const MappedFile writable(file.path(), PROT_READ | PROT_WRITE);
  const MappedFile relocated(file.path(), PROT_READ | PROT_WRITE);
  relocated.data()[5000] = 'r';  // as the loader does, which forbids it afterwards
  REQUIRE(mprotect(relocated.data(), MappedFile::kSize, PROT_READ) == 0);
  io::IdleMemory().Release();
  CHECK(Resident(writable.data()) == MappedFile::kSize / 1024);
  CHECK(Resident(relocated.data()) == MappedFile::kSize / 1024);
  CHECK(relocated.data()[5000] == 'r');
}

TEST_CASE("What has come since the last time stays for now", "[memory]") {
  const test::TemporaryFile file(std::string(MappedFile::kSize, 'f'));
  io::IdleMemory memory;
  const MappedFile loaded(file.path(), PROT_READ);
  memory.Release();
  CHECK(Resident(loaded.data()) == MappedFile::kSize / 1024);
  memory.Release();
  CHECK(Resident(loaded.data()) == 0);
}

TEST_CASE("Which mappings are clean", "[memory]") {
  struct Row {
    const char* name;
    const char* permissions;
    const char* inode;
    const char* fields;
    bool clean;
  };
  const Row row = GENERATE(values<Row>({
      {"code", "r-xp", "42", "Anonymous: 0 kB\nSwap: 0 kB\n", true},
      {"constants", "r--p", "42", "Rss: 8 kB\nAnonymous: 0 kB\nLazyFree: 0 kB\nSwap: 0 kB\n", true},
      {"relocated", "r--p", "42", "Anonymous: 4 kB\nSwap: 0 kB\n", false},
      {"relocated, and swapped out", "r--p", "42", "Anonymous: 0 kB\nSwap: 4 kB\n", false},
      {"a kernel that does not tell of the swap", "r--p", "42", "Anonymous: 0 kB\n", false},
      {"nor of what is written", "r--p", "42", "Swap: 0 kB\n", false},
      {"no number", "r--p", "42", "Anonymous: x kB\nSwap: 0 kB\n", false},
      {"writable", "rw-p", "42", "Anonymous: 0 kB\nSwap: 0 kB\n", false},
      {"shared", "r--s", "42", "Anonymous: 0 kB\nSwap: 0 kB\n", false},
      {"of no file", "r--p", "0", "Anonymous: 0 kB\nSwap: 0 kB\n", false},
  }));
  INFO(row.name);
  const std::string place = std::string("55d0c8a00000-55d0c8bd2000 ") + row.permissions +
                            " 00001000 fe:00 " + row.inode + "   /usr/bin/it\n";
  const std::string other = "7f0000000000-7f0000001000 rw-p 00000000 fe:00 7 /lib/other\n";
  std::istringstream smaps(place + row.fields + other);
  const std::vector<io::FileMapping> expected = {
      {.begin = 0x55d0c8a00000, .end = 0x55d0c8bd2000, .inode = 42}};
  CHECK(io::CleanFileMappings(smaps) == (row.clean ? expected : std::vector<io::FileMapping>()));
}

TEST_CASE("Memory is given back when work is over, and now and then", "[memory]") {
  using namespace std::chrono_literals;
  constexpr std::uint64_t kMiB = 1U << 20U;
  const TimePoint start{};
  io::ReleasePolicy policy(start, {.first = 10s, .latest = 60s, .growth = kMiB});

  // The start: not before its time, however much there is.
  CHECK_FALSE(policy.IsDue(start + 5s, 90 * kMiB));
  CHECK_FALSE(policy.IsDue(start + 9s, 90 * kMiB));
  CHECK(policy.IsDue(start + 10s, 90 * kMiB));
  policy.NoteReleased(start + 10s);

  // What is in use is mapped again, and is no reason for another time.
  CHECK_FALSE(policy.IsDue(start + 15s, 20 * kMiB));
  CHECK_FALSE(policy.IsDue(start + 20s, 24 * kMiB));
  CHECK_FALSE(policy.IsDue(start + 25s, 24 * kMiB));
  CHECK_FALSE(policy.IsDue(start + 30s, 25 * kMiB - 1));
  CHECK_FALSE(policy.IsDue(start + 35s, 25 * kMiB - 1));
  CHECK_FALSE(policy.IsDue(start + 69s, 25 * kMiB - 1));
  CHECK(policy.IsDue(start + 70s, 24 * kMiB));
  policy.NoteReleased(start + 70s);

  // Much more is: as soon as it does not grow any more.
  CHECK_FALSE(policy.IsDue(start + 75s, 24 * kMiB));
  CHECK_FALSE(policy.IsDue(start + 80s, 24 * kMiB));
  CHECK_FALSE(policy.IsDue(start + 85s, 25 * kMiB));
  CHECK_FALSE(policy.IsDue(start + 90s, 30 * kMiB));
  CHECK(policy.IsDue(start + 95s, 29 * kMiB));

  // What stays then is in use now.
  policy.NoteReleased(start + 95s);
  for (int i = 100; i < 155; i += 5) {
    CHECK_FALSE(policy.IsDue(start + std::chrono::seconds(i), 29 * kMiB));
  }
  CHECK(policy.IsDue(start + 155s, 29 * kMiB));
}

TEST_CASE("Memory is given back again and again", "[memory]") {
  using namespace std::chrono_literals;
  const test::TemporaryFile file(std::string(MappedFile::kSize, 'f'));
  const MappedFile read_only(file.path(), PROT_READ);
  io::EventLoop loop;
  const io::MemoryKeeper keeper(loop, {.first = 1ms, .latest = 1ms}, 1ms);
  int times = 0;
  io::Timer look(loop);
  const std::function<void()> touch_when_gone = [&] {
    if (Resident(read_only.data()) == 0) {
      CHECK(read_only.data()[0] == 'f');
      if (++times == 3) {
        return loop.Stop();
      }
    }
    look.ArmAfter(1ms, touch_when_gone);
  };
  look.ArmAfter(1ms, touch_when_gone);
  io::Timer deadline(loop);
  deadline.ArmAfter(30s, [&loop] { loop.Stop(); });
  loop.Run();
  CHECK(times == 3);
}

}  // namespace stentor
