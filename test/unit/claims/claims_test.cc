// SPDX-License-Identifier: Apache-2.0
#include "speaker/claims/claims.h"

#include "test/support/catch.h"

namespace stentor::speaker {

TEST_CASE("AddressKeyOf is the first 8 octets of the SHA-256 of the address's text", "[claims]") {
  // printf 203.0.113.7 | sha256sum
  CHECK(AddressKeyOf(net::Ipv4Address::FromOctets(203, 0, 113, 7)) == 0xfec52565aa0cf18fU);
  CHECK(AddressKeyOf(*net::IpAddress::Parse("2001:db8:0::7")) == 0xf1ad3e621f73e90cU);
}

TEST_CASE("DigestOf tells claims apart, and none from some", "[claims]") {
  const Claims claims = {{.address = 1, .epoch = 2}, {.address = 3, .epoch = 4}};
  CHECK(DigestOf({}) == 0);
  CHECK(DigestOf(claims) != 0);
  CHECK(DigestOf(claims) == DigestOf(Claims(claims)));
  CHECK(DigestOf(claims) != DigestOf({{.address = 1, .epoch = 2}, {.address = 3, .epoch = 5}}));
  CHECK(DigestOf(claims) != DigestOf({{.address = 1, .epoch = 2}}));
}

TEST_CASE("EpochOf finds a claim, or none", "[claims]") {
  const Claims claims = {{.address = 1, .epoch = 2}, {.address = 3, .epoch = 4}};
  CHECK(EpochOf(claims, 0) == 0);
  CHECK(EpochOf(claims, 1) == 2);
  CHECK(EpochOf(claims, 2) == 0);
  CHECK(EpochOf(claims, 3) == 4);
  CHECK(EpochOf(claims, 4) == 0);
}

TEST_CASE("Difference is what makes one set of claims of another", "[claims]") {
  const Claims none;
  const Claims some = {{.address = 1, .epoch = 2}, {.address = 3, .epoch = 4}};
  const Claims others = {
      {.address = 0, .epoch = 9}, {.address = 3, .epoch = 5}, {.address = 7, .epoch = 1}};
  CHECK(Difference(some, some).empty());
  CHECK(Difference(none, some) == some);
  CHECK(Difference(some, none) == Claims{{.address = 1, .epoch = 0}, {.address = 3, .epoch = 0}});
  CHECK(Difference(some, others) == Claims{{.address = 0, .epoch = 9},
                                           {.address = 1, .epoch = 0},
                                           {.address = 3, .epoch = 5},
                                           {.address = 7, .epoch = 1}});
  for (const Claims& before : {none, some, others}) {
    for (const Claims& after : {none, some, others}) {
      CHECK(Changed(before, Difference(before, after)) == after);
    }
  }
  CHECK(Changed(some, {{.address = 2, .epoch = 0}}) == some);
}

}  // namespace stentor::speaker
