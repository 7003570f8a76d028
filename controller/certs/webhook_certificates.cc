// SPDX-License-Identifier: Apache-2.0
#include "controller/certs/webhook_certificates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <span>
#include <utility>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace stentor::controller {
namespace {

using crypto::Certificate;
using std::chrono::sys_seconds;
using namespace std::chrono_literals;

// However long a certificate still lives, and whatever the clock did: looked at so often.
constexpr Duration kCheckEvery = 1h;
// A wall clock that went otherwise than the monotonic one by more than this was set.
constexpr Duration kClockStep = 5min;
// One write follows another only where replicas disagree, or somebody undoes them.
constexpr kube::BackoffOptions kSecretBackoff{.initial = 1s, .maximum = 10min};
constexpr kube::BackoffOptions kInjectBackoff{.initial = 500ms, .maximum = 1min};
constexpr Duration kQuiet = 1h;
constexpr Duration kWatchBringsIt = 10s;     // what was written
constexpr Duration kBetweenInjections = 1s;  // where somebody undoes them
constexpr std::size_t kMaxBundle = 8;

sys_seconds Seconds(WallTime wall) { return std::chrono::floor<std::chrono::seconds>(wall); }

bool Contains(std::span<const Certificate> certificates, const Certificate& wanted) {
  return std::find(certificates.begin(), certificates.end(), wanted) != certificates.end();
}

bool ContainsAll(std::span<const Certificate> certificates, std::span<const Certificate> wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [certificates](const Certificate& one) {
    return Contains(certificates, one);
  });
}

}  // namespace

WebhookCertificates::WebhookCertificates(WebhookCertificateOptions options, RandomOctets random)
    : options_(std::move(options)), random_(std::move(random)) {
  for (const BundleTarget& target : options_.targets) {
    targets_.push_back({.target = target});
  }
}

void WebhookCertificates::SecretSeen(const std::optional<WebhookSecret>& secret) {
  const bool same = secret_known_ && secret && secret_ && secret->uid == secret_->uid &&
                    secret->resource_version == secret_->resource_version;
  if (same) {
    return;
  }
  secret_known_ = true;
  secret_.reset();
  CertificateMaterial material = ReadMaterial(secret.value_or(WebhookSecret()));
  if (material.pair != material_.pair) {
    trusted_since_.reset();
  }
  material_ = std::move(material);
  if (secret) {
    secret_ = {.uid = secret->uid, .resource_version = secret->resource_version};
  }
}

void WebhookCertificates::TargetSeen(std::size_t target, std::optional<TargetObject> object,
                                     TimePoint now) {
  STENTOR_CHECK(target < targets_.size());
  Target& seen = targets_[target];
  std::vector<Certificates> bundles;
  for (const TargetObject::Place& place :
       object ? object->places : std::vector<TargetObject::Place>()) {
    bundles.push_back(crypto::ParseCertificates(place.bundle).value_or(Certificates()));
  }
  if (!seen.known || bundles != seen.bundles) {
    seen.unchanged_since = now;
    seen.refused = false;
    if (seen.failures == 0) {
      seen.not_before = std::min(seen.not_before, seen.written_at + kBetweenInjections);
    }
  }
  seen.known = true;
  seen.object = std::move(object);
  seen.bundles = std::move(bundles);
}

void WebhookCertificates::SecretWritten(const absl::Status& status, TimePoint now) {
  writing_secret_ = false;
  ++writes_;
  next_write_ = now + Delay(kSecretBackoff, writes_);
  if (status.ok()) {
    next_write_ = std::max(next_write_, now + kWatchBringsIt);
  }
}

void WebhookCertificates::Injected(std::size_t target, const absl::Status& status, TimePoint now) {
  STENTOR_CHECK(target < targets_.size());
  Target& written = targets_[target];
  written.writing = false;
  written.written_at = now;
  written.failures = status.ok() ? 0 : written.failures + 1;
  written.refused = absl::IsInvalidArgument(status);
  written.not_before =
      now + (status.ok() ? kWatchBringsIt : Delay(kInjectBackoff, written.failures));
}

CertificateActions WebhookCertificates::Poll(TimePoint now, WallTime wall) {
  CertificateActions actions;
  const sys_seconds at = Seconds(wall);
  deadline_ = now + kCheckEvery;
  NoteClock(now, wall);
  if (!secret_known_) {
    return actions;
  }
  PollServing(now, at, &actions);
  PollSecret(now, at, &actions);
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    PollTarget(i, now, at, &actions);
  }
  return actions;
}

void WebhookCertificates::NoteClock(TimePoint now, WallTime wall) {
  if (last_poll_) {
    const Duration drift = (wall - last_wall_) - (now - *last_poll_);
    if (drift > kClockStep || drift < -kClockStep) {
      doubt_until_ = now + kDoubt;
    }
  }
  last_poll_ = now;
  last_wall_ = wall;
}

void WebhookCertificates::PollServing(TimePoint now, sys_seconds at, CertificateActions* actions) {
  const Certificates& chain = material_.chain;
  if (!CheckServing(chain, TrustedCas(material_.cas, at), options_.service, at).ok()) {
    trusted_since_.reset();
    return;  // what is served is better than nothing, or as bad
  }
  if (!VerifiedByTargets(chain, at).ok()) {
    trusted_since_.reset();
  } else if (!trusted_since_) {
    trusted_since_ = now;
  }
  if (served_ && served_->pair == material_.pair) {
    return;
  }
  const bool old_is_good =
      served_ && CheckServing(served_->chain, served_->roots, options_.service, at).ok() &&
      VerifiedByTargets(served_->chain, at).ok();
  if (old_is_good && (!trusted_since_ || now < *trusted_since_ + kSettle)) {
    if (trusted_since_) {
      WakeAt(*trusted_since_ + kSettle);
    }
    return;
  }
  Serve(at, actions);
}

void WebhookCertificates::Serve(sys_seconds at, CertificateActions* actions) {
  Served next{.chain = material_.chain, .pair = material_.pair};
  for (const Certificate& ca : TrustedCas(material_.cas, at)) {
    const std::span<const Certificate> alone(&ca, 1);
    if (CheckServing(next.chain, alone, options_.service, at).ok()) {
      next.roots.push_back(ca);
    }
  }
  actions->serve = {.pair = next.pair, .not_after = next.chain.front().not_after()};
  served_ = std::move(next);
}

void WebhookCertificates::PollSecret(TimePoint now, sys_seconds at, CertificateActions* actions) {
  const Renewal renewal = JudgeMaterial(material_, options_.service, at);
  if (renewal.what == Renewal::What::kNothing) {
    doubtful_since_.reset();
    issue_trouble_.clear();
    good_since_ = good_since_.value_or(now);
    if (now >= *good_since_ + kQuiet) {
      writes_ = 0;
    }
    return;
  }
  good_since_.reset();
  if (!renewal.clock_doubtful) {
    doubtful_since_.reset();
  } else if (!doubtful_since_) {
    doubtful_since_ = now;
  }
  TimePoint due = next_write_;
  if (served_) {
    due = std::max(due, doubt_until_);
  }
  if (doubtful_since_) {
    due = std::max(due, *doubtful_since_ + kDoubt);
  }
  if (writing_secret_) {
    return;
  }
  if (now < due) {
    WakeAt(due);
    return;
  }
  const Certificates carried = served_ ? served_->roots : Certificates();
  const absl::StatusOr<SecretChange> change =
      Issue(renewal.what, material_, carried, options_.service, at, random_);
  if (!change.ok()) {
    issue_trouble_ = std::string(change.status().message());
    ++writes_;
    next_write_ = now + Delay(kSecretBackoff, writes_);
    WakeAt(next_write_);
    return;
  }
  writing_secret_ = true;
  actions->write_secret = {.request = secret_
                                          ? PatchSecretRequest(options_.secret, *secret_, *change)
                                          : CreateSecretRequest(options_.secret, *change),
                           .reason = renewal.reason};
}

void WebhookCertificates::PollTarget(std::size_t index, TimePoint now, sys_seconds at,
                                     CertificateActions* actions) {
  Target& target = targets_[index];
  if (target.writing || !target.object) {
    return;
  }
  auto wanted = Wanted(index, now, at);
  if (!wanted) {
    return;
  }
  if (now < target.not_before) {
    WakeAt(target.not_before);
    return;
  }
  target.writing = true;
  actions->inject.push_back(*std::move(wanted));
}

std::optional<CertificateActions::Injection> WebhookCertificates::Wanted(std::size_t index,
                                                                         TimePoint now,
                                                                         sys_seconds at) {
  const Target& target = targets_[index];
  const Certificates required = Required(at);
  if (required.empty()) {
    return std::nullopt;
  }
  Certificates bundle = required;
  bool missing = false;
  bool foreign = false;
  for (const Certificates& held : target.bundles) {
    missing = missing || !ContainsAll(held, required);
    foreign = foreign || !ContainsAll(required, held);
    for (const Certificate& one : held) {
      if (!target.refused && bundle.size() < kMaxBundle && one.is_ca() && one.not_after() >= at &&
          !Contains(bundle, one)) {
        bundle.push_back(one);
      }
    }
  }
  if (!missing) {
    if (!foreign || material_.chain.empty()) {
      return std::nullopt;
    }
    if (now < target.unchanged_since + kPruneAfter) {
      WakeAt(target.unchanged_since + kPruneAfter);
      return std::nullopt;
    }
    bundle = required;
  }
  return CertificateActions::Injection{
      .target = index,
      .request = InjectRequest(target.target, *target.object, BundleText(bundle)),
      .reason = missing ? "a CA is not in the bundle" : "a CA in the bundle is no longer trusted"};
}

WebhookCertificates::Certificates WebhookCertificates::Required(sys_seconds at) const {
  Certificates required = TrustedCas(material_.cas, at);
  for (const Certificate& root : served_ ? served_->roots : Certificates()) {
    if (root.not_after() >= at && !Contains(required, root)) {
      required.push_back(root);
    }
  }
  return required;
}

absl::Status WebhookCertificates::VerifiedByTargets(const Certificates& chain,
                                                    sys_seconds at) const {
  const Certificates* last_good = nullptr;
  for (const Target& target : targets_) {
    if (!target.known) {
      return absl::FailedPreconditionError(target.target.name + " was not read yet");
    }
    for (const Certificates& bundle : target.bundles) {
      if (last_good != nullptr && bundle == *last_good) {
        continue;  // as a rule they are all the same
      }
      const absl::Status status = CheckServing(chain, bundle, options_.service, at);
      if (!status.ok()) {
        return absl::FailedPreconditionError(
            StrCat("the CA bundle of ", target.target.name,
                   " does not verify what is served: ", std::string(status.message())));
      }
      last_good = &bundle;
    }
  }
  return absl::OkStatus();
}

absl::Status WebhookCertificates::Ready(WallTime wall) const {
  if (!secret_known_) {
    return absl::FailedPreconditionError(
        StrCat("Secret ", options_.secret.ToString(), " was not read yet"));
  }
  if (!served_ && !issue_trouble_.empty()) {
    return absl::FailedPreconditionError("no certificate can be made: " + issue_trouble_);
  }
  if (!served_) {
    return absl::FailedPreconditionError(
        StrCat("Secret ", options_.secret.ToString(), " has no certificate yet"));
  }
  const absl::Status valid =
      CheckServing(served_->chain, served_->roots, options_.service, Seconds(wall));
  if (!valid.ok()) {
    return absl::FailedPreconditionError("the certificate that is served: " +
                                         std::string(valid.message()));
  }
  return VerifiedByTargets(served_->chain, Seconds(wall));
}

void WebhookCertificates::WakeAt(TimePoint time) {
  deadline_ = std::min(deadline_.value_or(time), time);
}

Duration WebhookCertificates::Delay(const kube::BackoffOptions& options, int failures) const {
  return kube::Backoff(options, failures, [this] {
    std::array<std::byte, sizeof(std::uint64_t)> octets{};
    random_(octets);
    return static_cast<double>(std::bit_cast<std::uint64_t>(octets) >> 11U) * 0x1p-53;
  });
}

}  // namespace stentor::controller
