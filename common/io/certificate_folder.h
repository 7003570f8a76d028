// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/crypto/x509.h"

namespace stentor::io {

/// A folder with tls.crt and tls.key, as kubelets mount a Secret: each is a symbolic link into a
/// folder that they replace as a whole. Not thread-safe.
class CertificateFolder {
 public:
  explicit CertificateFolder(std::string path) : path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const { return path_; }

  /// Whether a file is another one than at the last Read(). Looks, and reads nothing.
  [[nodiscard]] bool HasChanged() const { return Look() != seen_; }

  /// Both files, of one moment. Wiping the key is the caller's. Errors: NotFound, PermissionDenied,
  /// FailedPrecondition, with the file.
  [[nodiscard]] absl::StatusOr<crypto::PemPair> Read();

 private:
  // What tells one version of a file from the next.
  using FileVersion = std::array<std::int64_t, 5>;
  using Versions = std::pair<std::optional<FileVersion>, std::optional<FileVersion>>;

  [[nodiscard]] Versions Look() const;
  [[nodiscard]] static std::optional<FileVersion> VersionOf(const std::string& file);
  [[nodiscard]] std::string CertificatePath() const { return path_ + "/tls.crt"; }
  [[nodiscard]] std::string KeyPath() const { return path_ + "/tls.key"; }

  const std::string path_;
  Versions seen_;
};

}  // namespace stentor::io
