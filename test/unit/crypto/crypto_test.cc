// SPDX-License-Identifier: Apache-2.0

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/crypto/aead.h"
#include "common/crypto/hkdf.h"
#include "common/crypto/secret.h"
#include "common/crypto/sha256.h"
#include "test/support/catch.h"

namespace stentor::crypto {
namespace {

std::vector<std::byte> FromHex(std::string_view text) {
  std::vector<std::byte> out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

std::string ToHex(Bytes octets) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::byte b : octets) {
    out += kDigits[std::to_integer<std::size_t>(b >> 4U)];
    out += kDigits[std::to_integer<std::size_t>(b & std::byte{0xf})];
  }
  return out;
}

Secret SecretFromHex(std::string_view text) {
  std::array<std::byte, Secret::kSize> octets{};
  const std::vector<std::byte> bytes = FromHex(text);
  REQUIRE(bytes.size() == octets.size());
  std::copy(bytes.begin(), bytes.end(), octets.begin());
  return Secret(octets);
}

AeadNonce NonceFromHex(std::string_view text) {
  AeadNonce nonce{};
  const std::vector<std::byte> bytes = FromHex(text);
  REQUIRE(bytes.size() == nonce.size());
  std::copy(bytes.begin(), bytes.end(), nonce.begin());
  return nonce;
}

}  // namespace

TEST_CASE("Sha256 gives the digests of FIPS 180-4's examples", "[crypto]") {
  struct Case {
    const char* name;
    std::string message;
    const char* want;
  };
  const auto c = GENERATE(values<Case>({
      {"empty", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"one block", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"a million times a", std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  }));
  DYNAMIC_SECTION(c.name) { CHECK(ToHex(Sha256(AsBytes(c.message))) == c.want); }
}

TEST_CASE("Hkdf gives the keys of RFC 5869's examples", "[crypto]") {
  struct Case {
    const char* name;
    const char* ikm;
    const char* salt;
    const char* info;
    const char* prk;
    const char* okm;
  };
  const auto c = GENERATE(values<Case>({
      {"A.1", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
       "f0f1f2f3f4f5f6f7f8f9", "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
       "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
      {"A.3, without salt and info", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
       "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
       "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
  }));
  DYNAMIC_SECTION(c.name) {
    const Secret prk = HkdfExtract(FromHex(c.salt), FromHex(c.ikm));
    CHECK(ToHex(prk.bytes()) == c.prk);
    std::vector<std::byte> okm(42);
    HkdfExpand(prk, FromHex(c.info), okm);
    CHECK(ToHex(okm) == c.okm);
    CHECK(ToHex(HkdfExpandKey(prk, FromHex(c.info)).bytes()) ==
          std::string_view(c.okm).substr(0, 64));
  }
}

TEST_CASE("HkdfExtract takes an empty secret", "[crypto]") {
  // HMAC-SHA-256 of nothing under 32 zeros.
  CHECK(ToHex(HkdfExtract({}, {}).bytes()) ==
        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("Aead seals as RFC 8439, 2.8.2", "[crypto]") {
  Aead aead(SecretFromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
  const AeadNonce nonce = NonceFromHex("070000004041424344454647");
  const std::vector<std::byte> associated = FromHex("50515253c0c1c2c3c4c5c6c7");
  const std::string_view text =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
      "sunscreen would be it.";
  const std::vector<std::byte> sealed = aead.Seal(nonce, associated, AsBytes(text));
  CHECK(ToHex(sealed) ==
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
        "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
        "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
        "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");

  std::vector<std::byte> opened(sealed.size());
  const auto size = aead.Open(nonce, associated, sealed, opened);
  REQUIRE(size == text.size());
  CHECK(ToHex(Bytes(opened).first(*size)) == ToHex(AsBytes(text)));
}

TEST_CASE("Aead opens the example of RFC 8439, A.5", "[crypto]") {
  Aead aead(SecretFromHex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"));
  const std::vector<std::byte> sealed = FromHex(
      "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d"
      "26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1"
      "ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b"
      "5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea"
      "1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d36"
      "1094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b"
      "eead9d67890cbb22392336fea1851f38");
  std::vector<std::byte> opened(sealed.size());
  const auto size = aead.Open(NonceFromHex("000000000102030405060708"),
                              FromHex("f33388860000000000004e91"), sealed, opened);
  REQUIRE(size == 265);
  CHECK(std::string_view(reinterpret_cast<const char*>(opened.data()), 41) ==
        "Internet-Drafts are draft documents valid");
}

TEST_CASE("Aead refuses whatever was changed, and gives nothing away", "[crypto]") {
  Aead aead(SecretFromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
  Aead other(SecretFromHex("818182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
  const AeadNonce nonce = NonceFromHex("000000000000000000000001");
  const std::vector<std::byte> associated = FromHex("0102");
  std::vector<std::byte> sealed = aead.Seal(nonce, associated, AsBytes("heartbeat"));
  std::vector<std::byte> opened(64, std::byte{0x55});

  SECTION("any bit of the sealed octets") {
    for (std::size_t i = 0; i < sealed.size() * 8; ++i) {
      const std::byte bit = std::byte{1} << (i % 8);
      sealed[i / 8] ^= bit;
      CHECK_FALSE(aead.Open(nonce, associated, sealed, opened));
      sealed[i / 8] ^= bit;
    }
    CHECK(ToHex(opened) == std::string(128, '0'));
  }
  SECTION("the associated data") {
    CHECK_FALSE(aead.Open(nonce, FromHex("0103"), sealed, opened));
    CHECK_FALSE(aead.Open(nonce, {}, sealed, opened));
  }
  SECTION("the nonce") {
    CHECK_FALSE(aead.Open(NonceFromHex("000000000000000000000002"), associated, sealed, opened));
  }
  SECTION("the key") { CHECK_FALSE(other.Open(nonce, associated, sealed, opened)); }
  SECTION("the length") {
    for (std::size_t size = 0; size < sealed.size(); ++size) {
      CHECK_FALSE(aead.Open(nonce, associated, Bytes(sealed).first(size), opened));
    }
  }
  SECTION("nothing") { CHECK(aead.Open(nonce, associated, sealed, opened) == 9); }
}

TEST_CASE("Aead seals nothing, and can be moved", "[crypto]") {
  Aead first(SecretFromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
  Aead aead;
  aead = std::move(first);
  const std::vector<std::byte> sealed = aead.Seal({}, {}, {});
  CHECK(sealed.size() == kAeadTagSize);
  std::vector<std::byte> opened(sealed.size());
  CHECK(aead.Open({}, {}, sealed, opened) == 0);
}

TEST_CASE("Secret is wiped where it was moved from", "[crypto]") {
  Secret secret = SecretFromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const Secret moved = std::move(secret);
  CHECK(ToHex(moved.bytes()).substr(0, 8) == "80818283");
  CHECK(ToHex(secret.bytes()) == std::string(64, '0'));  // NOLINT(bugprone-use-after-move)
}

}  // namespace stentor::crypto
