// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "speaker/reconcile/slices.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

// An API server with Services and slices, two watches of them that lag behind each other, and lists
// that are answered late. What arrives at `slices` is what a speaker would see.
class Simulation {
 public:
  void Step() {
    now_ += *rc::gen::inRange(0, 20);
    switch (*rc::gen::weightedElement<int>({{2, 0},
                                            {3, 1},
                                            {1, 2},
                                            {3, 3},
                                            {2, 4},
                                            {2, 5},
                                            {1, 6},
                                            {8, 7},
                                            {6, 8},
                                            {4, 9},
                                            {1, 10}})) {
      case 0:
        return CreateService();
      case 1:
        return ChangeType();
      case 2:
        return DeleteService();
      case 3:
        return ChangeSlice();
      case 4:
        return CreateSlice(AnyName(), false);
      case 5:
        return DeleteSlice();
      case 6:
        return MoveSlice();
      case 7:
        return DeliverSlices(*rc::gen::inRange(1, 5));
      case 8:
        return DeliverServices(*rc::gen::inRange(1, 3));
      case 9:
        return HandleLists();
      default:
        return BeginWatchAnew();
    }
  }

  void Drain() {
    DeliverServices(1'000'000);
    DeliverSlices(1'000'000);
    for (int round = 0; round < 4; ++round) {
      Ask();
      for (List& list : std::exchange(lists_, {})) {
        Answer(list);
      }
    }
    RC_ASSERT(slices.TakeToList().empty());
  }

  void Check() const {
    std::size_t kept = 0;
    for (const auto& [key, service] : services_) {
      RC_ASSERT(slices.IsWanted(key) == service.balanced);
      std::vector<model::Endpoint> expected;
      for (const auto& [slice_key, stored] : stored_) {
        if (service.balanced && stored.service_name == key.name) {
          ++kept;
          expected.insert(expected.end(), stored.endpoints.begin(), stored.endpoints.end());
        }
      }
      std::ranges::sort(expected);
      expected.erase(std::ranges::unique(expected).begin(), expected.end());
      RC_ASSERT((slices.EndpointsOf(key) == expected));
    }
    RC_ASSERT(slices.kept() == kept);
    RC_ASSERT(Shown().size() == kept);
    RC_ASSERT(slices.spare() <= kLimits.slices);
  }

  // What is shown without notice, nobody would save.
  void CheckNotice() {
    std::map<model::ObjectKey, model::EndpointSlice> shown = Shown();
    const bool noticed = slices.TakeChanged();
    RC_ASSERT(noticed || shown == shown_);
    shown_ = std::move(shown);
  }

 private:
  static constexpr Slices::Limits kLimits{.slices = 3, .endpoints = 12};

  struct Service {
    WallTime created;
    bool has_selector = true;
    bool balanced = false;  // of type LoadBalancer
  };
  struct ServiceEvent {
    model::ServiceKey key;
    std::optional<Service> service;  // nothing: not of the type, or gone
  };
  struct SliceEvent {
    model::ObjectKey key;
    std::optional<model::EndpointSlice> slice;
  };
  struct List {
    model::ServiceKey service;
    std::optional<std::vector<model::EndpointSlice>> answer;
  };

  // By key, without versions.
  std::map<model::ObjectKey, model::EndpointSlice> Shown() const {
    std::map<model::ObjectKey, model::EndpointSlice> shown;
    slices.ForEach([&shown](const model::EndpointSlice& slice) {
      model::EndpointSlice& copy = shown[slice.key] = slice;
      copy.resource_version.clear();
    });
    return shown;
  }

  static std::string AnyName() { return "s" + std::to_string(*rc::gen::inRange(0, 6)); }

  // Each of several API servers has a clock of its own.
  WallTime Stamp() const { return WallTime(std::chrono::seconds(now_ + *rc::gen::inRange(-4, 5))); }

  static std::vector<model::Endpoint> AnyEndpoints() {
    std::vector<model::Endpoint> endpoints;
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      endpoints.push_back({.node = "n" + std::to_string(*rc::gen::inRange(0, 9)),
                           .can_serve = *rc::gen::arbitrary<bool>()});
    }
    std::ranges::sort(endpoints);
    endpoints.erase(std::ranges::unique(endpoints).begin(), endpoints.end());
    return endpoints;
  }

  void Store(model::EndpointSlice stored) {
    stored.resource_version = std::to_string(++version_);
    slice_events_.push_back({stored.key, stored});
    stored_[stored.key] = std::move(stored);
  }

  void CreateSlice(const std::string& service, bool by_controller) {
    model::EndpointSlice slice{
        .key = {"d", service + "-" + std::to_string(*rc::gen::inRange(0, 3))},
        .service_name = service,
        .endpoints = AnyEndpoints(),
        .created = Stamp(),
        .by_controller = by_controller};
    if (!by_controller) {
      slice.key.name += "-by-hand";
    }
    if (!stored_.contains(slice.key)) {
      Store(std::move(slice));
    }
  }

  void CreateService() {
    const model::ServiceKey key{"d", AnyName()};
    if (services_.contains(key)) {
      if (services_[key].has_selector) {
        CreateSlice(key.name, true);
      }
      return;
    }
    services_[key] = {.created = Stamp(),
                      .has_selector = *rc::gen::arbitrary<bool>(),
                      .balanced = *rc::gen::arbitrary<bool>()};
    Tell(key);
    if (services_[key].has_selector) {
      CreateSlice(key.name, true);
    }
  }

  void Tell(const model::ServiceKey& key) {
    const auto it = services_.find(key);
    service_events_.push_back({key, it != services_.end() && it->second.balanced
                                        ? std::optional(it->second)
                                        : std::nullopt});
  }

  void ChangeType() {
    const model::ServiceKey key{"d", AnyName()};
    if (const auto it = services_.find(key); it != services_.end()) {
      it->second.balanced = !it->second.balanced;
      Tell(key);
    }
  }

  void DeleteService() {
    const model::ServiceKey key{"d", AnyName()};
    if (services_.erase(key) == 0) {
      return;
    }
    Tell(key);
    std::vector<model::ObjectKey> owned;
    for (const auto& [slice, stored] : stored_) {
      if (stored.by_controller && stored.service_name == key.name) {
        owned.push_back(slice);
      }
    }
    for (const model::ObjectKey& slice : owned) {
      Remove(slice);
    }
  }

  void Remove(const model::ObjectKey& key) {
    stored_.erase(key);
    slice_events_.push_back({key, std::nullopt});
  }

  std::optional<model::ObjectKey> AnySlice() {
    if (stored_.empty()) {
      return std::nullopt;
    }
    auto it = stored_.begin();
    std::advance(it,
                 *rc::gen::inRange<std::ptrdiff_t>(0, static_cast<std::ptrdiff_t>(stored_.size())));
    return it->first;
  }

  void ChangeSlice() {
    if (const auto key = AnySlice()) {
      model::EndpointSlice stored = stored_[*key];
      stored.endpoints = AnyEndpoints();
      Store(std::move(stored));
    }
  }

  void DeleteSlice() {
    if (const auto key = AnySlice()) {
      Remove(*key);
    }
  }

  void MoveSlice() {
    if (const auto key = AnySlice(); key && !stored_[*key].by_controller) {
      model::EndpointSlice stored = stored_[*key];
      stored.service_name = AnyName();
      Store(std::move(stored));
    }
  }

  void Deliver(const SliceEvent& event) {
    if (!event.slice) {
      if (delivered_.erase(event.key) > 0) {
        (void)slices.Delete(event.key);
      }
      return;
    }
    const model::EndpointSlice& slice = *event.slice;
    delivered_[event.key] = slice.resource_version;
    if (slices.Wants({.key = slice.key,
                      .service_name = slice.service_name,
                      .by_controller = slice.by_controller,
                      .created = slice.created})) {
      (void)slices.Upsert(slice);
    }
  }

  void DeliverSlices(int count) {
    for (; count > 0 && !slice_events_.empty(); --count) {
      Deliver(slice_events_.front());
      slice_events_.pop_front();
    }
  }

  // As the reflector does it: what it knew and is no more, then what is new to it.
  void BeginWatchAnew() {
    slice_events_.clear();
    for (const auto& [key, version] : std::map(delivered_)) {
      if (!stored_.contains(key)) {
        Deliver({key, std::nullopt});
      }
    }
    for (const auto& [key, stored] : stored_) {
      const auto known = delivered_.find(key);
      if (known == delivered_.end() || known->second != stored.resource_version) {
        Deliver({key, stored});
      }
    }
    slices.OnWatchSynced();
  }

  void DeliverServices(int count) {
    for (; count > 0 && !service_events_.empty(); --count) {
      const ServiceEvent event = service_events_.front();
      service_events_.pop_front();
      if (event.service) {
        slices.Want(event.key, event.service->created, event.service->has_selector);
      } else {
        slices.Unwant(event.key);
      }
    }
  }

  void Ask() {
    for (const model::ServiceKey& service : slices.TakeToList()) {
      lists_.push_back({service, std::nullopt});
    }
  }

  void TakeSnapshot(List& list) const {
    list.answer.emplace();
    for (const auto& [key, stored] : stored_) {
      if (stored.service_name == list.service.name) {
        list.answer->push_back(stored);
      }
    }
  }

  void Answer(List& list) {
    if (!list.answer) {
      TakeSnapshot(list);
    }
    (void)slices.OnListed(list.service, *list.answer);
  }

  void HandleLists() {
    Ask();
    if (lists_.empty()) {
      return;
    }
    const auto i = *rc::gen::inRange<std::size_t>(0, lists_.size());
    const auto fate = *rc::gen::weightedElement<int>({{4, 0}, {4, 1}, {1, 2}});
    if (fate == 0) {
      TakeSnapshot(lists_[i]);
      return;
    }
    List list = lists_[i];
    lists_.erase(lists_.begin() + static_cast<std::ptrdiff_t>(i));
    if (fate == 1) {
      Answer(list);
    } else {
      slices.OnListFailed(list.service);
    }
  }

 public:
  Slices slices{kLimits};

 private:
  int now_ = 1'700'000'000;
  int version_ = 0;
  std::map<model::ServiceKey, Service> services_;
  std::map<model::ObjectKey, model::EndpointSlice> stored_;
  std::deque<ServiceEvent> service_events_;
  std::deque<SliceEvent> slice_events_;
  std::map<model::ObjectKey, std::string> delivered_;  // versions, as the reflector keeps them
  std::vector<List> lists_;
  std::map<model::ObjectKey, model::EndpointSlice> shown_;  // at the last CheckNotice()
};

}  // namespace

TEST_CASE("However the watches and lists overtake each other, the endpoints are right in the end",
          "[slices]") {
  CHECK(rc::check([] {
    Simulation simulation;
    for (int i = *rc::gen::inRange(20, 200); i > 0; --i) {
      simulation.Step();
      simulation.CheckNotice();
    }
    simulation.Drain();
    simulation.CheckNotice();
    simulation.Check();
  }));
}

}  // namespace stentor::speaker
