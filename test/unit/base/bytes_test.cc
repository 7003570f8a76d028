// SPDX-License-Identifier: Apache-2.0
#include "common/base/bytes.h"

#include <string_view>

#include "test/support/catch.h"

namespace stentor {
namespace {

std::vector<std::byte> Octets(std::initializer_list<int> values) {
  std::vector<std::byte> out;
  for (const int value : values) {
    out.push_back(static_cast<std::byte>(value));
  }
  return out;
}

}  // namespace

TEST_CASE("ByteReader reads integers in network order", "[bytes]") {
  const auto octets = Octets(
      {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0xff});
  ByteReader reader(octets);
  CHECK(reader.U8() == 0x01);
  CHECK(reader.U16() == 0x0203);
  CHECK(reader.U32() == 0x04050607);
  CHECK(reader.U64() == 0x08090a0b0c0d0eff);
  CHECK(reader.ok());
  CHECK(reader.rest().empty());
}

TEST_CASE("A read past the end gives zero, and spoils the reader for good", "[bytes]") {
  const auto octets = Octets({1, 2, 3});
  SECTION("an integer that is cut off") {
    ByteReader reader(octets);
    CHECK(reader.U32() == 0);
    CHECK_FALSE(reader.ok());
    CHECK(reader.U8() == 0);  // what was left is not read as something else
    CHECK_FALSE(reader.ok());
  }
  SECTION("a view that is cut off") {
    ByteReader reader(octets);
    CHECK(reader.Take(4).empty());
    CHECK_FALSE(reader.ok());
  }
  SECTION("a length that no buffer has") {
    ByteReader reader(octets);
    CHECK(reader.Take(SIZE_MAX).empty());
    CHECK_FALSE(reader.ok());
  }
  SECTION("host order") {
    ByteReader reader(octets);
    CHECK(reader.HostU32() == 0);
    CHECK_FALSE(reader.ok());
  }
  SECTION("the end itself is not past the end") {
    ByteReader reader(octets);
    CHECK(reader.Take(3).size() == 3);
    CHECK(reader.Take(0).empty());
    CHECK(reader.ok());
  }
}

TEST_CASE("Take reads octets as they are", "[bytes]") {
  const auto octets = Octets({1, 2, 3, 4, 5});
  ByteReader reader(octets);
  const Bytes taken = reader.Take(2);
  CHECK(taken.data() == octets.data());
  CHECK(taken.size() == 2);
  CHECK(reader.rest().size() == 3);
  CHECK(reader.ok());
}

TEST_CASE("ByteWriter writes what ByteReader reads", "[bytes]") {
  ByteWriter writer;
  writer.U8(0xfe)
      .U16(0x1234)
      .U32(0xdeadbeef)
      .U64(0x0102030405060708)
      .HostU16(7)
      .HostU32(8)
      .Put(AsBytes("end"));
  CHECK(writer.buffer().size() == 24);
  const auto octets = std::move(writer).Finish();
  CHECK(octets[1] == std::byte{0x12});
  CHECK(octets[3] == std::byte{0xde});
  ByteReader reader(octets);
  CHECK(reader.U8() == 0xfe);
  CHECK(reader.U16() == 0x1234);
  CHECK(reader.U32() == 0xdeadbeef);
  CHECK(reader.U64() == 0x0102030405060708);
  CHECK(reader.HostU16() == 7);
  CHECK(reader.HostU32() == 8);
  const Bytes rest = reader.Take(3);
  CHECK(std::equal(rest.begin(), rest.end(), AsBytes("end").begin()));
  CHECK(reader.ok());
}

}  // namespace stentor
