// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/membership_socket.h"

#include <poll.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "speaker/membership/datagram.h"
#include "speaker/membership/membership.h"
#include "test/component/speaker_net/packet_namespaces.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

const net::IpAddress kOne = net::Ipv4Address::FromOctets(192, 0, 2, 1);
const net::IpAddress kTwo = net::Ipv4Address::FromOctets(192, 0, 2, 2);

// A network of its own with two addresses, so that two sockets share a port as two nodes do.
class Host {
 public:
  Host() {
    namespace_.Run("ip link set lo up");
    namespace_.Run("ip address add 192.0.2.1/32 dev lo");
    namespace_.Run("ip address add 192.0.2.2/32 dev lo");
    namespace_.Run("ip address add 2001:db8::1/128 dev lo nodad");
    inside_.emplace(namespace_);
  }

 private:
  test::Namespace namespace_;
  std::optional<test::Inside> inside_;
};

struct Seen {
  std::vector<std::pair<net::IpAddress, std::string>> datagrams;
  std::vector<Duration> ages;
  std::vector<net::IpAddress> unreachable;
  std::vector<std::vector<std::byte>> quoted;
};

bool WaitFor(const MembershipSocket& socket, int milliseconds = 5000) {
  pollfd wanted{.fd = socket.fd(), .events = POLLIN, .revents = 0};
  return ::poll(&wanted, 1, milliseconds) == 1;
}

bool DrainInto(MembershipSocket& socket, Seen& seen, std::size_t limit = 256) {
  return socket.Drain(
      [&seen](const net::IpAddress& source, Bytes bytes, Duration age) {
        seen.ages.push_back(age);
        seen.datagrams.emplace_back(
            source, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
      },
      [&seen](const net::IpAddress& destination, Bytes quoted) {
        seen.unreachable.push_back(destination);
        seen.quoted.emplace_back(quoted.begin(), quoted.end());
      },
      limit);
}

}  // namespace

TEST_CASE("MembershipSocket stands above packet sockets, which are released later",
          "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  const auto socket = MembershipSocket::Open(kOne, 0);
  REQUIRE(socket.ok());
  for (const int fd : {900, 901}) {
    struct stat file{};
    REQUIRE(::fstat(fd, &file) == 0);
    CHECK(S_ISSOCK(file.st_mode));
  }
  CHECK(socket->port() != 0);
}

TEST_CASE("MembershipSocket carries datagrams with their source", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  auto one = MembershipSocket::Open(kOne, 0);
  REQUIRE(one.ok());
  REQUIRE(one->port() != 0);
  auto two = MembershipSocket::Open(kTwo, one->port());
  REQUIRE(two.ok());
  REQUIRE(one->Send(kTwo, AsBytes("first")).ok());
  REQUIRE(one->Send(kTwo, AsBytes("second")).ok());
  REQUIRE(WaitFor(*two));
  Seen seen;
  CHECK_FALSE(DrainInto(*two, seen));
  REQUIRE(seen.datagrams.size() == 2);
  CHECK(seen.datagrams[0].first == kOne);
  CHECK(seen.datagrams[0].second == "first");
  CHECK(seen.datagrams[1].second == "second");
  CHECK(seen.unreachable.empty());
}

TEST_CASE("MembershipSocket tells who is not listening, and goes on", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  auto one = MembershipSocket::Open(kOne, 0);
  REQUIRE(one.ok());
  REQUIRE(one->Send(kTwo, AsBytes("anybody?")).ok());
  REQUIRE(WaitFor(*one));  // an error wakes it as well
  Seen seen;
  CHECK_FALSE(DrainInto(*one, seen));
  CHECK(seen.unreachable == std::vector<net::IpAddress>{kTwo});
  CHECK(seen.datagrams.empty());

  auto two = MembershipSocket::Open(kTwo, one->port());
  REQUIRE(two.ok());
  CHECK(one->Send(kTwo, AsBytes("hello")).ok());
  REQUIRE(WaitFor(*two));
  DrainInto(*two, seen);
  CHECK(seen.datagrams.size() == 1);
}

TEST_CASE("MembershipSocket sends although an error is waiting", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  auto one = MembershipSocket::Open(kOne, 0);
  REQUIRE(one.ok());
  for (int i = 0; i < 10; ++i) {
    CHECK(one->Send(kTwo, AsBytes("x")).ok());
  }
  REQUIRE(WaitFor(*one));
  Seen seen;
  DrainInto(*one, seen);
  CHECK(seen.unreachable.size() == 10);
}

TEST_CASE("MembershipSocket drains a flood in portions", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  auto one = MembershipSocket::Open(kOne, 0);
  REQUIRE(one.ok());
  for (int i = 0; i < 5; ++i) {
    REQUIRE(one->Send(kOne, AsBytes("x")).ok());
  }
  REQUIRE(WaitFor(*one));
  Seen seen;
  CHECK(DrainInto(*one, seen, 3));
  CHECK(seen.datagrams.size() == 3);
  CHECK_FALSE(DrainInto(*one, seen));
  CHECK(seen.datagrams.size() == 5);
}

TEST_CASE("MembershipSocket shows that a datagram was too long", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  auto one = MembershipSocket::Open(kOne, 0);
  REQUIRE(one.ok());
  REQUIRE(one->Send(kOne, AsBytes(std::string(5000, 'x'))).ok());
  REQUIRE(WaitFor(*one));
  Seen seen;
  DrainInto(*one, seen);
  REQUIRE(seen.datagrams.size() == 1);
  CHECK(seen.datagrams[0].second.size() == kMaxDatagramSize + 1);
}

TEST_CASE("MembershipSocket is not woken by quiet datagrams, and tells their age",
          "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  const auto* const address = GENERATE("192.0.2.1", "2001:db8::1");
  const net::IpAddress self = *net::IpAddress::Parse(address);
  auto one = MembershipSocket::Open(self, 0);
  REQUIRE(one.ok());
  const std::string quiet = "St\x81 quiet";
  Seen seen;
  // A namespace that is new may lose some before its routes are in place, and the first one on a
  // host on which nobody had asked for stamps has that of being read.
  for (int attempt = 0; attempt < 50 && (seen.ages.empty() || seen.ages[0] < 100ms); ++attempt) {
    seen = {};
    REQUIRE(one->Send(self, AsBytes(quiet)).ok());
    CHECK_FALSE(WaitFor(*one, 100));
    DrainInto(*one, seen);
  }
  REQUIRE(seen.datagrams.size() == 1);
  CHECK(seen.datagrams[0] == std::pair(self, quiet));
  CHECK(seen.ages[0] >= 100ms);
  CHECK(seen.ages[0] < 60s);

  // Whoever is woken by others reads them first; what is too short to tell wakes.
  seen = {};
  REQUIRE(one->Send(self, AsBytes("St\x01 loud")).ok());
  REQUIRE(one->Send(self, AsBytes(quiet)).ok());
  REQUIRE(one->Send(self, AsBytes("St")).ok());
  REQUIRE(WaitFor(*one));
  for (int attempt = 0; attempt < 100 && seen.datagrams.size() < 3; ++attempt) {
    (void)WaitFor(*one, 10);
    DrainInto(*one, seen);
  }
  REQUIRE(seen.datagrams.size() == 3);
  CHECK(seen.datagrams[0].second == quiet);
  CHECK(seen.ages[1] == Duration());
}

TEST_CASE("MembershipSocket drains a flood of quiet datagrams all the time", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  auto one = MembershipSocket::Open(kOne, 0);
  REQUIRE(one.ok());
  const auto send = [&one](int count) {
    for (int i = 0; i < count; ++i) {
      REQUIRE(one->Send(kOne, AsBytes("St\x81")).ok());
    }
  };
  Seen seen;
  send(100);
  CHECK_FALSE(WaitFor(*one, 50));
  DrainInto(*one, seen);
  CHECK(seen.datagrams.size() == 100);
  send(1);
  CHECK(WaitFor(*one));  // a crowd
  DrainInto(*one, seen);
  CHECK(seen.datagrams.size() == 101);
  // Over only after many looks that found few: what comes in bursts would be over in between.
  for (int look = 0; look < 1000; ++look) {
    DrainInto(*one, seen);
  }
  send(1);
  CHECK_FALSE(WaitFor(*one, 50));
  DrainInto(*one, seen);
  CHECK(seen.datagrams.size() == 102);
}

TEST_CASE("MembershipSocket is woken by what is too long to be quiet", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  auto one = MembershipSocket::Open(kOne, 0);
  REQUIRE(one.ok());
  std::string datagram = "St\x81";
  datagram.resize(512, 'x');
  REQUIRE(one->Send(kOne, AsBytes(datagram)).ok());
  CHECK_FALSE(WaitFor(*one, 50));
  datagram.resize(513, 'x');
  REQUIRE(one->Send(kOne, AsBytes(datagram)).ok());
  CHECK(WaitFor(*one));
  Seen seen;
  DrainInto(*one, seen);
  CHECK(seen.datagrams.size() == 2);
}

TEST_CASE("MembershipSocket shares its port with nobody", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  const auto* const address = GENERATE("192.0.2.1", "2001:db8::1");
  const auto one = MembershipSocket::Open(*net::IpAddress::Parse(address), 0);
  REQUIRE(one.ok());
  CHECK_FALSE(MembershipSocket::Open(*net::IpAddress::Parse(address), one->port()).ok());
}

TEST_CASE("MembershipSocket works over IPv6", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  const net::IpAddress address = *net::IpAddress::Parse("2001:db8::1");
  auto one = MembershipSocket::Open(address, 0);
  REQUIRE(one.ok());
  // A namespace that is new may lose one before its routes are in place.
  Seen seen;
  for (int attempt = 0; attempt < 50 && seen.datagrams.empty(); ++attempt) {
    REQUIRE(one->Send(address, AsBytes("six")).ok());
    (void)WaitFor(*one, 100);
    DrainInto(*one, seen);
  }
  REQUIRE_FALSE(seen.datagrams.empty());
  CHECK(seen.datagrams[0].first == address);
  CHECK(one->Send(kOne, AsBytes("four")).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("MembershipSocket says why it can't listen", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  auto one = MembershipSocket::Open(kOne, 0);
  REQUIRE(one.ok());
  const auto taken = MembershipSocket::Open(kOne, one->port());
  REQUIRE_FALSE(taken.ok());
  CHECK(taken.status().code() == absl::StatusCode::kUnavailable);
  CHECK(std::string(taken.status().message()) ==
        "cannot listen for other speakers on 192.0.2.1 port " + std::to_string(one->port()) +
            "/udp: Address already in use");
  const auto foreign = MembershipSocket::Open(net::Ipv4Address::FromOctets(198, 51, 100, 1), 0);
  REQUIRE_FALSE(foreign.ok());
  CHECK(std::string(foreign.status().message()).find("Cannot assign requested address") !=
        std::string::npos);
}

TEST_CASE("Two memberships meet over real sockets, and one misses the other", "[speaker_net]") {
  STENTOR_REQUIRE_NAMESPACES();
  const Host host;
  auto one = MembershipSocket::Open(kOne, 0);
  REQUIRE(one.ok());
  auto two = MembershipSocket::Open(kTwo, one->port());
  REQUIRE(two.ok());
  std::uint64_t random = 0;
  const auto next_random = [&random] { return ++random; };
  Membership a({.node = "a", .secrets = {"secret"}}, next_random);
  Membership b({.node = "b", .secrets = {"secret"}}, next_random);
  const std::vector<PeerAddress> peers = {{.node = "a", .addresses = {kOne}},
                                          {.node = "b", .addresses = {kTwo}}};
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto carry = [](MembershipSocket& socket, const Actions& actions) {
    for (const OutgoingDatagram& datagram : actions.send) {
      static_cast<void>(socket.Send(datagram.destination, datagram.bytes));
    }
  };
  const auto serve = [&](MembershipSocket& socket, Membership& membership) {
    socket.Drain(
        [&](const net::IpAddress& source, Bytes bytes, Duration age) {
          carry(socket, membership.OnDatagram(now(), source, bytes, age));
        },
        [&](const net::IpAddress& destination, Bytes quoted) {
          carry(socket, membership.OnUnreachable(now(), destination, quoted));
        });
    if (membership.NextDeadline() && *membership.NextDeadline() <= now()) {
      carry(socket, membership.Poll(now()));
    }
  };
  carry(*one, a.SetPeers(now(), peers));
  carry(*two, b.SetPeers(now(), peers));
  const TimePoint limit = now() + std::chrono::seconds(20);
  while (now() < limit && (a.AliveMembers().size() < 2 || b.AliveMembers().size() < 2)) {
    pollfd wanted[] = {{.fd = one->fd(), .events = POLLIN, .revents = 0},
                       {.fd = two->fd(), .events = POLLIN, .revents = 0}};
    ::poll(wanted, 2, 5);
    serve(*one, a);
    serve(*two, b);
  }
  REQUIRE(a.AliveMembers().size() == 2);
  REQUIRE(b.AliveMembers().size() == 2);
  CHECK(a.Ready());

  {
    const MembershipSocket closed = std::move(*two);
  }
  while (now() < limit && a.AliveMembers().size() == 2) {
    pollfd wanted{.fd = one->fd(), .events = POLLIN, .revents = 0};
    ::poll(&wanted, 1, 5);
    serve(*one, a);
  }
  CHECK(a.AliveMembers().size() == 1);
}

}  // namespace stentor::speaker
