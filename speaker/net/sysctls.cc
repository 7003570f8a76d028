// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/sysctls.h"

#include <charconv>
#include <string_view>

#include "common/base/strings.h"
#include "common/io/read_file.h"

namespace stentor::speaker {
namespace {

constexpr std::size_t kMaxOctets = 64;  // of a number and a line feed

std::optional<int> ReadNumber(const std::string& path) {
  const auto content = io::ReadFile(path, kMaxOctets);
  if (!content.ok()) {
    return std::nullopt;
  }
  int value = 0;
  const char* const end = content->data() + content->size();
  const auto parsed = std::from_chars(content->data(), end, value);
  if (parsed.ec != std::errc() || (parsed.ptr != end && *parsed.ptr != '\n')) {
    return std::nullopt;
  }
  return value;
}

std::optional<ArpSysctl> ReadOne(const std::string& root, std::string_view name) {
  const std::string folder = StrCat(root, "/", name);
  const auto ignore = ReadNumber(folder + "/arp_ignore");
  const auto announce = ReadNumber(folder + "/arp_announce");
  if (!ignore || !announce) {
    return std::nullopt;
  }
  return ArpSysctl{.ignore = *ignore, .announce = *announce};
}

}  // namespace

std::optional<ArpSysctls> ReadArpSysctls(const std::vector<std::string>& interfaces,
                                         const std::string& root) {
  const auto all = ReadOne(root, "all");
  if (!all) {
    return std::nullopt;
  }
  ArpSysctls sysctls{.all = *all, .by_interface = {}};
  for (const std::string& name : interfaces) {
    if (const auto one = ReadOne(root, name)) {  // no name of an interface has a slash
      sysctls.by_interface.emplace(name, *one);
    }
  }
  return sysctls;
}

}  // namespace stentor::speaker
