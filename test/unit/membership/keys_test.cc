// SPDX-License-Identifier: Apache-2.0
#include "speaker/membership/keys.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

const std::vector<std::string> kSecret = {"secret"};

}  // namespace

TEST_CASE("A channel opens only what was sealed for its pair, boot and counter", "[membership]") {
  const Keyring keyring(kSecret);
  const KeyId key = keyring.sealing_key();
  Channel sender = keyring.MakeChannel(key, 1, "a", "b");
  const std::vector<std::byte> sealed = sender.Seal(5, AsBytes("header"), AsBytes("body"));
  std::vector<std::byte> out(sealed.size());
  struct Case {
    const char* name;
    BootId boot;
    const char* from;
    const char* to;
    std::uint64_t counter;
    const char* header;
    bool opens;
  };
  const auto c = GENERATE(values<Case>({
      {"the same", 1, "a", "b", 5, "header", true},
      {"another boot", 2, "a", "b", 5, "header", false},
      {"another sender", 1, "c", "b", 5, "header", false},
      {"another recipient", 1, "a", "c", 5, "header", false},
      {"back to its sender", 1, "b", "a", 5, "header", false},
      {"another counter", 1, "a", "b", 6, "header", false},
      {"another header", 1, "a", "b", 5, "hEader", false},
  }));
  DYNAMIC_SECTION(c.name) {
    Channel receiver = keyring.MakeChannel(key, c.boot, c.from, c.to);
    CHECK(receiver.Open(c.counter, AsBytes(c.header), sealed, out).has_value() == c.opens);
  }
}

TEST_CASE("A keyring seals under its first secret and opens under all", "[membership]") {
  const Keyring before(kSecret);
  const Keyring during(std::vector<std::string>{"new", "secret"});
  const Keyring after(std::vector<std::string>{"new"});
  CHECK(during.sealing_key() == after.sealing_key());
  CHECK(during.Has(before.sealing_key()));
  CHECK_FALSE(after.Has(before.sealing_key()));
  Channel sender = before.MakeChannel(before.sealing_key(), 1, "a", "b");
  const std::vector<std::byte> sealed = sender.Seal(1, {}, AsBytes("x"));
  std::vector<std::byte> out(sealed.size());
  CHECK(during.MakeChannel(before.sealing_key(), 1, "a", "b").Open(1, {}, sealed, out));
}

TEST_CASE("A keyring without a secret works but says that it doesn't authenticate",
          "[membership]") {
  const Keyring none(std::vector<std::string>{});
  const Keyring empty(std::vector<std::string>{""});
  CHECK_FALSE(none.authenticated());
  CHECK_FALSE(empty.authenticated());
  CHECK(none.sealing_key() == empty.sealing_key());
  CHECK(Keyring(kSecret).authenticated());
}

TEST_CASE("ReplayWindow takes each counter once, and none that is too old", "[membership]") {
  ReplayWindow window;
  CHECK_FALSE(window.IsNew(0));
  const auto accept = [&window](std::uint64_t counter) {
    const bool is_new = window.IsNew(counter);
    if (is_new) {
      window.Mark(counter);
    }
    return is_new;
  };
  CHECK(accept(1));
  CHECK_FALSE(accept(1));
  CHECK(accept(3));
  CHECK(accept(2));
  CHECK_FALSE(accept(2));
  CHECK_FALSE(accept(3));
  CHECK(accept(100));
  CHECK(accept(37));
  CHECK_FALSE(accept(36));  // 64 behind
  CHECK(accept(99));
  CHECK(accept(1'000'000));
  CHECK_FALSE(accept(100));
  CHECK(window.IsNewest(1'000'001));
  CHECK_FALSE(window.IsNewest(1'000'000));
  CHECK(accept(~std::uint64_t{0}));
  CHECK_FALSE(accept(~std::uint64_t{0}));
}

}  // namespace stentor::speaker
