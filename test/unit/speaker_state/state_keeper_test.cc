// SPDX-License-Identifier: Apache-2.0
#include "speaker/state/state_keeper.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/speaker_state/examples.h"

namespace stentor::speaker {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{std::chrono::hours(1)};

StateKeeper::Sources SourcesOf(const SavedState& state) {
  return {.services = [&state](const auto& visit) { std::ranges::for_each(state.services, visit); },
          .slices = [&state](const auto& visit) { std::ranges::for_each(state.slices, visit); }};
}

const SavedState kNothing;

void Fill(StateKeeper& keeper, const SavedState& state) {
  const auto upsert = [&keeper](const auto& objects) {
    for (const auto& object : objects) {
      keeper.Upsert(object);
    }
  };
  upsert(state.nodes);
  upsert(state.pods);
  upsert(state.pools);
  upsert(state.advertisements);
  upsert(state.address_pools);
  if (state.config_map) {
    keeper.Upsert(*state.config_map);
  }
}

// One that has written what it had.
struct Written {
  explicit Written(const SavedState& state = ExampleState()) : known(state) {
    Fill(keeper, state);
    keeper.Complete();
    REQUIRE(keeper.Poll(kStart, kSaved));
    keeper.OnWritten(kStart, absl::OkStatus());
  }
  SavedState known;
  StateKeeper keeper{kIdentity, SourcesOf(known)};
};

SavedState Read(const std::string& text) {
  const auto state = Decode(text, kIdentity);
  REQUIRE(state.ok());
  return *state;
}

}  // namespace

TEST_CASE("Nothing is written before everything is known, then at once", "[state]") {
  const SavedState expected = ExampleState();
  StateKeeper keeper(kIdentity, SourcesOf(expected));
  Fill(keeper, expected);
  CHECK_FALSE(keeper.NextDeadline());
  CHECK_FALSE(keeper.Poll(kStart + 1h, kSaved));
  keeper.Complete();
  REQUIRE(keeper.NextDeadline());
  CHECK(*keeper.NextDeadline() <= kStart);
  const auto bytes = keeper.Poll(kStart, kSaved);
  REQUIRE(bytes);
  CHECK(keeper.octets() == bytes->size());
  CHECK(Read(*bytes) == expected);
}

TEST_CASE("It is written once", "[state]") {
  Written w;
  CHECK(w.keeper.clean());
  CHECK_FALSE(w.keeper.NextDeadline());
  CHECK_FALSE(w.keeper.Poll(kStart + 1h, kSaved));
}

TEST_CASE("What is worth a write", "[state]") {
  struct Case {
    const char* name;
    std::function<void(StateKeeper&)> change;
    bool written;
  };
  const auto c = GENERATE(values<Case>({
      {"all of it once more", [](StateKeeper& k) { Fill(k, ExampleState()); }, false},
      {"a label of a node",
       [](StateKeeper& k) { k.Upsert(model::Node{.name = "n2", .labels = {{"a", "b"}}}); }, true},
      {"a Service, or a slice", [](StateKeeper& k) { k.NoteSourcesChanged(); }, true},
      {"a node that is not known goes",
       [](StateKeeper& k) { k.Delete(Resource::kNodes, {"", "x"}); }, false},
      {"a node goes", [](StateKeeper& k) { k.Delete(Resource::kNodes, {"", "n2"}); }, true},
      {"a pod goes", [](StateKeeper& k) { k.Delete(Resource::kPods, {"ns", "speaker-a"}); }, true},
      {"a pool goes", [](StateKeeper& k) { k.Delete(Resource::kPools, {"ns", "first"}); }, true},
      {"the ConfigMap goes",
       [](StateKeeper& k) { k.Delete(Resource::kConfigMap, {"ns", "config"}); }, true},
  }));
  DYNAMIC_SECTION(c.name) {
    Written w;
    c.change(w.keeper);
    CHECK(w.keeper.Poll(kStart + 1h, kSaved).has_value() == c.written);
  }
}

TEST_CASE("Services and slices are saved as they are when it is written", "[state]") {
  Written w;
  w.known.slices[0].endpoints.clear();
  w.known.services.pop_back();
  w.keeper.NoteSourcesChanged();
  CHECK(Read(*w.keeper.Poll(kStart + 1h, kSaved)) == w.known);
}

TEST_CASE("At most one write a second, the last one true", "[state]") {
  Written w;
  int writes = 0;
  std::string last;
  for (int i = 0; i <= 1000; ++i) {  // ten seconds
    w.keeper.Upsert(model::Node{.name = "n1", .labels = {{"i", std::to_string(i)}}});
    const TimePoint now = kStart + i * 10ms;
    if (auto bytes = w.keeper.Poll(now, kSaved)) {
      ++writes;
      last = *std::move(bytes);
      w.keeper.OnWritten(now, absl::OkStatus());
    }
  }
  CHECK(writes == 10);
  CHECK(w.keeper.clean());
  CHECK(Read(last).nodes[0].labels.at("i") == "1000");
}

TEST_CASE("A large state is written less often", "[state]") {
  SavedState large;
  for (int i = 0; i < 10; ++i) {
    large.nodes.push_back(
        {.name = std::to_string(i), .labels = {{"a", std::string(std::size_t{1} << 20U, 'x')}}});
  }
  Written w(large);
  w.keeper.Upsert(model::Node{.name = "n1"});
  REQUIRE(w.keeper.NextDeadline());
  CHECK(*w.keeper.NextDeadline() == kStart + 11s);
}

TEST_CASE("While a write is under way, another waits", "[state]") {
  StateKeeper keeper(kIdentity, SourcesOf(kNothing));
  keeper.Complete();
  REQUIRE(keeper.Poll(kStart, kSaved));
  keeper.Upsert(model::Node{.name = "n1"});
  CHECK_FALSE(keeper.NextDeadline());
  CHECK_FALSE(keeper.Poll(kStart + 1h, kSaved));
  keeper.OnWritten(kStart + 1h, absl::OkStatus());
  const auto bytes = keeper.Poll(kStart + 1h, kSaved);
  REQUIRE(bytes);
  CHECK(Read(*bytes).nodes.size() == 1);
}

TEST_CASE("The disk is full: told once, tried less and less often", "[state]") {
  StateKeeper keeper(kIdentity, SourcesOf(kNothing));
  keeper.Complete();
  TimePoint now = kStart;
  int attempts = 0;
  int notices = 0;
  for (; now < kStart + 1h; now += 1s) {
    keeper.Upsert(model::Node{.name = "n1", .labels = {{"i", std::to_string(attempts)}}});
    if (keeper.Poll(now, kSaved)) {
      ++attempts;
      keeper.OnWritten(now, absl::ResourceExhaustedError("no space left on device"));
    }
    if (const auto notice = keeper.TakeNotice()) {
      ++notices;
      CHECK(notice->message() == "no space left on device");
    }
  }
  CHECK(attempts > 12);
  CHECK(attempts < 25);
  CHECK(notices == 1);
  CHECK_FALSE(keeper.clean());
  // There is room again.
  now += StateKeeper::kMaxRetry;
  REQUIRE(keeper.Poll(now, kSaved));
  keeper.OnWritten(now, absl::OkStatus());
  const auto notice = keeper.TakeNotice();
  REQUIRE(notice);
  CHECK(notice->ok());
  CHECK_FALSE(keeper.TakeNotice());
  keeper.Upsert(model::Node{.name = "n2"});
  CHECK(keeper.Poll(now + 1s, kSaved));
}

TEST_CASE("A state that is too long is not written", "[state]") {
  StateKeeper keeper(kIdentity, SourcesOf(kNothing));
  keeper.Complete();
  for (int i = 0; i < 24; ++i) {
    keeper.Upsert(model::Node{.name = std::to_string(i),
                              .labels = {{"a", std::string(std::size_t{1} << 20U, 'x')}}});
  }
  CHECK_FALSE(keeper.Poll(kStart, kSaved));
  const auto notice = keeper.TakeNotice();
  REQUIRE(notice);
  CHECK(notice->code() == absl::StatusCode::kResourceExhausted);
  REQUIRE(keeper.NextDeadline());
  CHECK(*keeper.NextDeadline() > kStart);
  for (int i = 0; i < 4; ++i) {
    keeper.Delete(Resource::kNodes, {"", std::to_string(i)});
  }
  CHECK(keeper.Poll(kStart + 1min, kSaved));
}

TEST_CASE("Objects of one name are told apart by namespace and kind", "[state]") {
  StateKeeper keeper(kIdentity, SourcesOf(kNothing));
  keeper.Complete();
  keeper.Upsert(model::Node{.name = "same"});
  keeper.Upsert(model::IpAddressPoolResource{.key = {"a", "same"}});
  keeper.Upsert(model::IpAddressPoolResource{.key = {"b", "same"}});
  keeper.Upsert(model::AddressPoolResource{.key = {"a", "same"}});
  CHECK(keeper.size() == 4);
  keeper.Delete(Resource::kPools, {"a", "same"});
  const SavedState state = Read(*keeper.Poll(kStart, kSaved));
  CHECK(state.nodes.size() == 1);
  REQUIRE(state.pools.size() == 1);
  CHECK(state.pools[0].key.name_space == "b");
  CHECK(state.address_pools.size() == 1);
}

}  // namespace stentor::speaker
