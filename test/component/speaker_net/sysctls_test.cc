// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/sysctls.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

// A folder like /proc/sys/net/ipv4/conf, which goes with it.
class Sysctls {
 public:
  Sysctls() {
    std::string name = (std::filesystem::temp_directory_path() / "sysctls-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    root_ = name;
  }
  ~Sysctls() { std::filesystem::remove_all(root_); }
  Sysctls(const Sysctls&) = delete;
  Sysctls& operator=(const Sysctls&) = delete;

  void Write(const std::string& interface, const std::string& ignore, const std::string& announce) {
    std::filesystem::create_directories(root_ / interface);
    std::ofstream(root_ / interface / "arp_ignore") << ignore;
    std::ofstream(root_ / interface / "arp_announce") << announce;
  }
  [[nodiscard]] std::optional<ArpSysctls> Read(const std::vector<std::string>& interfaces) const {
    return ReadArpSysctls(interfaces, root_.string());
  }

 private:
  std::filesystem::path root_;
};

}  // namespace

TEST_CASE("The kernel's ARP settings are read", "[sysctls]") {
  Sysctls sysctls;
  sysctls.Write("all", "1\n", "2\n");
  sysctls.Write("eth0", "0\n", "1\n");
  sysctls.Write("eth0.100", "8\n", "0\n");
  CHECK(sysctls.Read({}) == ArpSysctls{.all = {.ignore = 1, .announce = 2}, .by_interface = {}});
  CHECK(sysctls.Read({"eth0", "eth0.100"}) ==
        ArpSysctls{.all = {.ignore = 1, .announce = 2},
                   .by_interface = {{"eth0", {.ignore = 0, .announce = 1}},
                                    {"eth0.100", {.ignore = 8, .announce = 0}}}});
  SECTION("an interface that has gone is left out") {
    CHECK(sysctls.Read({"eth7"})->by_interface.empty());
  }
  SECTION("as is one that can't be read") {
    sysctls.Write("eth0", "", "0");
    sysctls.Write("eth1", "x\n", "0");
    sysctls.Write("eth2", "0\n", "1x\n");
    sysctls.Write("eth3", "0\n", "99999999999\n");
    sysctls.Write("eth4", "0\n", std::string(100, '1'));
    CHECK(sysctls.Read({"eth0", "eth1", "eth2", "eth3", "eth4"})->by_interface.empty());
  }
  SECTION("without a line feed") {
    sysctls.Write("eth0", "1", "2");
    CHECK(sysctls.Read({"eth0"})->by_interface.at("eth0") == ArpSysctl{.ignore = 1, .announce = 2});
  }
}

TEST_CASE("Nothing is known without the settings of all", "[sysctls]") {
  Sysctls sysctls;
  sysctls.Write("eth0", "0\n", "0\n");
  CHECK_FALSE(sysctls.Read({"eth0"}));
}

TEST_CASE("This kernel's settings can be read", "[sysctls]") {
  const auto read = ReadArpSysctls({"lo", "no-such-link"});
  REQUIRE(read);
  CHECK(read->by_interface.size() == 1);
  CHECK(read->by_interface.contains("lo"));
}

}  // namespace stentor::speaker
