// SPDX-License-Identifier: Apache-2.0
#include "common/io/certificate_folder.h"

#include <sys/stat.h>

#include "common/base/status.h"
#include "common/io/key_wiper.h"
#include "common/io/read_file.h"

namespace stentor::io {
namespace {

// A folder that is replaced while it is read is read again, this often.
constexpr int kAttempts = 3;

}  // namespace

std::optional<CertificateFolder::FileVersion> CertificateFolder::VersionOf(
    const std::string& file) {
  struct stat info{};
  if (stat(file.c_str(), &info) != 0) {
    return std::nullopt;
  }
  return FileVersion{static_cast<std::int64_t>(info.st_dev), static_cast<std::int64_t>(info.st_ino),
                     info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size};
}

CertificateFolder::Versions CertificateFolder::Look() const {
  return {VersionOf(CertificatePath()), VersionOf(KeyPath())};
}

absl::StatusOr<crypto::PemPair> CertificateFolder::Read() {
  for (int attempt = 1;; ++attempt) {
    // Before the reading, so that what changes meanwhile is noticed at the next look.
    seen_ = Look();
    crypto::PemPair pair;
    STENTOR_ASSIGN_OR_RETURN(pair.certificate, ReadFile(CertificatePath(), crypto::kMaxPemOctets));
    STENTOR_ASSIGN_OR_RETURN(pair.key, ReadFile(KeyPath(), crypto::kMaxPemOctets));
    if (attempt == kAttempts || !HasChanged()) {
      return pair;
    }
    const KeyWiper wiper(pair.key);
  }
}

}  // namespace stentor::io
