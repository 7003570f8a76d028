// SPDX-License-Identifier: Apache-2.0
#include "common/model/types.h"

#include <ostream>

namespace stentor::model {

std::string ObjectKey::ToString() const {
  return name_space.empty() ? name : name_space + "/" + name;
}

std::ostream& operator<<(std::ostream& out, const ObjectKey& key) { return out << key.ToString(); }

}  // namespace stentor::model
