// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace stentor::speaker {

/// Which interfaces may announce an address: those with certain names, or all that are eligible.
/// Small, since there are thousands, nearly all without names; copies share them.
class AllowedInterfaces {
 public:
  using Names = std::set<std::string>;

  /// All that are eligible.
  AllowedInterfaces() = default;
  /// These, and no others; none at all where it is empty.
  [[nodiscard]] static AllowedInterfaces Only(Names names) {
    AllowedInterfaces only;
    only.names_ = std::make_shared<const Names>(std::move(names));
    return only;
  }

  [[nodiscard]] bool all() const noexcept { return names_ == nullptr; }
  /// Null where all are allowed.
  [[nodiscard]] const Names* names() const noexcept { return names_.get(); }
  /// Whether it is among names().
  [[nodiscard]] bool Named(const std::string& name) const {
    return names_ != nullptr && names_->contains(name);
  }
  /// What either of them allows.
  [[nodiscard]] AllowedInterfaces With(const AllowedInterfaces& more) const;

  friend bool operator==(const AllowedInterfaces& a, const AllowedInterfaces& b) {
    return a <=> b == 0;
  }
  friend std::strong_ordering operator<=>(const AllowedInterfaces& a, const AllowedInterfaces& b);

 private:
  std::shared_ptr<const Names> names_;
};

}  // namespace stentor::speaker
