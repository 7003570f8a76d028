// SPDX-License-Identifier: Apache-2.0
#include "speaker/node/subnets.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using net::IpRange;

// "192.0.2.0/24 192.0.2.1-192.0.2.9"
std::vector<IpRange> Ranges(const std::string& text) {
  std::vector<IpRange> ranges;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const auto range = net::ParseAddressItem(text.substr(begin, end - begin));
    REQUIRE(range.ok());
    ranges.push_back(*range);
    begin = end + 1;
  }
  return ranges;
}

std::string Text(const std::vector<IpRange>& ranges) {
  std::string text;
  for (const IpRange& range : ranges) {
    text += (text.empty() ? "" : " ") + range.ToString();
  }
  return text;
}

}  // namespace

TEST_CASE("What no subnet contains", "[subnets]") {
  struct Case {
    const char* name;
    const char* ranges;
    const char* covered;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"no ranges", "", "192.0.2.0/24", ""},
      {"no subnets", "192.0.2.0/30", "", "192.0.2.0-192.0.2.3"},
      {"all within", "192.0.2.16/28", "192.0.2.0/24", ""},
      {"the very subnet", "192.0.2.0/24", "192.0.2.0/24", ""},
      {"all outside", "198.51.100.0/30", "192.0.2.0/24 203.0.113.0/24",
       "198.51.100.0-198.51.100.3"},
      {"the start is outside", "192.0.1.254-192.0.2.1", "192.0.2.0/24", "192.0.1.254-192.0.1.255"},
      {"the end is outside", "192.0.2.254-192.0.3.1", "192.0.2.0/24", "192.0.3.0-192.0.3.1"},
      {"both ends are", "192.0.1.255-192.0.3.0", "192.0.2.0/24",
       "192.0.1.255-192.0.1.255 192.0.3.0-192.0.3.0"},
      {"the middle is", "192.0.2.0-192.0.2.11", "192.0.2.0/30 192.0.2.8/30", "192.0.2.4-192.0.2.7"},
      {"two subnets side by side", "192.0.2.0/24", "192.0.2.128/25 192.0.2.0/25", ""},
      {"nested subnets", "192.0.2.0/24", "192.0.2.0/24 192.0.2.16/28", ""},
      {"two ranges, one subnet", "192.0.2.1-192.0.2.2 192.0.2.250-192.0.3.0", "192.0.2.0/24",
       "192.0.3.0-192.0.3.0"},
      {"ranges side by side are one", "192.0.2.2/31 192.0.2.0/31", "", "192.0.2.0-192.0.2.3"},
      {"up to the last address", "255.255.255.254/31", "255.255.255.255/32",
       "255.255.255.254-255.255.255.254"},
      {"all addresses", "0.0.0.0/0", "192.0.2.0/24",
       "0.0.0.0-192.0.1.255 192.0.3.0-255.255.255.255"},
      {"a default prefix", "192.0.2.0/24", "0.0.0.0/0", ""},
      {"IPv6", "2001:db8::/32", "2001:db8:0:1::/64",
       "2001:db8::-2001:db8::ffff:ffff:ffff:ffff "
       "2001:db8:0:2::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(Text(Uncovered(Ranges(c.ranges), Ranges(c.covered))) == c.want); }
}

TEST_CASE("The subnets of interfaces", "[subnets]") {
  const auto link = [](std::vector<std::pair<const char*, int>> addresses) {
    Link its;
    for (const auto& [text, length] : addresses) {
      its.addresses[*net::IpAddress::Parse(text)] = {.prefix_length = length};
    }
    return its;
  };
  struct Case {
    const char* name;
    std::vector<Link> links;
    net::IpFamily family;
    const char* want;
    bool incomplete;
  };
  constexpr auto k4 = net::IpFamily::kIpv4;
  constexpr auto k6 = net::IpFamily::kIpv6;
  const auto c = GENERATE_COPY(values<Case>({
      {"no link", {}, k4, "", false},
      {"no address", {link({})}, k4, "", false},
      {"one", {link({{"192.0.2.7", 24}})}, k4, "192.0.2.0-192.0.2.255", false},
      {"of the other family", {link({{"192.0.2.7", 24}})}, k6, "", false},
      {"several",
       {link({{"192.0.2.7", 30}}), link({{"198.51.100.1", 31}})},
       k4,
       "192.0.2.4-192.0.2.7 198.51.100.0-198.51.100.1",
       false},
      {"a single host", {link({{"192.0.2.7", 32}})}, k4, "", true},
      {"a single host beside a subnet",
       {link({{"192.0.2.7", 32}, {"192.0.2.9", 29}})},
       k4,
       "192.0.2.8-192.0.2.15",
       false},
      {"one link shows nothing",
       {link({{"192.0.2.7", 32}}), link({{"198.51.100.1", 31}})},
       k4,
       "198.51.100.0-198.51.100.1",
       true},
      {"IPv6 by DHCP", {link({{"2001:db8::7", 128}, {"fe80::1", 64}})}, k6, "", true},
      {"link-local addresses say nothing", {link({{"fe80::1", 64}})}, k6, "", false},
  }));
  DYNAMIC_SECTION(c.name) {
    std::vector<const Link*> links;
    for (const Link& its : c.links) {
      links.push_back(&its);
    }
    const Subnets subnets = SubnetsOf(links, c.family);
    CHECK(Text(subnets.ranges) == c.want);
    CHECK(subnets.incomplete == c.incomplete);
  }
}

}  // namespace stentor::speaker
