// SPDX-License-Identifier: Apache-2.0
#include "speaker/claims/claims.h"

#include <algorithm>
#include <string>

#include "common/base/bytes.h"
#include "common/crypto/sha256.h"

namespace stentor::speaker {

AddressKey AddressKeyOf(const net::IpAddress& address) {
  const std::string text = address.ToString();
  const crypto::Sha256Digest digest = crypto::Sha256(AsBytes(text));
  return ByteReader(digest).U64();
}

std::uint64_t DigestOf(const Claims& claims) {
  if (claims.empty()) {
    return 0;
  }
  ByteWriter text;
  for (const Claim& claim : claims) {
    text.U64(claim.address).U32(claim.epoch);
  }
  const crypto::Sha256Digest digest = crypto::Sha256(text.buffer());
  const std::uint64_t prefix = ByteReader(digest).U64();
  return prefix == 0 ? 1 : prefix;
}

std::uint32_t EpochOf(const Claims& claims, AddressKey address) {
  const auto it =
      std::lower_bound(claims.begin(), claims.end(), address,
                       [](const Claim& claim, AddressKey key) { return claim.address < key; });
  return it == claims.end() || it->address != address ? 0 : it->epoch;
}

Claims Difference(const Claims& before, const Claims& after) {
  Claims changes;
  auto old = before.begin();
  for (const Claim& claim : after) {
    for (; old != before.end() && old->address < claim.address; ++old) {
      changes.push_back({.address = old->address, .epoch = 0});
    }
    const bool known = old != before.end() && old->address == claim.address;
    if (!known || old->epoch != claim.epoch) {
      changes.push_back(claim);
    }
    old += known ? 1 : 0;
  }
  for (; old != before.end(); ++old) {
    changes.push_back({.address = old->address, .epoch = 0});
  }
  return changes;
}

Claims Changed(const Claims& before, const Claims& changes) {
  Claims after;
  after.reserve(before.size() + changes.size());
  auto old = before.begin();
  for (const Claim& change : changes) {
    for (; old != before.end() && old->address < change.address; ++old) {
      after.push_back(*old);
    }
    old += old != before.end() && old->address == change.address ? 1 : 0;
    if (change.epoch != 0) {
      after.push_back(change);
    }
  }
  after.insert(after.end(), old, before.end());
  return after;
}

}  // namespace stentor::speaker
