// SPDX-License-Identifier: Apache-2.0
#include "common/io/self_signed.h"

#include <chrono>

#include "common/base/status.h"
#include "common/io/random.h"

namespace stentor::io {

absl::StatusOr<PemPair> MakeSelfSigned(const std::string& common_name) {
  using namespace std::chrono;
  const auto now = floor<seconds>(system_clock::now());
  STENTOR_ASSIGN_OR_RETURN(const crypto::PrivateKey key, crypto::PrivateKey::Generate());
  STENTOR_ASSIGN_OR_RETURN(
      const crypto::Certificate certificate,
      crypto::MakeSelfSignedServing({.common_name = common_name,
                                     .dns_names = {common_name},
                                     .not_before = now - hours(1),  // clocks of a cluster differ
                                     .not_after = now + days(3650),
                                     .serial = RandomArray<16>()},
                                    key));
  return PemPair{.certificate = certificate.Pem(), .key = key.Pem()};
}

}  // namespace stentor::io
