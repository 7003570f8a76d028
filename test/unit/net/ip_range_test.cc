// SPDX-License-Identifier: Apache-2.0
#include "common/net/ip_range.h"

#include <cstdint>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::net {
namespace {

IpRange Range(std::string_view text) {
  const auto range = ParseAddressItem(text);
  INFO(text);
  REQUIRE(range.ok());
  return *range;
}

}  // namespace

TEST_CASE("Items of spec.addresses become ranges", "[ip_range]") {
  struct Case {
    const char* text;
    const char* range;
    std::uint64_t size;
  };
  constexpr std::uint64_t kSaturated = UINT64_MAX;
  const auto c = GENERATE(values<Case>({
      {"192.0.2.0/24", "192.0.2.0-192.0.2.255", 256},
      {"192.0.2.100/24", "192.0.2.0-192.0.2.255", 256},  // a host address means its network
      {"192.0.2.1/32", "192.0.2.1-192.0.2.1", 1},
      {"192.0.2.3/31", "192.0.2.2-192.0.2.3", 2},
      {"0.0.0.0/0", "0.0.0.0-255.255.255.255", std::uint64_t{1} << 32U},
      {"198.51.100.7/12", "198.48.0.0-198.63.255.255", std::uint64_t{1} << 20U},
      {"192.0.2.10-192.0.2.19", "192.0.2.10-192.0.2.19", 10},
      {"192.0.2.10 - 192.0.2.19", "192.0.2.10-192.0.2.19", 10},
      {"  192.0.2.10  -  192.0.2.19  ", "192.0.2.10-192.0.2.19", 10},
      {"192.0.2.10-192.0.2.10", "192.0.2.10-192.0.2.10", 1},
      {"192.0.2.0/024", "192.0.2.0-192.0.2.255", 256},
      {"\t192.0.2.10\xc2\xa0-\xe2\x80\x83\n192.0.2.19\xe3\x80\x80", "192.0.2.10-192.0.2.19", 10},
      {"::ffff:192.0.2.10-192.0.2.19", "192.0.2.10-192.0.2.19", 10},
      {"::ffff:192.0.2.77/120", "192.0.2.0-192.0.2.255", 256},
      {"::ffff:192.0.2.77/96", "0.0.0.0-255.255.255.255", std::uint64_t{1} << 32U},
      {"::ffff:192.0.2.77/80", "::-::ffff:ffff:ffff", std::uint64_t{1} << 48U},
      {"192.0.2.250-192.0.3.5", "192.0.2.250-192.0.3.5", 12},
      {"2001:db8::/124", "2001:db8::-2001:db8::f", 16},
      {"2001:db8::5/124", "2001:db8::-2001:db8::f", 16},
      {"2001:db8::/64", "2001:db8::-2001:db8::ffff:ffff:ffff:ffff", kSaturated},
      {"2001:db8::/65", "2001:db8::-2001:db8::7fff:ffff:ffff:ffff", std::uint64_t{1} << 63U},
      {"2001:db8::/32", "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", kSaturated},
      {"::/0", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kSaturated},
      {"2001:db8::1-2001:db8::3", "2001:db8::1-2001:db8::3", 3},
      {"2001:db8:0:0:ffff:ffff:ffff:ffff-2001:db8:0:1::",
       "2001:db8::ffff:ffff:ffff:ffff-2001:db8:0:1::", 2},
  }));
  DYNAMIC_SECTION(c.text) {
    const IpRange range = Range(c.text);
    CHECK(range.ToString() == c.range);
    CHECK(range.Size() == c.size);
  }
}

TEST_CASE("What is no range is refused in MetalLB's words", "[ip_range]") {
  struct Case {
    const char* text;
    const char* message;
  };
  const auto c = GENERATE(values<Case>({
      {"", "invalid CIDR \"\""},
      {"192.0.2.0", "invalid CIDR \"192.0.2.0\""},
      {"192.0.2.0/", "invalid CIDR \"192.0.2.0/\""},
      {"192.0.2.0/33", "invalid CIDR \"192.0.2.0/33\""},
      {"192.0.2.0/+24", "invalid CIDR \"192.0.2.0/+24\""},
      {"192.0.2.0/ 24", "invalid CIDR \"192.0.2.0/ 24\""},
      {"192.0.2.0/24 ", "invalid CIDR \"192.0.2.0/24 \""},
      {"192.0.2.0/24/24", "invalid CIDR \"192.0.2.0/24/24\""},
      {"192.0.2.0/255.255.255.0", "invalid CIDR \"192.0.2.0/255.255.255.0\""},
      {"192.0.2.0/99999999999999999999", "invalid CIDR \"192.0.2.0/99999999999999999999\""},
      {"192.0.2.300/24", "invalid CIDR \"192.0.2.300/24\""},
      {"2001:db8::/129", "invalid CIDR \"2001:db8::/129\""},
      {"pool", "invalid CIDR \"pool\""},
      {"192.0.2.300-192.0.2.5",
       "invalid IP range \"192.0.2.300-192.0.2.5\": invalid start IP \"192.0.2.300\""},
      {"192.0.2.3-192.0.2.500",
       "invalid IP range \"192.0.2.3-192.0.2.500\": invalid end IP \"192.0.2.500\""},
      {"-192.0.2.5", "invalid IP range \"-192.0.2.5\": invalid start IP \"\""},
      {"192.0.2.5-", "invalid IP range \"192.0.2.5-\": invalid end IP \"\""},
      {"192.0.2.5-10", "invalid IP range \"192.0.2.5-10\": invalid end IP \"10\""},
      {"192.0.2.1-192.0.2.2-192.0.2.3",
       "invalid IP range \"192.0.2.1-192.0.2.2-192.0.2.3\": invalid end IP "
       "\"192.0.2.2-192.0.2.3\""},
      {"192.0.2.9-192.0.2.5",
       "invalid IP range \"192.0.2.9-192.0.2.5\": start IP \"192.0.2.9\" is after the end IP "
       "\"192.0.2.5\""},
      {"2001:db8::2-2001:db8::1",
       "invalid IP range \"2001:db8::2-2001:db8::1\": start IP \"2001:db8::2\" is after the end "
       "IP \"2001:db8::1\""},
      {"2001:db8::1-192.0.2.1",
       "invalid IP range \"2001:db8::1-192.0.2.1\": start IP \"2001:db8::1\" is after the end IP "
       "\"192.0.2.1\""},
      {"::ffff:192.0.2.0/129", "invalid CIDR \"::ffff:192.0.2.0/129\""},
      {"\xe2\x80\x8b"
       "192.0.2.1-192.0.2.2",
       "invalid IP range \"\xe2\x80\x8b"
       "192.0.2.1-192.0.2.2\": invalid start IP "
       "\"\xe2\x80\x8b"
       "192.0.2.1\""},
      {"192.0.2.1-2001:db8::1",
       "invalid IP range \"192.0.2.1-2001:db8::1\": start IP \"192.0.2.1\" and end IP "
       "\"2001:db8::1\" are of different families"},
  }));
  DYNAMIC_SECTION('"' << c.text << '"') {
    const auto range = ParseAddressItem(c.text);
    REQUIRE_FALSE(range.ok());
    CHECK(range.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(range.status().message()) == c.message);
  }
}

TEST_CASE("Ranges of both families are told from broken ones", "[ip_range]") {
  struct Case {
    const char* text;
    bool mixed;
  };
  const auto c = GENERATE(values<Case>({
      {"192.0.2.1-2001:db8::1", true},
      {"::1 - 192.0.2.1", true},
      {"2001:db8::1-192.0.2.1", false},  // backwards
      {"192.0.2.1-192.0.2.9", false},
      {"::ffff:192.0.2.1-192.0.2.9", false},
      {"192.0.2.1-", false},
      {"192.0.2.0/24", false},
      {"", false},
  }));
  DYNAMIC_SECTION(c.text) {
    CHECK(IsRangeOfBothFamilies(c.text) == c.mixed);
    CHECK_FALSE((c.mixed && ParseAddressItem(c.text).ok()));
  }
}

TEST_CASE("A range is summarized by the fewest prefixes", "[ip_range]") {
  struct Case {
    const char* range;
    std::vector<std::string> prefixes;
  };
  const auto c = GENERATE(values<Case>({
      {"192.0.2.0/24", {"192.0.2.0/24"}},
      {"192.0.2.7/32", {"192.0.2.7/32"}},
      {"192.0.2.1-192.0.2.1", {"192.0.2.1/32"}},
      {"192.0.2.0-192.0.2.1", {"192.0.2.0/31"}},
      {"192.0.2.1-192.0.2.2", {"192.0.2.1/32", "192.0.2.2/32"}},
      {"192.0.2.110-192.0.2.119", {"192.0.2.110/31", "192.0.2.112/29"}},
      {"192.0.2.1-192.0.2.6", {"192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/31", "192.0.2.6/32"}},
      {"192.0.2.128-192.0.3.127", {"192.0.2.128/25", "192.0.3.0/25"}},
      {"0.0.0.0/0", {"0.0.0.0/0"}},
      {"255.255.255.254-255.255.255.255", {"255.255.255.254/31"}},
      {"2001:db8::1-2001:db8::4", {"2001:db8::1/128", "2001:db8::2/127", "2001:db8::4/128"}},
      {"::/0", {"::/0"}},
      {"2001:db8:0:0:ffff:ffff:ffff:ffff-2001:db8:0:1::",
       {"2001:db8::ffff:ffff:ffff:ffff/128", "2001:db8:0:1::/128"}},
  }));
  DYNAMIC_SECTION(c.range) {
    std::vector<std::string> prefixes;
    for (const IpPrefix& prefix : Summarize(Range(c.range))) {
      prefixes.push_back(prefix.ToString());
    }
    CHECK(prefixes == c.prefixes);
  }
  // The worst cases: nearly two prefixes a bit.
  CHECK(Summarize(Range("0.0.0.1-255.255.255.254")).size() == 62);
  CHECK(Summarize(Range("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe")).size() == 254);
}

TEST_CASE("Ranges contain their ends, and overlap where they share an address", "[ip_range]") {
  const IpRange range = Range("192.0.2.10-192.0.2.19");
  CHECK(range.Contains(*IpAddress::Parse("192.0.2.10")));
  CHECK(range.Contains(*IpAddress::Parse("192.0.2.19")));
  CHECK_FALSE(range.Contains(*IpAddress::Parse("192.0.2.9")));
  CHECK_FALSE(range.Contains(*IpAddress::Parse("192.0.2.20")));
  CHECK_FALSE(range.Contains(*IpAddress::Parse("2001:db8::1")));
  CHECK(range.Overlaps(range));
  CHECK(range.Overlaps(Range("192.0.2.19-192.0.2.30")));
  CHECK(range.Overlaps(Range("192.0.2.0-192.0.2.10")));
  CHECK(range.Overlaps(Range("192.0.2.12-192.0.2.13")));
  CHECK(range.Overlaps(Range("192.0.2.0/24")));
  CHECK_FALSE(range.Overlaps(Range("192.0.2.20-192.0.2.30")));
  CHECK_FALSE(range.Overlaps(Range("192.0.2.0-192.0.2.9")));
  CHECK_FALSE(range.Overlaps(Range("::/0")));
}

TEST_CASE("PrefixOf cuts host bits off", "[ip_range]") {
  CHECK(PrefixOf(*IpAddress::Parse("192.0.2.77"), 24).ToString() == "192.0.2.0/24");
  CHECK(PrefixOf(*IpAddress::Parse("192.0.2.77"), 32).ToString() == "192.0.2.77/32");
  CHECK(PrefixOf(*IpAddress::Parse("192.0.2.77"), 0).ToString() == "0.0.0.0/0");
  CHECK(PrefixOf(*IpAddress::Parse("2001:db8:1:2:3::4"), 64).ToString() == "2001:db8:1:2::/64");
  CHECK(PrefixOf(*IpAddress::Parse("2001:db8:1:2:3::4"), 48).ToString() == "2001:db8:1::/48");
  CHECK(PrefixOf(*IpAddress::Parse("2001:db8::4"), 128).ToString() == "2001:db8::4/128");
  CHECK(PrefixOf(*IpAddress::Parse("2001:db8::4"), 0).ToString() == "::/0");
}

}  // namespace stentor::net
