// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/name_filter.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

TEST_CASE("The default list excludes what MetalLB's does", "[links]") {
  const auto filter = NameFilter::Compile(DefaultExcludedInterfaces());
  REQUIRE(filter.ok());
  struct Case {
    const char* name;
    bool want;
  };
  const auto c = GENERATE(values<Case>({
      {"docker0", true},      {"cbr0", true},       {"dummy0", true},
      {"virbr0-nic", true},   {"lxcbr0", true},     {"veth1a2b", true},
      {"lo", true},           {"cali12345", true},  {"tunl0", true},
      {"flannel.1", true},    {"kube-ipvs0", true}, {"cni0", true},
      {"nodelocaldns", true}, {"lxc_health", true}, {"eth0", false},
      {"lo1", false},         {"br0", false},       {"bond0.5", false},
      {"ens3", false},        {"mydocker0", false}, {"a-name-of-more-than-15", true},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(filter->Matches(c.name) == c.want); }
}

TEST_CASE("Patterns match anywhere unless they say otherwise", "[links]") {
  const auto filter = NameFilter::Compile({"th1"});
  REQUIRE(filter.ok());
  CHECK(filter->Matches("eth10"));
  CHECK_FALSE(filter->Matches("eth0"));
}

TEST_CASE("NameFilter without patterns excludes nothing", "[links]") {
  const auto filter = NameFilter::Compile({});
  REQUIRE(filter.ok());
  CHECK_FALSE(filter->Matches("lo"));
  CHECK_FALSE(NameFilter().Matches("lo"));
}

TEST_CASE("NameFilter refuses what it can't bound or compile, and names it", "[links]") {
  struct Case {
    const char* name;
    std::vector<std::string> patterns;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"open bracket", {"^eth0$", "^bad["}, "^bad["},
      {"open group", {"(a|b"}, "(a|b"},
      {"too long", {std::string(257, 'a')}, "257 characters"},
      {"too many", std::vector<std::string>(257, "a"), "257 patterns"},
      {"explodes", {"((a{1000}){1000}){1000}"}, "a{1000}"},
  }));
  DYNAMIC_SECTION(c.name) {
    const auto filter = NameFilter::Compile(c.patterns);
    REQUIRE(filter.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(filter.status().message()), Catch::Contains(c.want));
  }
}

}  // namespace
}  // namespace stentor::speaker
