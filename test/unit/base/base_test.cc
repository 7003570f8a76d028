// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/time.h"
#include "common/base/unique_fd.h"
#include "test/support/catch.h"

namespace stentor {
namespace {

absl::StatusOr<int> HalfOf(int number) {
  if (number % 2 != 0) {
    return absl::InvalidArgumentError("odd");
  }
  return number / 2;
}

absl::StatusOr<int> QuarterOf(int number) {
  STENTOR_ASSIGN_OR_RETURN(const int half, HalfOf(number));
  STENTOR_ASSIGN_OR_RETURN(const int quarter, HalfOf(half));
  return quarter;
}

absl::Status CheckEven(int number, bool& reached) {
  STENTOR_RETURN_IF_ERROR(HalfOf(number).status());
  reached = true;
  return absl::OkStatus();
}

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("Annotate puts the context before a message", "[status]") {
  const absl::Status status = Annotate(absl::NotFoundError("no such pool"), "reading config");
  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(std::string(status.message()) == "reading config: no such pool");
  CHECK(Annotate(absl::OkStatus(), "reading config") == absl::OkStatus());
}

TEST_CASE("The status macros return an error and pass a value on", "[status]") {
  CHECK(*QuarterOf(12) == 3);
  CHECK(QuarterOf(6).status() == absl::InvalidArgumentError("odd"));
  CHECK(QuarterOf(7).status() == absl::InvalidArgumentError("odd"));
  bool reached = false;
  CHECK_FALSE(CheckEven(3, reached).ok());
  CHECK_FALSE(reached);
  CHECK(CheckEven(4, reached).ok());
  CHECK(reached);
}

TEST_CASE("StrCat takes texts of all kinds, and numbers", "[strings]") {
  const std::string_view view = std::string_view("pool-a and more").substr(0, 6);
  CHECK(StrCat("in ", view, ": ", std::string("192.0.2.1"), "/", 24) == "in pool-a: 192.0.2.1/24");
  CHECK(StrCat().empty());
  std::string out = "a";
  StrAppend(&out, view, 1, std::string_view());
  CHECK(out == "apool-a1");
}

TEST_CASE("UniqueFd closes what it owns, once", "[unique_fd]") {
  int ends[2] = {-1, -1};
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  SECTION("at the end of its life") {
    {
      const UniqueFd fd(ends[0]);
    }
    CHECK_FALSE(IsOpen(ends[0]));
    ::close(ends[1]);
  }
  SECTION("unless it was moved away") {
    UniqueFd first(ends[0]);
    {
      UniqueFd second(std::move(first));
      CHECK_FALSE(first.IsOpen());  // NOLINT(bugprone-use-after-move): what it is for
      first = std::move(second);
    }
    CHECK(first.Get() == ends[0]);
    CHECK(IsOpen(ends[0]));
    ::close(ends[1]);
  }
  SECTION("when it gets another one") {
    UniqueFd fd(ends[0]);
    fd = UniqueFd(ends[1]);
    CHECK_FALSE(IsOpen(ends[0]));
    CHECK(IsOpen(ends[1]));
    fd.Reset();
    CHECK_FALSE(IsOpen(ends[1]));
    CHECK_FALSE(fd.IsOpen());
  }
  SECTION("but not what it gave away") {
    {
      CHECK(UniqueFd(ends[0]).Release() == ends[0]);
    }
    CHECK(IsOpen(ends[0]));
    ::close(ends[0]);
    ::close(ends[1]);
  }
}

TEST_CASE("A text is cut at the end of a character", "[base]") {
  struct Case {
    const char* name;
    const char* text;
    std::size_t max;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"it fits", "abc", 3, "abc"},
      {"nothing", "", 0, ""},
      {"no room", "abc", 0, ""},
      {"between two letters", "abc", 2, "ab"},
      {"before a character of two octets", "ab\xC3\xBC", 2, "ab"},
      {"within one", "ab\xC3\xBC", 3, "ab"},
      {"after one", "ab\xC3\xBC!", 4, "ab\xC3\xBC"},
      {"within one of four", "a\xF0\x9F\x98\x80", 4, "a"},
      {"the first one does not fit", "\xF0\x9F\x98\x80", 3, ""},
      {"no UTF-8", "\xFF\xFE\xFD", 2, "\xFF\xFE"},
      {"nothing but the middle of characters", "\x80\x80\x80", 2, ""},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(CutText(c.text, c.max) == c.want); }
}

}  // namespace stentor
