// SPDX-License-Identifier: Apache-2.0
#include "common/net/mac_address.h"

#include <string>

#include "test/support/catch.h"

namespace stentor::net {

TEST_CASE("MacAddress reads six pairs of digits and prints them in lower case", "[mac_address]") {
  CHECK(MacAddress::Parse("02:00:5e:10:00:0f")->ToString() == "02:00:5e:10:00:0f");
  CHECK(MacAddress::Parse("AA:bB:Cc:DD:EE:FF")->ToString() == "aa:bb:cc:dd:ee:ff");
  CHECK(MacAddress::Parse("00:00:00:00:00:00") == MacAddress());
  CHECK(MacAddress::Parse("01:02:03:04:05:06")->octets() == MacAddress::Octets{1, 2, 3, 4, 5, 6});
}

TEST_CASE("MacAddress refuses everything else", "[mac_address]") {
  const std::string text = GENERATE(values<std::string>(
      {"", "02:00:5e:10:00", "02:00:5e:10:00:0f:", "02:00:5e:10:00:0f:01", "02-00-5e-10-00-0f",
       "2:0:5e:10:0:f", "02:00:5e:10:00:0g", "02:00:5e:10:00: f", "02:00:5e:10:00:-1",
       "02:00:5e:10:00:+1", "0200.5e10.000f", "02005e10000f", " 2:00:5e:10:00:0f",
       "02:00:5e:10:000:f", "02:00:5e:10:00 0f"}));
  DYNAMIC_SECTION('"' << text << '"') { CHECK_FALSE(MacAddress::Parse(text)); }
}

TEST_CASE("MacAddress knows groups and broadcast", "[mac_address]") {
  struct Case {
    const char* text;
    bool broadcast;
    bool group;
    bool zero;
  };
  const auto c = GENERATE(values<Case>({
      {"ff:ff:ff:ff:ff:ff", true, true, false},
      {"01:00:5e:00:00:01", false, true, false},
      {"33:33:00:00:00:01", false, true, false},
      {"02:00:00:00:00:01", false, false, false},
      {"fe:ff:ff:ff:ff:ff", false, false, false},
      {"00:00:00:00:00:00", false, false, true},
  }));
  DYNAMIC_SECTION(c.text) {
    const auto mac = MacAddress::Parse(c.text);
    REQUIRE(mac);
    CHECK(mac->IsBroadcast() == c.broadcast);
    CHECK(mac->IsGroup() == c.group);
    CHECK(mac->IsZero() == c.zero);
  }
}

}  // namespace stentor::net
