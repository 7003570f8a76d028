// SPDX-License-Identifier: Apache-2.0
#include "common/base/bytes.h"

#include <array>
#include <cstring>

namespace stentor {
namespace {

template <typename Integer>
Integer BigEndian(Bytes bytes) noexcept {
  std::uint64_t value = 0;
  for (const std::byte b : bytes) {
    value = (value << 8U) | std::to_integer<std::uint64_t>(b);
  }
  return static_cast<Integer>(value);
}

template <typename Integer>
Integer HostOrder(Bytes bytes) noexcept {
  Integer value = 0;
  if (bytes.size() == sizeof(value)) {
    std::memcpy(&value, bytes.data(), sizeof(value));
  }
  return value;
}

// The header of a heartbeat fits, its body, and all of it.
constexpr std::size_t kUsualSize = 128;

template <typename Integer>
void AppendBigEndian(std::vector<std::byte>& buffer, Integer value) {
  std::array<std::byte, sizeof(value)> octets;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets[i] = static_cast<std::byte>(value >> (8U * (octets.size() - 1 - i)));
  }
  buffer.insert(buffer.end(), octets.begin(), octets.end());
}

}  // namespace

std::uint8_t ByteReader::U8() noexcept { return BigEndian<std::uint8_t>(Take(1)); }
std::uint16_t ByteReader::U16() noexcept { return BigEndian<std::uint16_t>(Take(2)); }
std::uint32_t ByteReader::U32() noexcept { return BigEndian<std::uint32_t>(Take(4)); }
std::uint64_t ByteReader::U64() noexcept { return BigEndian<std::uint64_t>(Take(8)); }
std::uint16_t ByteReader::HostU16() noexcept { return HostOrder<std::uint16_t>(Take(2)); }
std::uint32_t ByteReader::HostU32() noexcept { return HostOrder<std::uint32_t>(Take(4)); }

Bytes ByteReader::Take(std::size_t count) noexcept {
  if (count > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const Bytes taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

ByteWriter::ByteWriter() { buffer_.reserve(kUsualSize); }

ByteWriter& ByteWriter::U8(std::uint8_t value) {
  AppendBigEndian(buffer_, value);
  return *this;
}
ByteWriter& ByteWriter::U16(std::uint16_t value) {
  AppendBigEndian(buffer_, value);
  return *this;
}
ByteWriter& ByteWriter::U32(std::uint32_t value) {
  AppendBigEndian(buffer_, value);
  return *this;
}
ByteWriter& ByteWriter::U64(std::uint64_t value) {
  AppendBigEndian(buffer_, value);
  return *this;
}
ByteWriter& ByteWriter::HostU16(std::uint16_t value) {
  return Put(std::as_bytes(std::span(&value, 1)));
}
ByteWriter& ByteWriter::HostU32(std::uint32_t value) {
  return Put(std::as_bytes(std::span(&value, 1)));
}
ByteWriter& ByteWriter::Put(Bytes bytes) {
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return *this;
}

}  // namespace stentor
