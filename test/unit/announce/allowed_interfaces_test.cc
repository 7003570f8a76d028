// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/allowed_interfaces.h"

#include <cstddef>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {

TEST_CASE("Allowed interfaces are all, some or none", "[announcer]") {
  const AllowedInterfaces all;
  const AllowedInterfaces none = AllowedInterfaces::Only({});
  const AllowedInterfaces one = AllowedInterfaces::Only({"eth0"});
  CHECK(all.all());
  CHECK(all.names() == nullptr);
  CHECK_FALSE(all.Named("eth0"));
  CHECK_FALSE(none.all());
  CHECK(none.names()->empty());
  CHECK_FALSE(none.Named("eth0"));
  CHECK(one.Named("eth0"));
  CHECK_FALSE(one.Named("eth1"));
}

TEST_CASE("Allowed interfaces are the same where their names are", "[announcer]") {
  const std::vector<AllowedInterfaces> ordered = {AllowedInterfaces(), AllowedInterfaces::Only({}),
                                                  AllowedInterfaces::Only({"eth0"}),
                                                  AllowedInterfaces::Only({"eth0", "eth1"})};
  const std::vector<AllowedInterfaces> again = {AllowedInterfaces(), AllowedInterfaces::Only({}),
                                                AllowedInterfaces::Only({"eth0"}),
                                                AllowedInterfaces::Only({"eth1", "eth0"})};
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    for (std::size_t j = 0; j < again.size(); ++j) {
      CHECK((ordered[i] == again[j]) == (i == j));
      CHECK((ordered[i] < again[j]) == (i < j));
    }
  }
}

TEST_CASE("What two allow adds up", "[announcer]") {
  const AllowedInterfaces all;
  const AllowedInterfaces one = AllowedInterfaces::Only({"eth0"});
  const AllowedInterfaces other = AllowedInterfaces::Only({"eth1"});
  CHECK(one.With(other) == AllowedInterfaces::Only({"eth0", "eth1"}));
  CHECK(one.With(AllowedInterfaces::Only({})) == one);
  CHECK(one.With(all).all());
  CHECK(all.With(one).all());
}

}  // namespace stentor::speaker
