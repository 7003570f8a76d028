// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/address_ranges.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

std::vector<net::IpAddress> Addresses(const std::vector<std::string>& texts) {
  std::vector<net::IpAddress> addresses;
  for (const std::string& text : texts) {
    addresses.push_back(*net::IpAddress::Parse(text));
  }
  return addresses;
}

std::string Text(const AddressRanges& ranges) {
  std::string text;
  for (const AddressRange& range : ranges) {
    text += text.empty() ? "" : " ";
    text += range.first.ToString();
    if (range.last != range.first) {
      text += "-" + range.last.ToString();
    }
  }
  return text;
}

TEST_CASE("RangesOf joins neighbours and nothing else", "[filter]") {
  struct Case {
    const char* name;
    std::vector<std::string> addresses;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"none", {}, ""},
      {"one", {"192.0.2.1"}, "192.0.2.1"},
      {"neighbours in any order, twice",
       {"192.0.2.3", "192.0.2.1", "192.0.2.2", "192.0.2.1"},
       "192.0.2.1-192.0.2.3"},
      {"with a gap", {"192.0.2.1", "192.0.2.3"}, "192.0.2.1 192.0.2.3"},
      {"across a border of octets", {"192.0.2.255", "192.0.3.0"}, "192.0.2.255-192.0.3.0"},
      {"the ends of IPv4", {"0.0.0.0", "255.255.255.255"}, "0.0.0.0 255.255.255.255"},
      {"IPv6 neighbours", {"2001:db8::2", "2001:db8::1"}, "2001:db8::1-2001:db8::2"},
      {"IPv6, across a border of words",
       {"2001:db8::ffff:ffff", "2001:db8::1:0:0"},
       "2001:db8::ffff:ffff 2001:db8::1:0:0"},
      {"IPv6, across a border of halves",
       {"2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::"},
       "2001:db8::ffff:ffff:ffff:ffff 2001:db8:0:1::"},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(Text(RangesOf(Addresses(c.addresses))) == c.want); }
}

TEST_CASE("Cover closes the smallest gaps first", "[filter]") {
  struct Case {
    const char* name;
    std::vector<std::string> addresses;
    std::size_t count;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"few enough", {"192.0.2.1", "192.0.2.9"}, 2, "192.0.2.1 192.0.2.9"},
      {"two of three", {"192.0.2.1", "192.0.2.5", "192.0.2.7"}, 2, "192.0.2.1 192.0.2.5-192.0.2.7"},
      {"equal gaps: the lower one",
       {"192.0.2.1", "192.0.2.3", "192.0.2.5"},
       2,
       "192.0.2.1-192.0.2.3 192.0.2.5"},
      {"all", {"192.0.2.1", "192.0.2.5", "203.0.113.9"}, 1, "192.0.2.1-203.0.113.9"},
      {"IPv6, within the last word",
       {"2001:db8::1", "2001:db8::5", "2001:db8::9:0"},
       2,
       "2001:db8::1-2001:db8::5 2001:db8::9:0"},
      {"IPv6, widened behind the third word",
       {"2001:db8::5:0:1", "2001:db8::6:0:1"},
       1,
       "2001:db8::5:0:0-2001:db8::6:ffff:ffff"},
      {"IPv6, widened behind the second word",
       {"2001:db8:0:5::1", "2001:db8:0:6::1"},
       1,
       "2001:db8:0:5::-2001:db8:0:6:ffff:ffff:ffff:ffff"},
      {"IPv6, widened behind the first word",
       {"2001:db8::1", "2001:db9::1"},
       1,
       "2001:db8::-2001:db9:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"IPv6, what is widened swallows its neighbours",
       {"2001:db8::1", "2001:db8::ffff:fff0", "2001:db8::1:0:5", "2001:db8::1:ffff:0"},
       3,
       "2001:db8::-2001:db8::1:ffff:ffff"},
  }));
  DYNAMIC_SECTION(c.name) {
    CHECK(Text(Cover(RangesOf(Addresses(c.addresses)), c.count)) == c.want);
  }
}

}  // namespace
}  // namespace stentor::speaker
