// SPDX-License-Identifier: Apache-2.0
#include "common/config/sources.h"

#include <string>

#include "test/support/catch.h"

namespace stentor::config {
namespace {

using enum Source;

const model::ObjectKey kMap{"m", "config"};
const model::ObjectKey kPool{"m", "p"};
constexpr const char* kYaml =
    "address-pools: [{name: old, protocol: layer2, addresses: [203.0.113.0/28]}]";

model::IpAddressPoolResource PoolOf(const std::string& addresses) {
  model::IpAddressPoolResource pool;
  pool.key = kPool;
  pool.addresses = {addresses};
  return pool;
}

// How a source answers: 'r' read, '4' refused, '.' not yet.
struct Setup {
  Sources sources;

  explicit Setup(const char* answers, bool speaker = true, bool named = false)
      : sources({.config_map = kMap,
                 .config_map_named = named,
                 .with_advertisements = speaker,
                 .leave_out_unreadable = speaker}) {
    for (std::size_t i = 0; i < kSourceCount; ++i) {
      if (answers[i] == 'r') {
        sources.Synced(static_cast<Source>(i));
      } else if (answers[i] == '4') {
        sources.Refused(static_cast<Source>(i));
      }
    }
  }

  void Map(const char* text) {
    sources.SetConfigMap(kMap, model::ConfigMapEntry{.key = kMap, .text = text});
  }
  void Believe(Source source) {
    for (int i = 0; i < 5; ++i) {
      sources.Refused(source);
    }
  }
  // The names of the pools that are in force now; "!" and the error where there is one; "-":
  // nothing changed, or there is nothing to say yet.
  std::string Take() {
    const auto config = sources.Take();
    if (!config) {
      return "-";
    }
    if (!config->ok()) {
      return "!" + std::string(config->status().message());
    }
    last = **config;
    std::string names;
    for (const Pool& pool : last.pools) {
      names += (names.empty() ? "" : " ") + pool.name;
    }
    return names;
  }
  Config last;
};

}  // namespace

TEST_CASE("Whether a configuration can be made of what is read and refused", "[sources]") {
  struct Case {
    const char* name;
    const char* answers;  // IPAddressPool, L2Advertisement, AddressPool, ConfigMap
    bool pool;            // there is an IPAddressPool
    bool older;           // there is an AddressPool
    const char* map;      // there is a ConfigMap
    Readiness speaker;
    Readiness controller;
    bool settled;        // of the speaker
    bool named = false;  // --config is given, as in manifests of that time
  };
  using enum Readiness;
  const auto c = GENERATE(values<Case>({
      {"nothing yet", "....", false, false, nullptr, kWaiting, kWaiting, false},
      {"the controller does not wait for advertisements", "r.rr", true, false, nullptr, kWaiting,
       kReady, false},
      {"one is outstanding", "rrr.", true, false, nullptr, kWaiting, kWaiting, false},
      {"all read, no pool defined yet", "rrrr", false, false, nullptr, kReady, kReady, true},
      {"0.9.5: a ConfigMap, nothing else", "444r", false, false, kYaml, kReady, kReady, true, true},
      {"a ConfigMap that was left behind says nothing of what else there is", "444r", false, false,
       kYaml, kBlocked, kBlocked, false},
      {"0.9.5 before there is a ConfigMap", "444r", false, false, nullptr, kBlocked, kBlocked,
       false},
      {"0.9.5 with an empty ConfigMap", "444r", false, false, "address-pools: []", kBlocked,
       kBlocked, false},
      {"a ConfigMap that is wrong is told of", "444r", false, false, "[", kReady, kReady, true,
       true},
      {"no rights at all", "4444", false, false, nullptr, kBlocked, kBlocked, false},
      {"0.13.12: AddressPool", "rrr4", false, true, nullptr, kReady, kReady, true},
      {"today: no AddressPool", "rr44", true, false, nullptr, kReady, kReady, true},
      {"today, before there is a pool", "rr44", false, false, nullptr, kBlocked, kBlocked, true},
      {"a speaker that knew only the pools would be silent", "r4rr", true, false, nullptr, kBlocked,
       kReady, false},
      {"advertisements are not missed where no pool needs them", "r4rr", false, true, nullptr,
       kReady, kReady, true},
  }));
  DYNAMIC_SECTION(c.name) {
    for (const bool speaker : {true, false}) {
      Setup s(c.answers, speaker, c.named);
      if (c.pool) {
        s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
      }
      if (c.older) {
        s.sources.SetAddressPool(
            kPool, model::AddressPoolResource{
                       .key = kPool, .protocol = "layer2", .addresses = {"198.51.100.0/28"}});
      }
      if (c.map != nullptr) {
        s.Map(c.map);
      }
      CHECK(s.sources.readiness() == (speaker ? c.speaker : c.controller));
      if (speaker) {
        CHECK(s.sources.Settled() == c.settled);
      }
      CHECK((s.Take() == "-") == (s.sources.readiness() != kReady));
    }
  }
}

TEST_CASE("What nothing goes on without is missed, the rest is done without", "[sources]") {
  Setup s("4444", true, true);
  CHECK(s.sources.Misses(kPools));
  CHECK(s.sources.Misses(kAdvertisements));
  CHECK_FALSE(s.sources.Misses(kAddressPools));
  CHECK_FALSE(s.sources.Misses(kConfigMap));
  s.sources.Synced(kConfigMap);
  s.Map(kYaml);
  CHECK_FALSE(s.sources.Misses(kPools));
}

TEST_CASE("A refusal takes nothing away that was read", "[sources]") {
  Setup s("rrrr");
  s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
  CHECK(s.Take() == "p");
  s.Believe(kPools);
  CHECK(s.Take() == "-");
  CHECK(s.sources.readiness() == Readiness::kReady);
  s.Map(kYaml);
  CHECK(s.Take() == "old p");
  CHECK_FALSE(s.last.pools_may_be_missing);
}

TEST_CASE("While a refusal is fresh, pools may be missing", "[sources]") {
  Setup s("rr4r");
  s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
  CHECK(s.Take() == "p");
  CHECK(s.last.pools_may_be_missing);
  SECTION("until it is believed") {
    s.sources.Refused(kAddressPools);
    s.sources.Refused(kAddressPools);
    CHECK(s.Take() == "-");
    s.sources.Refused(kAddressPools);
    CHECK(s.Take() == "p");
    CHECK_FALSE(s.last.pools_may_be_missing);
    s.sources.Refused(kAddressPools);
    CHECK(s.Take() == "-");
  }
  SECTION("or it is read after all") {
    s.sources.SetAddressPool(
        {"m", "q"}, model::AddressPoolResource{
                        .key = {"m", "q"}, .protocol = "layer2", .addresses = {"192.0.2.64/28"}});
    s.sources.Synced(kAddressPools);
    CHECK(s.Take() == "p q");
    CHECK_FALSE(s.last.pools_may_be_missing);
  }
}

TEST_CASE("Rights come back one after the other: then all refusals are fresh again", "[sources]") {
  Setup s("444r", false);
  for (const Source source : {kPools, kAdvertisements, kAddressPools}) {
    s.Believe(source);
  }
  CHECK(s.Take() == "-");
  s.sources.SetAddressPool(
      {"m", "q"}, model::AddressPoolResource{
                      .key = {"m", "q"}, .protocol = "layer2", .addresses = {"192.0.2.64/28"}});
  s.sources.Synced(kAddressPools);
  CHECK(s.Take() == "q");
  CHECK(s.last.pools_may_be_missing);
}

TEST_CASE("What a speaker has in force stays until it knows advertisements beside pools",
          "[sources]") {
  Setup s("444r", true, true);
  s.Map(kYaml);
  CHECK(s.Take() == "old");
  s.sources.SetPool(kPool, PoolOf("203.0.113.0/28"));
  s.sources.Synced(kPools);
  CHECK(s.Take() == "-");
  CHECK(s.sources.Settled());
  CHECK(s.sources.Misses(kAdvertisements));
  s.sources.Synced(kAdvertisements);
  CHECK(s.Take() == "p");
}

TEST_CASE("Pages of a list that was refused before its end are not believed", "[sources]") {
  Setup s(".rrr", true, true);
  s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
  s.sources.Refused(kPools);
  CHECK(s.sources.readiness() == Readiness::kBlocked);
  s.Map(kYaml);
  CHECK(s.Take() == "old");
  s.sources.Synced(kPools);
  CHECK(s.Take() == "old p");
}

TEST_CASE("The last custom pool's end is an end, a ConfigMap's is an accident", "[sources]") {
  SECTION("a deleted pool") {
    Setup s("rrrr");
    s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
    CHECK(s.Take() == "p");
    s.sources.Delete(kPools, kPool);
    CHECK(s.Take().empty());
  }
  SECTION("a deleted ConfigMap") {
    Setup s("444r", true, true);
    s.Map(kYaml);
    CHECK(s.Take() == "old");
    s.sources.Delete(kConfigMap, {"m", "another"});
    CHECK(s.Take() == "old");
    s.sources.Delete(kConfigMap, kMap);
    CHECK_THAT(s.Take(), Catch::StartsWith("!the ConfigMap m/config is gone or empty"));
    s.Map("address-pools: []");
    CHECK(s.Take().empty());
  }
  SECTION("an emptied ConfigMap") {
    Setup s("444r", true, true);
    s.Map(kYaml);
    CHECK(s.Take() == "old");
    s.Map(" \n");
    CHECK_THAT(s.Take(), Catch::StartsWith("!the ConfigMap m/config is gone or empty"));
    s.Map(kYaml);
    CHECK(s.Take() == "old");
  }
  SECTION("a ConfigMap whose pools have been written anew") {
    Setup s("rrrr");
    s.Map(kYaml);
    CHECK(s.Take() == "old");
    s.sources.SetPool(kPool, PoolOf("203.0.113.0/28"));
    CHECK(s.Take() == "p");
    s.sources.Delete(kConfigMap, kMap);
    CHECK(s.Take() == "p");
    s.sources.Delete(kPools, kPool);
    CHECK(s.Take().empty());
  }
}

TEST_CASE("A broken ConfigMap that was left behind keeps nobody from starting", "[sources]") {
  const char* text = GENERATE("[", "address-pools: [{name: x, protocol: layer2, addresses: [y]}]");
  SECTION("where custom resources define pools") {
    Setup s("rrrr");
    s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
    s.Map(text);
    CHECK(s.Take() == "p");
    REQUIRE(s.last.remarks.size() == 1);
    CHECK_THAT(s.last.remarks[0], Catch::StartsWith("the ConfigMap m/config is left out: "));
    CHECK(s.last.older_form == OlderForm::kConfigMap);
    s.sources.SetPool(kPool, PoolOf("192.0.2.0/27"));
    CHECK(s.Take() == "p");  // nor later on
    s.Map(kYaml);
    CHECK(s.Take() == "old p");
    s.Map(text);  // what was in force is not given up for a mistake
    CHECK(s.Take().front() == '!');
  }
  SECTION("but not where --config names it") {
    Setup s("rrrr", true, true);
    s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
    s.Map(text);
    CHECK(s.Take().front() == '!');
  }
  SECTION("nor where there is nothing else") {
    Setup s("rrrr");
    s.Map(text);
    CHECK(s.Take().front() == '!');
  }
}

TEST_CASE("An object that can't be decoded makes the set stale", "[sources]") {
  const absl::Status why =
      absl::InvalidArgumentError("IPAddressPool m/bad: spec: expected an object");
  Setup s("rrrr", GENERATE(true, false));
  s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
  CHECK(s.Take() == "p");
  s.sources.SetPool({"m", "bad"}, why);
  CHECK(s.Take() == "!" + std::string(why.message()));
  s.sources.Delete(kPools, {"m", "bad"});
  CHECK(s.Take() == "p");
}

TEST_CASE("At the start, a speaker leaves out what it can't decode", "[sources]") {
  const bool speaker = GENERATE(true, false);
  Setup s("rrrr", speaker);
  s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
  s.sources.SetPool({"m", "bad"}, absl::InvalidArgumentError("bad"));
  CHECK(s.Take() == (speaker ? "p" : "!bad"));
}

TEST_CASE("A pool that did not change makes nothing new", "[sources]") {
  Setup s("rrrr");
  s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));
  CHECK(s.Take() == "p");
  s.sources.SetPool(kPool, PoolOf("192.0.2.0/28"));  // its status did
  CHECK(s.Take() == "-");
}

}  // namespace stentor::config
