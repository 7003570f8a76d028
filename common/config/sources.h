// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// What a configuration is made of, as the API server tells it bit by bit, and whether enough of it
/// is known to be put in force. Not every version of MetalLB's manifests has, or may read, each of
/// the sources; and what can't be read at one moment may be read at the next. So:
///
///   * What was read once stays known, whatever happens to the right to read it.
///   * A source that was refused and never read counts as empty, unless that would leave nothing:
///     that there are no pools is believed only of a source that was read.
///   * While a refusal is fresh, the configuration says that pools may be missing, so that nobody
///     loses an address for it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/config/config.h"
#include "common/model/objects.h"

namespace stentor::config {

enum class Source : std::uint8_t { kPools, kAdvertisements, kAddressPools, kConfigMap };
inline constexpr std::size_t kSourceCount = 4;

/// Whether a configuration can be made.
enum class Readiness : std::uint8_t {
  kWaiting,  ///< Some source has neither been read nor refused yet.
  kBlocked,  ///< What is missing can't be done without; what is in force stays.
  kReady,
};

/// Not thread-safe. Pure: a state holder that both programs feed.
class Sources {
 public:
  struct Options {
    model::ObjectKey config_map;      ///< The only one that is looked at.
    bool config_map_named = false;    ///< By --config: it is meant, not left behind.
    bool with_advertisements = true;  ///< The controller does without.
    /// Before anything is in force, objects that can't be decoded are left out, not waited for.
    bool leave_out_unreadable = false;
  };
  explicit Sources(Options options) : options_(std::move(options)) {}

  /// An object as it is now, or why it can't be decoded.
  void SetPool(const model::ObjectKey& key, absl::StatusOr<model::IpAddressPoolResource> pool);
  void SetAdvertisement(const model::ObjectKey& key,
                        absl::StatusOr<model::L2AdvertisementResource> advertisement);
  void SetAddressPool(const model::ObjectKey& key, absl::StatusOr<model::AddressPoolResource> pool);
  void SetConfigMap(const model::ObjectKey& key, absl::StatusOr<model::ConfigMapEntry> entry);
  void Delete(Source source, const model::ObjectKey& key);

  /// All objects of the source are known.
  void Synced(Source source);
  /// An attempt to read it was answered 403 or 404. Without effect once it was read.
  void Refused(Source source);

  [[nodiscard]] Readiness readiness() const;
  /// Whether the process can be called ready: there are pools, or nobody has defined any yet.
  [[nodiscard]] bool Settled() const;
  /// Whether nothing goes on because `source` is refused.
  [[nodiscard]] bool Misses(Source source) const;

  /// Where something changed and readiness() is kReady: the configuration to put in force, or why
  /// there is none, in which case what was in force before stays.
  [[nodiscard]] std::optional<absl::StatusOr<Config>> Take();

 private:
  enum class State : std::uint8_t { kUnknown, kRefused, kRead };
  template <typename T>
  using Objects = std::map<model::ObjectKey, absl::StatusOr<T>>;

  [[nodiscard]] bool Is(Source source, State state) const;
  [[nodiscard]] bool AnyPoolSourceRefused() const;
  [[nodiscard]] bool HasCustomPools() const;
  [[nodiscard]] bool HasLegacyPools() const;
  [[nodiscard]] bool KnowsHalf() const;
  [[nodiscard]] bool RefusalIsFresh() const;
  void ForgetConfigMap();
  template <typename T>
  [[nodiscard]] absl::Status Collect(Source source, const Objects<T>& from,
                                     std::vector<T>& into) const;
  [[nodiscard]] absl::StatusOr<Config> Make();
  [[nodiscard]] absl::StatusOr<Config> MakeWithLegacy(Resources resources);

  const Options options_;
  std::array<State, kSourceCount> states_{};
  std::array<int, kSourceCount> refusals_{};
  Objects<model::IpAddressPoolResource> pools_;
  Objects<model::L2AdvertisementResource> advertisements_;
  Objects<model::AddressPoolResource> address_pools_;
  std::optional<absl::StatusOr<LegacyConfig>> legacy_;
  bool legacy_lost_ = false;      // it went, and nothing else defines pools
  bool legacy_left_out_ = false;  // at the start, for an error in it
  bool in_force_ = false;         // a configuration was made
  bool due_ = true;
};

}  // namespace stentor::config
