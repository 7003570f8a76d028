// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/allowed_interfaces.h"

namespace stentor::speaker {

AllowedInterfaces AllowedInterfaces::With(const AllowedInterfaces& more) const {
  if (all() || more.all()) {
    return {};
  }
  Names names = *names_;
  names.insert(more.names_->begin(), more.names_->end());
  return Only(std::move(names));
}

std::strong_ordering operator<=>(const AllowedInterfaces& a, const AllowedInterfaces& b) {
  if (a.names_ == b.names_ || a.all() || b.all()) {
    return a.all() != b.all() ? b.all() <=> a.all() : std::strong_ordering::equal;
  }
  return *a.names_ <=> *b.names_;
}

}  // namespace stentor::speaker
