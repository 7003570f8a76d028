// SPDX-License-Identifier: Apache-2.0
#include "common/io/file_saver.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/io/event_loop.h"
#include "common/io/read_file.h"
#include "test/component/io/fixture.h"
#include "test/support/catch.h"

namespace stentor {
namespace {

constexpr std::size_t kMaxOctets = 1 << 20;

// A folder of its own, gone at the end of the test.
struct Folder {
  Folder() {
    std::string name = "/tmp/stentor_test_XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
  }
  std::string path;
};

std::string Content(const std::string& path) { return *io::ReadFile(path, kMaxOctets); }

}  // namespace

TEST_CASE("A file is replaced as a whole, and only its owner reads it", "[file-saver]") {
  const Folder folder;
  const std::string path = folder.path + "/state";
  REQUIRE(io::WriteFileAtomically(path, "one").ok());
  CHECK(Content(path) == "one");
  struct stat status{};
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600);
  const ino_t before = status.st_ino;

  REQUIRE(io::WriteFileAtomically(path, std::string(300'000, 'x')).ok());
  CHECK(Content(path) == std::string(300'000, 'x'));
  REQUIRE(stat(path.c_str(), &status) == 0);
  CHECK(status.st_ino != before);  // who has the old one open still reads the old one
  CHECK(folder.files() == 1);
}

TEST_CASE("What an earlier run left half done is no obstacle, and is not followed",
          "[file-saver]") {
  const Folder folder;
  const std::string path = folder.path + "/state";
  const std::string elsewhere = folder.path + "/elsewhere";
  REQUIRE(io::WriteFileAtomically(elsewhere, "untouched").ok());
  REQUIRE(symlink(elsewhere.c_str(), (path + ".new").c_str()) == 0);
  REQUIRE(io::WriteFileAtomically(path, "one").ok());
  CHECK(Content(path) == "one");
  CHECK(Content(elsewhere) == "untouched");
}

TEST_CASE("A file that cannot be written is one clear line, and nothing is left behind",
          "[file-saver]") {
  const Folder folder;
  const absl::Status missing = io::WriteFileAtomically(folder.path + "/none/state", "one");
  CHECK(absl::IsUnavailable(missing));
  CHECK(std::string(missing.message()).find(folder.path + "/none/state") != std::string::npos);

  const std::string path = folder.path + "/state";
  REQUIRE(mkdir(path.c_str(), 0700) == 0);  // in its place
  CHECK_FALSE(io::WriteFileAtomically(path, "one").ok());
  CHECK(folder.files() == 1);
}

TEST_CASE("Writes beside the loop are done in order, and the loop hears of each", "[file-saver]") {
  const Folder folder;
  const std::string path = folder.path + "/state";
  io::EventLoop loop;
  std::vector<std::string> seen;
  {
    io::FileSaver saver(loop, path);
    for (const std::string text : {"one", "two", "three"}) {
      saver.Write(text, [&seen, text](const absl::Status& status) {
        CHECK(status.ok());
        seen.push_back(text);
      });
    }
    REQUIRE(test::RunUntil(loop, [&] { return seen.size() == 3; }));
    CHECK(seen == std::vector<std::string>{"one", "two", "three"});
    CHECK(Content(path) == "three");
    saver.Write("four", [&seen](const absl::Status&) { seen.emplace_back("four"); });
  }
  // Its end waits for the disk, and nobody is called after it.
  CHECK(Content(path) == "four");
  bool posted = false;
  loop.Post([&posted] { posted = true; });
  REQUIRE(test::RunUntil(loop, [&] { return posted; }));
  CHECK(seen.size() == 3);
}

}  // namespace stentor
