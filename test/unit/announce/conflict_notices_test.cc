// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/conflict_notices.h"

#include <sstream>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

ConflictNotice NoticeOf(net::IpAddress address, const net::MacAddress& mac, ConflictKind kind) {
  return {.address = address, .link = kEth0, .interface = {}, .foreign = mac, .kind = kind};
}

net::IpAddress Numbered(std::uint32_t number) { return net::Ipv4Address(kVip.value() + number); }

TEST_CASE("What is told again within ten minutes, and what is not", "[conflict]") {
  struct Case {
    const char* name;
    ConflictNotice second;
    Duration after;
    bool want_told;
  };
  const auto claimed = ConflictKind::kClaimed;
  const auto c = GENERATE_COPY(values<Case>({
      {"the same, at once", NoticeOf(kVip, kThief, claimed), 0s, false},
      {"the same, soon", NoticeOf(kVip, kThief, claimed), 599s, false},
      {"the same, later", NoticeOf(kVip, kThief, claimed), 600s, true},
      {"another MAC", NoticeOf(kVip, kHost, claimed), 0s, true},
      {"another address", NoticeOf(kVip2, kThief, claimed), 0s, true},
      {"what came of it", NoticeOf(kVip, kThief, ConflictKind::kWithheld), 0s, true},
  }));
  DYNAMIC_SECTION(c.name) {
    ConflictNotices notices{ConflictOptions()};
    CHECK(notices.Add(NoticeOf(kVip, kThief, claimed), kStart));
    CHECK(notices.Add(c.second, kStart + c.after) == c.want_told);
    CHECK(notices.Take().size() == (c.want_told ? 2U : 1U));
    CHECK(notices.Take().empty());
  }
}

TEST_CASE("All together are capped, and the cap recovers", "[conflict]") {
  ConflictNotices notices{ConflictOptions()};
  std::size_t told = 0;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    told += notices.Add(NoticeOf(Numbered(i), kThief, ConflictKind::kClaimed), kStart) ? 1U : 0U;
  }
  CHECK(told == 32);
  CHECK(notices.Take().size() == 32);
  const auto add = [&](std::uint32_t number, TimePoint at) {
    return notices.Add(NoticeOf(Numbered(number), kThief, ConflictKind::kClaimed), at);
  };
  CHECK_FALSE(add(2000, kStart + 4s));
  CHECK(add(2000, kStart + 6s));
  CHECK_FALSE(add(2001, kStart + 6s));
  CHECK_FALSE(add(2001, kStart));  // time that goes back earns nothing
  static_cast<void>(notices.Take());
  told = 0;
  for (std::uint32_t i = 3000; i < 4000; ++i) {
    told += add(i, kStart + 1h) ? 1U : 0U;
  }
  CHECK(told == 32);
}

TEST_CASE("What nobody takes doesn't pile up", "[conflict]") {
  ConflictNotices notices{ConflictOptions()};
  for (std::uint32_t i = 0; i < 1000; ++i) {
    notices.Add(NoticeOf(Numbered(i), kThief, ConflictKind::kClaimed), kStart + i * 5s);
  }
  CHECK(notices.Take().size() == 32);
}

TEST_CASE("Conflicts in words", "[conflict]") {
  CHECK(ConflictPolicyName(kWarn) == "warn");
  CHECK(ConflictPolicyName(kStrict) == "strict");
  CHECK(ConflictKindName(ConflictKind::kFoundByProbe) == "found_by_probe");
  CHECK(ConflictKindName(ConflictKind::kClaimed) == "claimed");
  CHECK(ConflictKindName(ConflictKind::kWithheld) == "withheld");
  CHECK(ConflictKindName(ConflictKind::kReleased) == "released");
  CHECK(ConflictKindName(ConflictKind::kOver) == "over");
  CHECK(NobodysAddress(net::IpFamily::kIpv4).ToString() == "192.0.0.8");
  CHECK(NobodysAddress(net::IpFamily::kIpv6).ToString() == "100::1");
  ConflictNotice notice = NoticeOf(kVip, kThief, ConflictKind::kClaimed);
  notice.interface = "eth0";
  std::ostringstream out;
  out << notice;
  CHECK(out.str() == "192.0.2.111 claimed (warn) by 02:00:00:00:00:66 on eth0 (2)");
}

}  // namespace
}  // namespace stentor::speaker
