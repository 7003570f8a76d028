// SPDX-License-Identifier: Apache-2.0
// MulticastGroups in a network namespace; the judge is the kernel's list of memberships.

#include "speaker/net/multicast_groups.h"

#include <net/if.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "common/net/ndp.h"
#include "test/component/speaker_net/packet_namespaces.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using test::Inside;
using test::Namespace;

net::Ipv6Address Ip(const std::string& text) {
  const auto address = net::Ipv6Address::Parse(text);
  REQUIRE(address.has_value());
  return *address;
}

const net::Ipv6Address& One() {
  static const net::Ipv6Address group = Ip("ff02::1:ff00:1");
  return group;
}
const net::Ipv6Address& Two() {
  static const net::Ipv6Address group = Ip("ff02::1:ff00:2");
  return group;
}

std::vector<net::Ipv6Address> Many(std::uint32_t count) {
  std::vector<net::Ipv6Address> groups;
  for (std::uint32_t i = 0; i < count; ++i) {
    net::Ipv6Address::Octets octets = One().octets();
    octets[13] = 0x10;
    octets[14] = static_cast<std::uint8_t>(i >> 8U);
    octets[15] = static_cast<std::uint8_t>(i);
    groups.emplace_back(octets);
  }
  return groups;
}

// A namespace with net0, which has no addresses but its link-local one.
struct Host {
  Namespace space;
  MulticastGroups groups;

  Host() { Make(); }

  void Make(const std::string& index = "") const {
    // By chance, its own group would be one of those looked at.
    space.Run("ip link add net0 " + index + " address 02:00:00:12:34:56 type veth peer name net1");
    space.Run("ip link set net0 up; ip link set net1 up");
  }

  [[nodiscard]] IfIndex net0() const {
    const Inside inside(space);
    return IfIndex{if_nametoindex("net0")};
  }

  absl::Status Set(const std::vector<net::Ipv6Address>& wanted) {
    const Inside inside(space);
    return groups.Set(net0(), wanted);
  }

  void Leave(IfIndex link) {
    const Inside inside(space);
    groups.Leave(link);
  }

  // The groups of net0 among ff02::1:ff00:1, ff02::1:ff00:2 and ff02::1:ff10:*, by its own list.
  [[nodiscard]] std::set<std::string> Joined() const {
    std::istringstream lines(space.Output("cat /proc/net/igmp6"));
    std::set<std::string> found;
    std::string index;
    std::string name;
    std::string group;
    std::string rest;
    while (lines >> index >> name >> group && std::getline(lines, rest)) {
      const std::string kind = group.substr(0, 26);
      if (name == "net0" && (kind == "ff0200000000000000000001ff" &&
                             (group.substr(26, 4) == "0000" || group.substr(26, 2) == "10"))) {
        found.insert(group.substr(26));
      }
    }
    return found;
  }
};

using Texts = std::set<std::string>;

TEST_CASE("Groups are joined and left as they are wanted", "[groups]") {
  STENTOR_REQUIRE_NAMESPACES();
  Host h;
  REQUIRE(h.Set({One()}).ok());
  CHECK(h.Joined() == Texts{"000001"});
  SECTION("one more") {
    REQUIRE(h.Set({One(), Two()}).ok());
    CHECK(h.Joined() == Texts{"000001", "000002"});
    CHECK(h.groups.size() == 2);
  }
  SECTION("another") {
    REQUIRE(h.Set({Two()}).ok());
    CHECK(h.Joined() == Texts{"000002"});
  }
  SECTION("the same, named twice") {
    REQUIRE(h.Set({One(), One()}).ok());
    CHECK(h.Joined() == Texts{"000001"});
    CHECK(h.groups.size() == 1);
  }
  SECTION("none") {
    REQUIRE(h.Set({}).ok());
    CHECK(h.Joined().empty());
    CHECK(h.groups.size() == 0);
  }
  SECTION("the interface goes down and comes up") {
    h.space.Run("ip link set net0 down && ip link set net0 up");
    CHECK(h.Joined() == Texts{"000001"});
  }
}

TEST_CASE("More groups are joined than one socket may have", "[groups]") {
  STENTOR_REQUIRE_NAMESPACES();
  Host h;
  // As before Linux 6.8, where a network namespace has no such limit of its own.
  h.space.Run("sysctl -qw net.core.optmem_max=20480 || true");
  REQUIRE(h.Set(Many(1000)).ok());
  CHECK(h.Joined().size() == 1000);
  REQUIRE(h.Set(Many(10)).ok());
  CHECK(h.Joined().size() == 10);
  REQUIRE(h.Set(Many(1000)).ok());
  CHECK(h.Joined().size() == 1000);
  h.Leave(h.net0());
  CHECK(h.Joined().empty());
}

TEST_CASE("An interface that comes back is joined again, also under its old number", "[groups]") {
  STENTOR_REQUIRE_NAMESPACES();
  Host h;
  REQUIRE(h.Set({One(), Two()}).ok());
  const IfIndex before = h.net0();
  h.space.Run("ip link del net0");
  h.Leave(before);
  CHECK(h.groups.size() == 0);
  SECTION("a new number") { h.Make(); }
  SECTION("the old number") {
    h.Make("index " + std::to_string(static_cast<std::uint32_t>(before)));
    REQUIRE(h.net0() == before);
  }
  CHECK(h.Joined().empty());
  REQUIRE(h.Set({One(), Two()}).ok());
  CHECK(h.Joined() == Texts{"000001", "000002"});
}

TEST_CASE("A group that can't be joined is an error, and joined when it can be", "[groups]") {
  STENTOR_REQUIRE_NAMESPACES();
  Host h;
  SECTION("an interface too narrow for IPv6") {
    h.space.Run("ip link set net0 mtu 1000");
    CHECK(h.Set({One(), Two()}).code() == absl::StatusCode::kUnavailable);
    CHECK(h.groups.size() == 0);
    h.space.Run("ip link set net0 mtu 1500");
  }
  SECTION("an interface that isn't there") {
    h.space.Run("ip link del net0");
    const Inside inside(h.space);
    const std::vector<net::Ipv6Address> wanted = {One()};
    CHECK(h.groups.Set(IfIndex{7777}, wanted).code() == absl::StatusCode::kUnavailable);
    h.Make();
  }
  REQUIRE(h.Set({One(), Two()}).ok());
  CHECK(h.Joined() == Texts{"000001", "000002"});
}

TEST_CASE("What is no group is refused, and the others are joined", "[groups]") {
  STENTOR_REQUIRE_NAMESPACES();
  Host h;
  const absl::Status status = h.Set({Ip("2001:db8::1"), One()});
  CHECK_FALSE(status.ok());
  CHECK(std::string(status.message()).find("2001:db8::1") != std::string::npos);
  CHECK(h.Joined() == Texts{"000001"});
}

std::ptrdiff_t OpenDescriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return std::distance(begin(all), end(all));
}

TEST_CASE("Joins for which the kernel has no room leave no sockets behind", "[groups]") {
  STENTOR_REQUIRE_NAMESPACES();
  Host h;
  h.space.Run("sysctl -qw net.core.optmem_max=1 || true");
  const std::ptrdiff_t before = OpenDescriptors();
  if (h.Set({One()}).ok()) {
    WARN("the limit is not the namespace's own here (before Linux 6.8)");
    return;
  }
  for (int i = 0; i < 20; ++i) {
    CHECK_FALSE(h.Set(Many(10)).ok());
  }
  CHECK(OpenDescriptors() == before);
  h.space.Run("sysctl -qw net.core.optmem_max=20480");
  CHECK(h.Set({One()}).ok());
  CHECK(h.Joined() == Texts{"000001"});
}

}  // namespace
}  // namespace stentor::speaker
