// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace stentor::test {

/// A certificate and its key, both PEM.
struct Identity {
  std::string certificate;
  std::string key;
};

/// A throw-away certificate authority with P-256 keys; valid for a day.
class TestAuthority {
 public:
  TestAuthority();

  [[nodiscard]] const std::string& certificate() const { return self_.certificate; }
  /// A leaf with `alternative_name` in OpenSSL's form ("IP:127.0.0.1", "DNS:api.example").
  [[nodiscard]] Identity Issue(const std::string& common_name,
                               const std::string& alternative_name) const;

 private:
  Identity self_;
};

}  // namespace stentor::test
