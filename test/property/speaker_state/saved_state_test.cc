// SPDX-License-Identifier: Apache-2.0

/// \file
/// Whatever objects the API shows: what is saved of them is read back, and a keeper that saw them
/// come and go saves what is left of them.

#include <rapidcheck.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/kube/codec.h"
#include "speaker/state/saved_state.h"
#include "speaker/state/state_keeper.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

const StateIdentity kIdentity{.cluster = "c\"1", .node = "n"};

// Texts with all that is special in JSON, and letters of several octets.
std::string Text() {
  const auto parts = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "a", "B", "7", "\"", "\\", "\n", "\t", std::string("\0", 1), "\x1f", "\x7f", "ü", "€", "😀",
      "{", "}", "[", ",", ":", "/", " "));
  std::string text;
  for (const std::string& part : parts) {
    text += part;
  }
  return text;
}
std::string Name() { return "n" + Text(); }

std::vector<std::string> Texts() {
  std::vector<std::string> texts;
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    texts.push_back(Text());
  }
  return texts;
}

model::Labels Labels() {
  model::Labels labels;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    labels.emplace(Text(), Text());
  }
  return labels;
}

model::ObjectKey Key() { return {*rc::gen::arbitrary<bool>() ? "ns" : Text(), Name()}; }

std::optional<WallTime> Time() {
  if (*rc::gen::arbitrary<bool>()) {
    return std::nullopt;
  }
  return WallTime(
      std::chrono::seconds(*rc::gen::inRange<std::int64_t>(-2'000'000'000, 7'000'000'000)));
}

net::IpAddress Address() {
  return *rc::gen::arbitrary<bool>()
             ? net::IpAddress(net::Ipv4Address(*rc::gen::arbitrary<std::uint32_t>()))
             : net::IpAddress::FromNumber(net::IpFamily::kIpv6, 0x20010db800000000U,
                                          *rc::gen::arbitrary<std::uint64_t>());
}

std::vector<net::IpAddress> Addresses() {
  std::set<net::IpAddress> addresses;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    addresses.insert(Address());
  }
  return {addresses.begin(), addresses.end()};
}

// As the decoder makes them: labels first, by key; values sorted.
model::LabelSelector Selector() {
  model::LabelSelector selector;
  for (const auto& [key, value] : Labels()) {
    selector.requirements.push_back(
        {.key = key, .op = model::SelectorOperator::kEquals, .values = {value}});
  }
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    model::SelectorRequirement requirement{.key = Text(), .values = Texts()};
    std::ranges::sort(requirement.values);
    requirement.op =
        *rc::gen::element(model::SelectorOperator::kIn, model::SelectorOperator::kNotIn,
                          model::SelectorOperator::kExists, model::SelectorOperator::kDoesNotExist,
                          model::SelectorOperator::kUnknown);
    if (requirement.op == model::SelectorOperator::kUnknown) {
      requirement.unknown_op = "?" + Text();
    }
    selector.requirements.push_back(std::move(requirement));
  }
  return selector;
}

std::vector<model::LabelSelector> Selectors() {
  std::vector<model::LabelSelector> selectors;
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    selectors.push_back(Selector());
  }
  return selectors;
}

model::Service Service(const model::ObjectKey& key) {
  model::Service service;
  service.key = key;
  service.uid = Text();
  service.labels = Labels();
  if (*rc::gen::arbitrary<bool>()) {
    service.annotations[*rc::gen::element<std::string>(
        "metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip")] = Text();
  }
  service.type = Text();
  if (*rc::gen::arbitrary<bool>()) {
    service.load_balancer_class = Text();
  }
  service.external_traffic_policy =
      *rc::gen::element(model::TrafficPolicy::kCluster, model::TrafficPolicy::kLocal);
  service.health_check_node_port = *rc::gen::arbitrary<std::uint16_t>();
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    service.ingress_ips.push_back(Name());
  }
  return service;
}

model::EndpointSlice Slice(const model::ObjectKey& key, const std::string& service) {
  model::EndpointSlice slice{.key = key, .service_name = service, .created = Time()};
  std::set<model::Endpoint> endpoints;  // the decoder sorts them, and drops what is alike
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    endpoints.insert({Text(), *rc::gen::arbitrary<bool>()});
  }
  slice.endpoints.assign(endpoints.begin(), endpoints.end());
  return slice;
}

model::Node Node(const std::string& name) {
  return {.name = name,
          .labels = Labels(),
          .network_unavailable = *rc::gen::arbitrary<bool>(),
          .ready = *rc::gen::arbitrary<bool>(),
          .addresses = Addresses()};
}

model::IpAddressPoolResource Pool() {
  model::IpAddressPoolResource pool{.key = Key(),
                                    .labels = Labels(),
                                    .addresses = Texts(),
                                    .auto_assign = *rc::gen::arbitrary<bool>(),
                                    .avoid_buggy_ips = *rc::gen::arbitrary<bool>()};
  pool.has_service_allocation = *rc::gen::arbitrary<bool>();
  if (pool.has_service_allocation) {
    pool.priority = *rc::gen::arbitrary<int>();
    pool.namespaces = Texts();
    pool.namespace_selectors = Selectors();
    pool.service_selectors = Selectors();
  }
  return pool;
}

model::L2AdvertisementResource Advertisement() {
  model::L2AdvertisementResource advertisement{.key = Key(),
                                               .ip_address_pools = Texts(),
                                               .ip_address_pool_selectors = Selectors(),
                                               .node_selectors = Selectors(),
                                               .interfaces = Texts(),
                                               .service_selectors = Selectors(),
                                               .address_conflicts = Text(),
                                               .fail_back = Text()};
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    advertisement.preferred_node_selectors.push_back(
        {.weight = *rc::gen::arbitrary<int>(), .preference = Selector()});
  }
  return advertisement;
}

template <typename Make>
auto Some(Make make) {
  std::vector<decltype(make())> objects;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    objects.push_back(make());
  }
  return objects;
}

template <typename Object>
using Objects = std::map<model::ObjectKey, Object>;

template <typename Object>
StateKeeper::Source<Object> SourceOf(const Objects<Object>& objects) {
  return [&objects](const auto& visit) {
    for (const auto& [key, object] : objects) {
      visit(object);
    }
  };
}

SavedState State() {
  SavedState state;
  state.saved = Time().value_or(WallTime());
  state.services = Some([] { return Service(Key()); });
  state.slices = Some([] { return Slice(Key(), Text()); });
  state.nodes = Some([] { return Node(Name()); });
  state.pods = Some([] {
    return model::Pod{
        .key = Key(), .uid = Text(), .node = Text(), .pod_ip = Text(), .phase = Text()};
  });
  state.pools = Some(Pool);
  state.advertisements = Some(Advertisement);
  state.address_pools = Some([] {
    return model::AddressPoolResource{.key = Key(),
                                      .protocol = Text(),
                                      .addresses = Texts(),
                                      .auto_assign = *rc::gen::arbitrary<bool>(),
                                      .avoid_buggy_ips = *rc::gen::arbitrary<bool>()};
  });
  if (*rc::gen::arbitrary<bool>()) {
    state.config_map = {.key = Key()};
    if (*rc::gen::arbitrary<bool>()) {
      state.config_map->text = Text();
    }
  }
  return state;
}

}  // namespace

TEST_CASE("Decode(Encode(x)) == x") {
  CHECK(rc::check([] {
    const SavedState state = State();
    const auto again = Decode(Encode(state, kIdentity), kIdentity);
    RC_ASSERT(again.ok());
    RC_ASSERT(again->services == state.services);
    RC_ASSERT(again->slices == state.slices);
    RC_ASSERT(again->nodes == state.nodes);
    RC_ASSERT(again->pools == state.pools);
    RC_ASSERT(again->advertisements == state.advertisements);
    RC_ASSERT(*again == state);
  }));
}

TEST_CASE("Whatever is damaged is refused") {
  CHECK(rc::check([] {
    std::string text = Encode(State(), kIdentity);
    const std::size_t at = *rc::gen::inRange<std::size_t>(0, text.size());
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        text[at] = static_cast<char>(text[at] ^ *rc::gen::inRange(1, 256));
        break;
      case 1:
        text.resize(at);
        break;
      case 2:
        text.erase(at, 1);
        break;
      default:
        text.insert(at, 1, *rc::gen::element(' ', '\n', '0', '\0'));
        break;
    }
    RC_ASSERT(!Decode(text, kIdentity).ok());
  }));
}

TEST_CASE("A keeper saves what is left of what came and went") {
  CHECK(rc::check([] {
    Objects<model::Service> services;
    Objects<model::EndpointSlice> slices;
    StateKeeper keeper(kIdentity, {.services = SourceOf(services), .slices = SourceOf(slices)});
    keeper.Complete();
    std::map<model::ObjectKey, model::Node> nodes;
    TimePoint now{std::chrono::hours(1)};
    std::optional<std::string> disk;
    for (int i = *rc::gen::inRange(1, 40); i > 0; --i) {
      const model::ObjectKey key{"ns", *rc::gen::element<std::string>("a", "b", "c")};
      switch (*rc::gen::inRange(0, 7)) {
        case 0:
          services[key] = Service(key);
          keeper.NoteSourcesChanged();
          break;
        case 1:
          services.erase(key);
          keeper.NoteSourcesChanged();
          break;
        case 2:
          slices[key] = Slice(key, *rc::gen::element<std::string>("a", "b", ""));
          keeper.NoteSourcesChanged();
          break;
        case 3:
          slices.erase(key);
          keeper.NoteSourcesChanged();
          break;
        case 4:
          keeper.Upsert(nodes[{"", key.name}] = Node(key.name));
          break;
        case 5:
          keeper.Delete(Resource::kNodes, {"", key.name});
          nodes.erase({"", key.name});
          break;
        default:
          now += std::chrono::milliseconds(*rc::gen::inRange(0, 2000));
          if (auto bytes = keeper.Poll(now, WallTime())) {
            const bool written = *rc::gen::inRange(0, 4) > 0;
            if (written) {
              disk = *std::move(bytes);
            }
            keeper.OnWritten(now, written ? absl::OkStatus() : absl::UnknownError("disk"));
          }
          break;
      }
    }
    for (int i = 0; i < 2 && !keeper.clean(); ++i) {
      now += StateKeeper::kMaxRetry;
      disk = keeper.Poll(now, WallTime());
      RC_ASSERT(disk.has_value());
      keeper.OnWritten(now, absl::OkStatus());
    }
    SavedState expected;
    for (const auto& [key, service] : services) {
      expected.services.push_back(service);
    }
    for (const auto& [key, slice] : slices) {
      expected.slices.push_back(slice);
    }
    for (const auto& [key, node] : nodes) {
      expected.nodes.push_back(node);
    }
    RC_ASSERT(disk.has_value());
    const auto saved = Decode(*disk, kIdentity);
    RC_ASSERT(saved.ok());
    RC_ASSERT(*saved == expected);
  }));
}

}  // namespace stentor::speaker
