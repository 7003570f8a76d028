// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// STENTOR_CHECK for broken invariants of our own: it prints what was expected, and where, and
/// aborts. A restart is cheap, since all state is rebuilt from the API; going on with a broken
/// invariant is not. What comes from outside is never checked this way (docs/architecture.md).

#include <sstream>

namespace stentor::internal {

/// Collects the message of a failed check; its destructor prints the message and aborts.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  ~CheckFailure();
  CheckFailure(const CheckFailure&) = delete;
  CheckFailure& operator=(const CheckFailure&) = delete;

  [[nodiscard]] std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

/// Makes both branches of the macro's conditional expression void.
struct Voidify {
  void operator&(const std::ostream& /*stream*/) const {}
};

}  // namespace stentor::internal

#define STENTOR_CHECK(condition)                 \
  (condition) ? static_cast<void>(0)             \
              : ::stentor::internal::Voidify() & \
                    ::stentor::internal::CheckFailure(__FILE__, __LINE__, #condition).stream()
