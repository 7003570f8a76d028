// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>
#include <algorithm>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "common/config/config.h"
#include "test/support/catch.h"

namespace stentor::config {
namespace {

using model::LabelSelector;

std::string Name(int number) { return StrCat("n", number); }

// Few addresses and names, so that many sets are in error, often in several ways at once.
std::string AnyItem() {
  const int net = *rc::gen::inRange(0, 12);
  switch (*rc::gen::weightedElement<int>({{6, 0}, {3, 1}, {2, 2}, {1, 3}, {1, 4}})) {
    case 0:
      return StrCat("192.0.2.", net * 16, "/28");
    case 1:
      return StrCat("192.0.2.", net * 16 + 3, " - 192.0.2.", net * 16 + 9);
    case 2:
      return StrCat("2001:db8:", net, "::/64");
    case 3:
      return StrCat("192.0.2.", net, "-2001:db8::1");
    default:
      return StrCat("192.0.2.", net, "/33");
  }
}

LabelSelector AnySelector() {
  using enum model::SelectorOperator;
  model::SelectorRequirement requirement{.key = Name(*rc::gen::inRange(0, 3))};
  requirement.op = *rc::gen::weightedElement<model::SelectorOperator>(
      {{8, kEquals}, {8, kIn}, {4, kExists}, {1, kUnknown}});
  if (requirement.op == kEquals || requirement.op == kIn) {
    requirement.values = {Name(*rc::gen::inRange(0, 2))};
  }
  return {.requirements = {std::move(requirement)}};
}

template <typename T, typename Make>
std::vector<T> Some(int most, Make make) {
  std::vector<T> out(static_cast<std::size_t>(*rc::gen::inRange(0, most + 1)));
  std::ranges::generate(out, make);
  return out;
}

Resources AnyResources() {
  Resources resources;
  const int pools = *rc::gen::inRange(0, 5);
  for (int i = 0; i < pools; ++i) {
    model::IpAddressPoolResource pool;
    pool.key = {.name_space = "m", .name = Name(i)};
    pool.labels = {{Name(0), Name(*rc::gen::inRange(0, 2))}};
    pool.addresses = Some<std::string>(3, AnyItem);
    pool.has_service_allocation = *rc::gen::arbitrary<bool>();
    pool.namespaces = Some<std::string>(2, [] { return Name(*rc::gen::inRange(0, 9)); });
    pool.service_selectors = Some<LabelSelector>(2, AnySelector);
    resources.pools.push_back(std::move(pool));
  }
  const int older = *rc::gen::inRange(0, 3);
  for (int i = 0; i < older; ++i) {  // one of them may share its name with one of the above
    resources.address_pools.push_back(
        {.key = {.name_space = "m", .name = Name(4 + i)},
         .protocol = *rc::gen::element<std::string>("layer2", "layer2", "bgp", "ospf"),
         .addresses = Some<std::string>(2, AnyItem)});
  }
  const int advertisements = *rc::gen::inRange(0, 5);
  for (int i = 0; i < advertisements; ++i) {
    model::L2AdvertisementResource advertisement;
    advertisement.key = {.name_space = "m", .name = Name(i)};
    advertisement.ip_address_pools =
        Some<std::string>(2, [] { return Name(*rc::gen::inRange(0, 5)); });
    advertisement.node_selectors = Some<LabelSelector>(2, AnySelector);
    advertisement.interfaces = Some<std::string>(2, [] { return Name(*rc::gen::inRange(0, 3)); });
    resources.l2_advertisements.push_back(std::move(advertisement));
  }
  return resources;
}

template <typename T>
void Permute(std::vector<T>& objects) {
  for (std::size_t i = objects.size(); i > 1; --i) {
    std::swap(objects[i - 1],
              objects[static_cast<std::size_t>(*rc::gen::inRange(0, static_cast<int>(i)))]);
  }
}

}  // namespace

TEST_CASE("The order of objects changes neither configuration nor error", "[config]") {
  int good = 0;
  int bad = 0;
  const bool passed = rc::check([&] {
    const Resources resources = AnyResources();
    Resources permuted = resources;
    Permute(permuted.pools);
    Permute(permuted.address_pools);
    Permute(permuted.l2_advertisements);
    const auto expected = Parse(resources);
    const auto found = Parse(permuted);
    RC_ASSERT(found.status() == expected.status());
    if (expected.ok()) {
      RC_ASSERT(*found == *expected);
      ++good;
    } else {
      ++bad;
    }
  });
  CHECK(passed);
  // Both kinds of sets have to come up, or this shows nothing.
  CHECK(good > 0);
  CHECK(bad > 0);
}

TEST_CASE("No address is in two pools of a configuration", "[config]") {
  CHECK(rc::check([] {
    const auto config = Parse(AnyResources());
    RC_PRE(config.ok());
    std::vector<net::IpRange> ranges;
    for (const Pool& pool : config->pools) {
      ranges.insert(ranges.end(), pool.ranges.begin(), pool.ranges.end());
    }
    std::ranges::sort(ranges);
    for (std::size_t i = 1; i < ranges.size(); ++i) {
      RC_ASSERT(ranges[i - 1].last < ranges[i].first);
    }
  }));
}

}  // namespace stentor::config
