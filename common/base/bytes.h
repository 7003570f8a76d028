// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Bounded reading and writing of octets. All integers from outside pass through ByteReader: no
/// packed structs, no casts of buffers to structs.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace stentor {

/// Octets that belong to somebody else; valid as long as their owner says.
using Bytes = std::span<const std::byte>;

/// Reads from the front of `bytes`. A read past the end returns zero or nothing and makes ok()
/// false for good, so a decoder may read a whole header and check once.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) noexcept : rest_(bytes) {}

  /// Big-endian (network order) integers.
  [[nodiscard]] std::uint8_t U8() noexcept;
  [[nodiscard]] std::uint16_t U16() noexcept;
  [[nodiscard]] std::uint32_t U32() noexcept;
  [[nodiscard]] std::uint64_t U64() noexcept;

  /// Integers in the byte order of this machine, as the kernel writes them in netlink messages.
  [[nodiscard]] std::uint16_t HostU16() noexcept;
  [[nodiscard]] std::uint32_t HostU32() noexcept;

  /// The next `count` octets, as a view; empty (and not ok) where fewer are left.
  [[nodiscard]] Bytes Take(std::size_t count) noexcept;

  /// False once a read went past the end.
  [[nodiscard]] bool ok() const noexcept { return ok_; }

  /// What has not been read yet.
  [[nodiscard]] Bytes rest() const noexcept { return rest_; }

 private:
  Bytes rest_;
  bool ok_ = true;
};

/// Appends to a growing buffer, integers in network order.
class ByteWriter {
 public:
  ByteWriter();  ///< With room for a heartbeat, so that most never grow.

  ByteWriter& U8(std::uint8_t value);
  ByteWriter& U16(std::uint16_t value);
  ByteWriter& U32(std::uint32_t value);
  ByteWriter& U64(std::uint64_t value);
  ByteWriter& HostU16(std::uint16_t value);
  ByteWriter& HostU32(std::uint32_t value);
  ByteWriter& Put(Bytes bytes);

  [[nodiscard]] const std::vector<std::byte>& buffer() const& noexcept { return buffer_; }
  [[nodiscard]] std::vector<std::byte> Finish() && noexcept { return std::move(buffer_); }

 private:
  std::vector<std::byte> buffer_;
};

/// The octets of a string, as a view on it.
[[nodiscard]] inline Bytes AsBytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace stentor
