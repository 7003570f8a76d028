// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Network namespaces for tests of sockets. They have no name: they end with the object, or with
/// the process, whatever kills it.

#include <string>

#include "common/base/unique_fd.h"

namespace stentor::test {

/// Empty where this process may make network namespaces; else what is missing.
[[nodiscard]] std::string WhyNoNamespaces();

/// A network namespace of its own, with nothing in it but `lo`.
class Namespace {
 public:
  Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_.Get(); }

  /// Runs a shell command in it; `{peer}` stands for the file of the other namespace. The test
  /// fails where the command does.
  void Run(const std::string& command, const Namespace* peer = nullptr) const;

  /// What a command prints.
  [[nodiscard]] std::string Output(const std::string& command) const;

 private:
  UniqueFd fd_;
};

/// The calling thread is in `where` for as long as this lives: sockets made meanwhile belong there.
class Inside {
 public:
  explicit Inside(const Namespace& where);
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  UniqueFd home_;
};

}  // namespace stentor::test

/// Ends the test case with a line that ctest counts as skipped, or as failed where CI demands all.
#define STENTOR_REQUIRE_NAMESPACES()                                     \
  do {                                                                   \
    const std::string stentor_why_ = ::stentor::test::WhyNoNamespaces(); \
    if (!stentor_why_.empty()) {                                         \
      if (std::getenv("CI") != nullptr) {                                \
        FAIL(stentor_why_);                                              \
      }                                                                  \
      std::puts(("SKIPPED: " + stentor_why_).c_str());                   \
      return;                                                            \
    }                                                                    \
  } while (false)
