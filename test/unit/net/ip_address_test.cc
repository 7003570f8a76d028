// SPDX-License-Identifier: Apache-2.0
#include "common/net/ip_address.h"

#include <algorithm>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::net {
namespace {

IpAddress Ip(std::string_view text) {
  const auto address = IpAddress::Parse(text);
  INFO(text);
  REQUIRE(address);
  return *address;
}

}  // namespace

TEST_CASE("IpAddress prints what it reads, in its canonical form", "[ip_address]") {
  struct Case {
    const char* text;
    const char* canonical;
    IpFamily family;
  };
  constexpr auto kV4 = IpFamily::kIpv4;
  constexpr auto kV6 = IpFamily::kIpv6;
  const auto c = GENERATE(values<Case>({
      {"0.0.0.0", "0.0.0.0", kV4},
      {"192.0.2.1", "192.0.2.1", kV4},
      {"255.255.255.255", "255.255.255.255", kV4},
      {"198.51.100.10", "198.51.100.10", kV4},
      {"::ffff:192.0.2.1", "192.0.2.1", kV4},  // as Go's net.ParseIP
      {"::ffff:c000:201", "192.0.2.1", kV4},
      {"::", "::", kV6},
      {"::1", "::1", kV6},
      {"1::", "1::", kV6},
      {"2001:db8::1", "2001:db8::1", kV6},
      {"2001:DB8::ABCD", "2001:db8::abcd", kV6},
      {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1", kV6},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", kV6},  // a single zero group stays
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1", kV6},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1", kV6},        // the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", kV6},  // the first of equal runs
      {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::", kV6},
      {"0:0:1:2:3:4:5:6", "::1:2:3:4:5:6", kV6},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", kV6},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", kV6},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221", kV6},
      {"1:2:3:4:5:6:192.0.2.33", "1:2:3:4:5:6:c000:221", kV6},
      {"::192.0.2.1", "::c000:201", kV6},  // compatible, not mapped
      {"::fffe:192.0.2.1", "::fffe:c000:201", kV6},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", kV6},
  }));
  DYNAMIC_SECTION(c.text) {
    const auto address = IpAddress::Parse(c.text);
    REQUIRE(address);
    CHECK(address->ToString() == c.canonical);
    CHECK(address->family() == c.family);
    CHECK(IpAddress::Parse(c.canonical) == address);
  }
}

TEST_CASE("IpAddress refuses what is no address", "[ip_address]") {
  const std::string text = GENERATE(values<std::string>({
      "",
      " ",
      "192.0.2",
      "192.0.2.",
      ".192.0.2.1",
      "192.0.2.1.",
      "192.0.2.1.1",
      "192.0.2.256",
      "192.0.2.300",
      "192.0.2.01",
      "192.0.2.001",
      "00.0.0.0",
      "192.0..2",
      "192.0.2.-1",
      "192.0.2.+1",
      " 192.0.2.1",
      "192.0.2.1 ",
      "192.0.2.1/32",
      "192,0,2,1",
      "192.0.2.a",
      "0x7f.0.0.1",
      "3221225985",
      "99999999999.0.2.1",
      ":",
      ":::",
      "1",
      "1:",
      ":1",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8:",
      ":1:2:3:4:5:6:7:8",
      "1:2:3:4:5:6:7::8",
      "::1:2:3:4:5:6:7:8",
      "1::2::3",
      "1:::2",
      "12345::",
      "g::",
      "fe80::1%eth0",
      "[::1]",
      "::1/128",
      "1:2:3:4:5:6:7:192.0.2.1",
      "::192.0.2",
      "::192.0.2.256",
      "192.0.2.1::",
      "::192.0.2.1:1",
      "::-1",
      "2001:db8::1 ",
      "default",
  }));
  DYNAMIC_SECTION('"' << text << '"') { CHECK_FALSE(IpAddress::Parse(text)); }
  CHECK_FALSE(IpAddress::Parse(std::string_view("192.0.2.1\0", 10)));
}

TEST_CASE("Addresses sort by number, and IPv4 before IPv6", "[ip_address]") {
  const std::vector<std::string> sorted = {"0.0.0.0",
                                           "9.255.255.255",
                                           "10.0.0.0",
                                           "192.0.2.9",
                                           "192.0.2.10",
                                           "255.255.255.255",
                                           "::",
                                           "::1",
                                           "2001:db8::9",
                                           "2001:db8::10",
                                           "2001:db8:0:1::",
                                           "ffff::"};
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    CAPTURE(sorted[i]);
    CHECK(Ip(sorted[i - 1]) < Ip(sorted[i]));
  }
}

TEST_CASE("Next and Previous step by one, and stop at the ends of the family", "[ip_address]") {
  struct Case {
    const char* address;
    const char* next;  // empty: none
  };
  const auto c = GENERATE(values<Case>({
      {"192.0.2.1", "192.0.2.2"},
      {"192.0.2.255", "192.0.3.0"},
      {"127.255.255.255", "128.0.0.0"},
      {"255.255.255.254", "255.255.255.255"},
      {"255.255.255.255", ""},
      {"2001:db8::ffff", "2001:db8::1:0"},
      {"2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""},
  }));
  DYNAMIC_SECTION(c.address) {
    const auto next = Ip(c.address).Next();
    if (std::string_view(c.next).empty()) {
      CHECK_FALSE(next);
    } else {
      REQUIRE(next);
      CHECK(*next == Ip(c.next));
      CHECK(next->Previous() == Ip(c.address));
    }
  }
  CHECK_FALSE(Ip("0.0.0.0").Previous());
  CHECK_FALSE(Ip("::").Previous());
}

TEST_CASE("Addresses convert between their forms", "[ip_address]") {
  CHECK(Ip("192.0.2.1").ipv4() == Ipv4Address(0xC0000201));
  CHECK(Ipv4Address::FromOctets(192, 0, 2, 1).value() == 0xC0000201);
  CHECK(IpAddress(Ipv4Address(0xC0000201)) == Ip("192.0.2.1"));
  const Ipv6Address v6 = Ip("2001:db8::1:2").ipv6();
  CHECK(v6.octets()[0] == 0x20);
  CHECK(v6.octets()[13] == 0x01);
  CHECK(v6.octets()[15] == 0x02);
  CHECK(IpAddress(v6) == Ip("2001:db8::1:2"));
  CHECK(IpAddress::FromNumber(IpFamily::kIpv6, 0x20010db800000000, 0x10002) == Ip("2001:db8::1:2"));
  CHECK(IpAddress() == Ip("0.0.0.0"));
  CHECK(Ipv4Address().IsUnspecified());
  CHECK(IpFamilyName(IpFamily::kIpv4) == "ipv4");
  CHECK(IpFamilyName(IpFamily::kIpv6) == "ipv6");
}

TEST_CASE("fe80::/10 is link-local", "[ip_address]") {
  CHECK(Ipv6Address::Parse("fe80::1")->IsLinkLocal());
  CHECK(Ipv6Address::Parse("febf::1")->IsLinkLocal());
  CHECK_FALSE(Ipv6Address::Parse("fec0::1")->IsLinkLocal());
  CHECK_FALSE(Ipv6Address::Parse("fe7f::1")->IsLinkLocal());
  CHECK_FALSE(Ipv6Address::Parse("2001:db8::1")->IsLinkLocal());
}

}  // namespace stentor::net
