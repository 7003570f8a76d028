// SPDX-License-Identifier: Apache-2.0
#include "common/config/sources.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/legacy.h"

namespace stentor::config {
namespace {

// Rules that are being replaced, and kinds that are just being installed, are back within seconds.
// Refusals come at growing intervals: the fourth in succession after a good quarter of a minute.
constexpr int kBelievedRefusals = 4;

constexpr std::size_t Index(Source source) { return static_cast<std::size_t>(source); }

}  // namespace

bool Sources::Is(Source source, State state) const { return states_[Index(source)] == state; }

void Sources::SetPool(const model::ObjectKey& key,
                      absl::StatusOr<model::IpAddressPoolResource> pool) {
  // A pool's status changes with each allocation; that is nothing new here.
  if (const auto known = pools_.find(key); known == pools_.end() || known->second != pool) {
    pools_.insert_or_assign(key, std::move(pool));
    due_ = true;
  }
}

void Sources::SetAdvertisement(const model::ObjectKey& key,
                               absl::StatusOr<model::L2AdvertisementResource> advertisement) {
  advertisements_.insert_or_assign(key, std::move(advertisement));
  due_ = true;
}

void Sources::SetAddressPool(const model::ObjectKey& key,
                             absl::StatusOr<model::AddressPoolResource> pool) {
  address_pools_.insert_or_assign(key, std::move(pool));
  due_ = true;
}

void Sources::SetConfigMap(const model::ObjectKey& key,
                           absl::StatusOr<model::ConfigMapEntry> entry) {
  if (key != options_.config_map) {
    return;
  }
  if (!entry.ok()) {
    legacy_ = entry.status();
  } else if (!entry->text || entry->text->find_first_not_of(" \t\r\n") == std::string::npos) {
    ForgetConfigMap();  // somebody else's, or emptied
  } else {
    legacy_ = ParseLegacyConfig(*entry->text, key);
    legacy_lost_ = false;
  }
  due_ = true;
}

void Sources::ForgetConfigMap() {
  if (std::exchange(legacy_, std::nullopt)) {
    legacy_lost_ = in_force_;
  }
}

void Sources::Delete(Source source, const model::ObjectKey& key) {
  switch (source) {
    case Source::kPools:
      pools_.erase(key);
      break;
    case Source::kAdvertisements:
      advertisements_.erase(key);
      break;
    case Source::kAddressPools:
      address_pools_.erase(key);
      break;
    case Source::kConfigMap:
      if (key == options_.config_map) {
        ForgetConfigMap();
      }
      break;
  }
  due_ = true;
}

void Sources::Synced(Source source) {
  if (Is(source, State::kRefused)) {
    refusals_.fill(1);  // rights come back one after the other: what was refused before may be next
  }
  states_[Index(source)] = State::kRead;
  due_ = true;
}

void Sources::Refused(Source source) {
  if (Is(source, State::kRead)) {
    return;
  }
  states_[Index(source)] = State::kRefused;
  const int count = ++refusals_[Index(source)];
  due_ = due_ || count == 1 || count == kBelievedRefusals;
}

bool Sources::AnyPoolSourceRefused() const {
  return Is(Source::kPools, State::kRefused) || Is(Source::kAddressPools, State::kRefused) ||
         Is(Source::kConfigMap, State::kRefused);
}

bool Sources::RefusalIsFresh() const {
  return std::ranges::any_of(
      std::array{Source::kPools, Source::kAddressPools, Source::kConfigMap}, [this](Source source) {
        return Is(source, State::kRefused) && refusals_[Index(source)] < kBelievedRefusals;
      });
}

bool Sources::HasCustomPools() const {
  return (Is(Source::kPools, State::kRead) && !pools_.empty()) ||
         (Is(Source::kAddressPools, State::kRead) && !address_pools_.empty());
}

// One that is only left behind says nothing about what else there is.
bool Sources::HasLegacyPools() const {
  return Is(Source::kConfigMap, State::kRead) && legacy_ &&
         (!legacy_->ok() || !(*legacy_)->pools.empty()) &&
         (options_.config_map_named || !Is(Source::kPools, State::kRefused));
}

// IPAddressPool and L2Advertisement are granted together: a speaker that knew only the pools would
// be elected and stay silent.
bool Sources::KnowsHalf() const {
  return options_.with_advertisements && !pools_.empty() && Is(Source::kPools, State::kRead) &&
         Is(Source::kAdvertisements, State::kRefused);
}

Readiness Sources::readiness() const {
  for (std::size_t i = 0; i < kSourceCount; ++i) {
    const bool wanted = i != Index(Source::kAdvertisements) || options_.with_advertisements;
    if (wanted && states_[i] == State::kUnknown) {
      return Readiness::kWaiting;
    }
  }
  if (KnowsHalf()) {
    return Readiness::kBlocked;  // what is in force stays
  }
  const bool none = !HasCustomPools() && !HasLegacyPools() && AnyPoolSourceRefused();
  return none && !in_force_ ? Readiness::kBlocked : Readiness::kReady;
}

bool Sources::Settled() const {
  const Readiness now = readiness();
  return now == Readiness::kReady ||
         (now == Readiness::kBlocked &&
          (in_force_ || (Is(Source::kPools, State::kRead) && pools_.empty())));
}

bool Sources::Misses(Source source) const {
  const bool needed = source == Source::kPools || source == Source::kAdvertisements;
  return needed && readiness() == Readiness::kBlocked && (!Settled() || KnowsHalf()) &&
         Is(source, State::kRefused);
}

std::optional<absl::StatusOr<Config>> Sources::Take() {
  if (!due_ || readiness() != Readiness::kReady) {
    return std::nullopt;
  }
  due_ = false;
  auto config = Make();
  if (config.ok()) {
    in_force_ = true;
    config->pools_may_be_missing = RefusalIsFresh();
  }
  return config;
}

template <typename T>
absl::Status Sources::Collect(Source source, const Objects<T>& from, std::vector<T>& into) const {
  if (!Is(source, State::kRead)) {
    return absl::OkStatus();  // perhaps the first pages of a list whose others were refused
  }
  absl::Status unreadable;
  for (const auto& [key, object] : from) {
    if (object.ok()) {
      into.push_back(*object);
    } else if (in_force_ || !options_.leave_out_unreadable) {
      unreadable.Update(object.status());
    }
  }
  return unreadable;
}

absl::StatusOr<Config> Sources::Make() {
  Resources resources{.legacy_named = options_.config_map_named};
  STENTOR_RETURN_IF_ERROR(Collect(Source::kPools, pools_, resources.pools));
  STENTOR_RETURN_IF_ERROR(Collect(Source::kAddressPools, address_pools_, resources.address_pools));
  STENTOR_RETURN_IF_ERROR(
      Collect(Source::kAdvertisements, advertisements_, resources.l2_advertisements));
  legacy_lost_ = legacy_lost_ && !HasCustomPools();
  if (legacy_lost_) {
    return absl::FailedPreconditionError(
        StrCat("the ConfigMap ", options_.config_map.ToString(),
               " is gone or empty, and nothing else defines pools: what it said stays in force. To "
               "give up all addresses, leave address-pools: [] in it"));
  }
  return legacy_ ? MakeWithLegacy(std::move(resources)) : Parse(resources);
}

absl::StatusOr<Config> Sources::MakeWithLegacy(Resources resources) {
  if (legacy_->ok()) {
    resources.legacy = **legacy_;
  }
  auto config = legacy_->ok() ? Parse(resources) : absl::StatusOr<Config>(legacy_->status());
  // What MetalLB 0.13 and later did not even read must not keep a program from starting.
  const bool may_leave_out =
      !options_.config_map_named && HasCustomPools() && (!in_force_ || legacy_left_out_);
  if (config.ok() || !may_leave_out) {
    legacy_left_out_ = false;
    return config;
  }
  const absl::Status why = config.status();
  resources.legacy.reset();
  config = Parse(resources);
  if (config.ok()) {
    legacy_left_out_ = true;
    config->older_form = OlderForm::kConfigMap;
    config->remarks.push_back(StrCat("the ConfigMap ", options_.config_map.ToString(),
                                     " is left out: ", std::string(why.message())));
  }
  return config;
}

}  // namespace stentor::config
