// SPDX-License-Identifier: Apache-2.0

/// \file
/// The order of candidates, pinned by digests that were computed apart:
///   printf 'iris1#10.20.30.1' | sha256sum

#include <string>
#include <string_view>
#include <vector>

#include "test/unit/election/world.h"

namespace stentor::speaker {
namespace {

std::string ToHex(const crypto::Sha256Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::byte b : digest) {
    out += kDigits[std::to_integer<std::size_t>(b >> 4U)];
    out += kDigits[std::to_integer<std::size_t>(b & std::byte{0xf})];
  }
  return out;
}

net::IpAddress Address(const char* text) { return *net::IpAddress::Parse(text); }

}  // namespace

TEST_CASE("CandidateDigest is MetalLB's", "[election]") {
  struct Case {
    std::string node;
    const char* address;
    const char* want;  // printf 'NODE#ADDRESS' | sha256sum
  };
  const std::vector<Case> cases = {
      {"iris1", "10.20.30.1", "e42ad61a4159fa2d143f5233840565a80f498b6a1e7998d68190d2a357882e2b"},
      {"iris2", "10.20.30.1", "af6cb4e7605814d2f0ccb427ae44f1981dca8e59f928a994747b78ef36224c1a"},
      {"worker-0", "192.0.2.1", "e1e3ec0204019a1f6fbd55a25a221d4c0cb470b55dd3629bff19927d78957e19"},
      // An address is written as RFC 5952 wants it, however it was written in the status.
      {"iris3", "2001:DB8:0::1",
       "449ace5e43b7e1843eb0357a42b279b517f7aebb89fe9eb52f1ceef68327c73a"},
      {"worker-1.example.org", "fd00:1:2:3:4:5:6:7",
       "924c8dd0420dee9f1e3e34bdda1bd4cd2afad41cb6b676922630efcb96b7410d"},
      {"", "0.0.0.0", "1c45e32e301ce261676287f8396837a9b448db4ba7c3094dfd85d0095594094d"},
      // The longest name that Kubernetes allows, with the longest address.
      {std::string(253, 'n'), "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
       "54bf636f1281673a193d0c86d7b9f138659a6bd24c74e9e1c3485d61fcbcc9c2"},
  };
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.node.substr(0, 30) << "#" << c.address) {
      CHECK(ToHex(CandidateDigest(c.node, Address(c.address))) == c.want);
    }
  }
}

TEST_CASE("Who comes first, second, third for an address", "[election]") {
  struct Case {
    const char* address;
    std::vector<std::string> want;
  };
  // for n in iris1 iris2 iris3 worker-0 worker-1.example.org; do
  //   echo "$(printf "$n#192.0.2.1" | sha256sum) $n"; done | sort
  const auto c = GENERATE(values<Case>({
      {"10.20.30.1", {"worker-0", "iris3", "iris2", "worker-1.example.org", "iris1"}},
      {"10.20.30.2", {"iris1", "iris2", "worker-0", "iris3", "worker-1.example.org"}},
      {"192.0.2.1", {"worker-1.example.org", "iris3", "iris2", "worker-0", "iris1"}},
      {"192.0.2.200", {"iris2", "worker-0", "iris1", "iris3", "worker-1.example.org"}},
      {"198.51.100.7", {"worker-1.example.org", "iris2", "iris3", "worker-0", "iris1"}},
      {"203.0.113.255", {"worker-1.example.org", "iris2", "iris3", "worker-0", "iris1"}},
      {"2001:db8::1", {"worker-0", "iris2", "iris3", "iris1", "worker-1.example.org"}},
      {"2001:db8:0:1::ffff", {"iris2", "iris1", "worker-0", "iris3", "worker-1.example.org"}},
      {"fd00:1:2:3:4:5:6:7", {"iris1", "worker-1.example.org", "iris3", "iris2", "worker-0"}},
  }));
  DYNAMIC_SECTION(c.address) {
    World world;
    world.ingress = {Address(c.address)};
    world.nodes.clear();
    world.speakers.clear();
    for (const char* name : {"iris1", "iris2", "iris3", "worker-0", "worker-1.example.org"}) {
      world.nodes.push_back(NodeWith(name));
      world.speakers.push_back({.node = name});
    }
    // Each time the first one dies, the next one takes over.
    for (const std::string& expected : c.want) {
      CHECK(world.Announcer() == expected);
      std::erase_if(world.speakers, [&](const Speaker& s) { return s.node == expected; });
    }
    CHECK(world.Announcer().empty());
  }
}

TEST_CASE("SortCandidates: score descending, then digest ascending", "[election]") {
  struct Case {
    const char* name;
    std::vector<Candidate> in;
    std::vector<std::string> want;
  };
  const auto c = GENERATE(values<Case>({
      {"none", {}, {}},
      {"one", {{"iris1", 0}}, {"iris1"}},
      {"two", {{"iris1", 0}, {"iris2", 0}}, {"iris2", "iris1"}},
      {"three", {{"iris1", 0}, {"iris2", 0}, {"iris3", 0}}, {"iris3", "iris2", "iris1"}},
      {"three, in another order",
       {{"iris3", 0}, {"iris1", 0}, {"iris2", 0}},
       {"iris3", "iris2", "iris1"}},
      {"equal scores that are not zero",
       {{"iris1", 7}, {"iris2", 7}, {"iris3", 7}},
       {"iris3", "iris2", "iris1"}},
      {"a higher score first",
       {{"iris1", 1}, {"iris2", 0}, {"iris3", 0}},
       {"iris1", "iris3", "iris2"}},
      {"the lowest score last",
       {{"iris1", 5}, {"iris2", 5}, {"iris3", 4}},
       {"iris2", "iris1", "iris3"}},
      {"scores alone", {{"iris1", 2}, {"iris2", 3}, {"iris3", 1}}, {"iris2", "iris1", "iris3"}},
  }));
  DYNAMIC_SECTION(c.name) {
    std::vector<Candidate> candidates = c.in;
    SortCandidates(candidates, kIp);
    std::vector<std::string> names;
    for (const Candidate& candidate : candidates) {
      names.push_back(candidate.node);
    }
    CHECK(names == c.want);
  }
}

}  // namespace stentor::speaker
