// SPDX-License-Identifier: Apache-2.0
#include "common/io/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

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
  const MappedFile read_only(file.path(), PROT_READ);
  io::ReleaseIdleMemory();
  CHECK(Resident(read_only.data()) == 0);
  CHECK(read_only.data()[4096] == 'f');
  CHECK(Resident(read_only.data()) > 0);
  // Through the unwinder and type information, all of them relocated once.
  CHECK_THROWS_AS(throw std::out_of_range("thrown"), std::logic_error);
}

TEST_CASE("What has been written, or may be, stays as it is", "[memory]") {
  const test::TemporaryFile file(std::string(MappedFile::kSize, 'f'));
  const MappedFile writable(file.path(), PROT_READ | PROT_WRITE);
  const MappedFile relocated(file.path(), PROT_READ | PROT_WRITE);
  relocated.data()[5000] = 'r';  // as the loader does, which forbids it afterwards
  REQUIRE(mprotect(relocated.data(), MappedFile::kSize, PROT_READ) == 0);
  io::ReleaseIdleMemory();
  CHECK(Resident(writable.data()) == MappedFile::kSize / 1024);
  CHECK(Resident(relocated.data()) == MappedFile::kSize / 1024);
  CHECK(relocated.data()[5000] == 'r');
}

}  // namespace stentor
