// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Calls of an allocator as tables: who asks for what, and what comes of it.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "controller/allocator/address_allocator.h"
#include "test/support/catch.h"

namespace stentor::controller {

using Texts = std::vector<std::string>;
using enum net::IpFamily;

inline config::Pool MakePool(std::string name, const Texts& addresses) {
  config::Pool pool;
  pool.name = std::move(name);
  for (const std::string& item : addresses) {
    const auto range = net::ParseAddressItem(item);
    REQUIRE(range.ok());
    pool.ranges.push_back(*range);
  }
  return pool;
}

enum class Want : std::uint8_t { kV4, kV6, kBoth, kPreferBoth };

struct Ask {
  const char* name;
  Want want = Want::kV4;
  Texts ips = {};
  std::string pool = {};
  std::string key = {};
  std::string backend = {};
  std::vector<std::uint16_t> ports = {80};
  std::string name_space = "default";
  model::Labels labels = {};
};

enum class Op : std::uint8_t { kAllocate, kClaim, kRelease };

// One call, and what it gives: addresses, or an error that contains a text.
struct Step {
  const char* title;
  Op op;
  Ask ask;
  Texts result = {};
  const char* error = "";
};

inline AllocationRequest RequestOf(const Ask& ask, Op op) {
  AllocationRequest request;
  request.service = {.name_space = ask.name_space, .name = ask.name};
  request.families = {.primary = ask.want == Want::kV6 ? kIpv6 : kIpv4,
                      .dual = ask.want == Want::kBoth || ask.want == Want::kPreferBoth,
                      .require_both = ask.want == Want::kBoth};
  if (op == Op::kAllocate) {
    for (const std::string& text : ask.ips) {
      request.addresses.push_back(*net::IpAddress::Parse(text));
    }
  }
  if (!ask.pool.empty()) {
    request.pool = ask.pool;
  }
  for (const std::uint16_t port : ask.ports) {
    request.ports.push_back({.protocol = "TCP", .port = port});
  }
  request.sharing_key = ask.key;
  request.backend_key = ask.backend;
  request.labels = &ask.labels;
  return request;
}

inline Texts TextsOf(const AddressList& addresses) {
  Texts texts;
  for (const net::IpAddress& address : addresses) {
    texts.push_back(address.ToString());
  }
  return texts;
}

// Runs the steps one after another on one allocator.
inline void Play(AddressAllocator& allocator, const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    INFO(step.title);
    const AllocationRequest request = RequestOf(step.ask, step.op);
    const auto before = allocator.Find(request.service);
    if (step.op == Op::kRelease) {
      const std::uint64_t availability = allocator.Availability();
      CHECK(allocator.Release(request.service) == before.has_value());
      CHECK((allocator.Availability() > availability) == before.has_value());
      CHECK_FALSE(allocator.Find(request.service));
      continue;
    }
    AddressList claimed;
    for (const std::string& text : step.ask.ips) {
      claimed.push_back(*net::IpAddress::Parse(text));
    }
    const auto allocation =
        step.op == Op::kClaim ? allocator.Claim(request, claimed) : allocator.Allocate(request);
    if (std::string(step.error).empty()) {
      CHECK(allocation.status() == absl::OkStatus());
      if (allocation.ok()) {
        CHECK(TextsOf(allocation->addresses) == step.result);
        CHECK(allocator.Find(request.service) == *allocation);
      }
    } else {
      CHECK_FALSE(allocation.ok());
      CHECK_THAT(std::string(allocation.status().message()), Catch::Contains(step.error));
      CHECK(allocator.Find(request.service) == before);  // a failed call changes nothing
    }
    allocator.CheckInvariants();
  }
}

constexpr auto kGet = Op::kAllocate;
constexpr auto kClaim = Op::kClaim;
constexpr auto kFree = Op::kRelease;

}  // namespace stentor::controller
