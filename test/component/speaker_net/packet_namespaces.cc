// SPDX-License-Identifier: Apache-2.0
#include "test/component/speaker_net/packet_namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "test/support/catch.h"

namespace stentor::test {
namespace {

constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";

UniqueFd OpenOwn() {
  UniqueFd fd(open(kOwnNamespace, O_RDONLY | O_CLOEXEC));
  if (!fd.IsOpen()) {
    throw std::system_error(errno, std::generic_category(), kOwnNamespace);
  }
  return fd;
}

void Enter(int fd) {
  if (setns(fd, CLONE_NEWNET) != 0) {
    throw std::system_error(errno, std::generic_category(), "setns");
  }
}

std::string FileOf(const Namespace& other) {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(other.fd());
}

}  // namespace

std::string WhyNoNamespaces() {
  try {
    const Namespace probe;
    return "";
  } catch (const std::system_error& error) {
    return std::string("network namespaces can't be made: ") + error.what() + " (root is needed)";
  }
}

Namespace::Namespace() {
  const UniqueFd home = OpenOwn();
  if (unshare(CLONE_NEWNET) != 0) {
    throw std::system_error(errno, std::generic_category(), "unshare");
  }
  fd_ = OpenOwn();
  Enter(home.Get());
}

void Namespace::Run(const std::string& command, const Namespace* peer) const {
  std::string text = command;
  if (const std::size_t at = text.find("{peer}"); peer != nullptr && at != std::string::npos) {
    text.replace(at, 6, FileOf(*peer));
  }
  static_cast<void>(Output(text));
}

std::string Namespace::Output(const std::string& command) const {
  const Inside inside(*this);
  FILE* pipe = popen(("exec 2>&1; " + command).c_str(), "re");
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 512> part{};
  while (fgets(part.data(), part.size(), pipe) != nullptr) {
    text += part.data();
  }
  const int status = pclose(pipe);
  INFO(command << "\n" << text);
  REQUIRE(status == 0);
  return text;
}

Inside::Inside(const Namespace& where) : home_(OpenOwn()) { Enter(where.fd()); }

Inside::~Inside() {
  if (setns(home_.Get(), CLONE_NEWNET) != 0) {
    std::terminate();  // every later test would run in the wrong network
  }
}

}  // namespace stentor::test
