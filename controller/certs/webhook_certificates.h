// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Keeps the webhooks' certificates: makes them, renews them, and sees to it that the API server
/// trusts a certificate before it is served. Any number of replicas do this at once, without a
/// leader: the Secret is the only thing that they agree on, whoever writes it first has won, and
/// everybody goes on from what it says. Pure: requests come out, what the watches show goes in.
///
///   certificates.SecretSeen(secret);                    // from a watch of that one Secret
///   certificates.TargetSeen(0, object, now);            // from a watch of each target
///   actions = certificates.Poll(now, wall);             // after each input, and at NextDeadline()
///   ... send actions.write_secret  -> certificates.SecretWritten(status, now)
///   ... send actions.inject        -> certificates.Injected(target, status, now)
///   ... give actions.serve to the TLS server
///   health.Set("webhook certificate", certificates.Ready(wall).ok());
///
/// Make before break. A new CA is written together with the certificate that it signed, with the
/// old CA behind it in ca.crt. All of ca.crt is injected; a replica goes on with its old
/// certificate until every target has held the new CA for kSettle, since API servers hear of it one
/// after the other. Nothing is taken out of a bundle that does not belong there until it has stood
/// unchanged for kPruneAfter: a replica that sees the Secret late must not undo what one has done
/// that sees it early. So certificates that are renewed in time are never refused.
///
/// Clocks. A certificate is judged by the wall clock. After a step of it, and where a certificate
/// begins in the future, nothing is renewed for kDoubt, so that a clock that is being set, or one
/// replica whose clock is wrong, does not cost the others their certificates.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/crypto/x509.h"
#include "common/kube/backoff.h"
#include "common/kube/transport.h"
#include "common/model/objects.h"
#include "controller/certs/objects.h"
#include "controller/certs/policy.h"

namespace stentor::controller {

inline constexpr Duration kSettle = std::chrono::minutes(5);
inline constexpr Duration kPruneAfter = std::chrono::minutes(15);
inline constexpr Duration kDoubt = std::chrono::minutes(10);

/// What the shell is to do. Reasons are fit for a log line; the body of write_secret never is.
struct CertificateActions {
  struct SecretWrite {
    kube::Request request;
    std::string reason;
  };
  struct Serving {
    crypto::PemPair pair;  ///< For all new connections, until the next one.
    std::chrono::sys_seconds not_after;
  };
  struct Injection {
    std::size_t target = 0;  ///< Its place in the options.
    kube::Request request;
    std::string reason;
  };
  std::optional<SecretWrite> write_secret;
  std::optional<Serving> serve;
  std::vector<Injection> inject;
};

struct WebhookCertificateOptions {
  model::ObjectKey secret;
  WebhookService service;
  std::vector<BundleTarget> targets;
};

/// Not thread-safe.
class WebhookCertificates {
 public:
  WebhookCertificates(WebhookCertificateOptions options, RandomOctets random);

  /// The Secret as it is now; absent: it does not exist.
  void SecretSeen(const std::optional<WebhookSecret>& secret);
  /// A target as it is now; absent: it does not exist, or this program may not read it, so that
  /// there is nothing to inject and nothing to wait for. `target`: its place in the options.
  void TargetSeen(std::size_t target, std::optional<TargetObject> object, TimePoint now);

  /// What became of the request that was returned last. Aborted and AlreadyExists: another replica
  /// was faster, and the watch brings what it wrote.
  void SecretWritten(const absl::Status& status, TimePoint now);
  void Injected(std::size_t target, const absl::Status& status, TimePoint now);

  /// What is to be done at `now`. Errors of the certificate library (out of memory, a Service whose
  /// name is no DNS name) are told by Ready().
  [[nodiscard]] CertificateActions Poll(TimePoint now, WallTime wall);
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const { return deadline_; }

  /// OK while the API server can verify what is served: a certificate is served, is valid, and the
  /// bundle of every target verifies it. Otherwise FailedPrecondition, with what is missing.
  [[nodiscard]] absl::Status Ready(WallTime wall) const;

 private:
  using Certificates = std::vector<crypto::Certificate>;

  struct Target {
    BundleTarget target;
    bool known = false;
    std::optional<TargetObject> object;
    std::vector<Certificates> bundles;  // of each place; empty where it can't be read
    TimePoint unchanged_since;
    bool writing = false;
    bool refused = false;  // the last bundle; so the next one carries nothing foreign
    int failures = 0;
    TimePoint written_at;
    TimePoint not_before;  // of the next attempt
  };

  struct Served {
    Certificates chain;
    Certificates roots;  // those that verify it
    crypto::PemPair pair;
  };

  void NoteClock(TimePoint now, WallTime wall);
  void PollServing(TimePoint now, std::chrono::sys_seconds at, CertificateActions* actions);
  void PollSecret(TimePoint now, std::chrono::sys_seconds at, CertificateActions* actions);
  void PollTarget(std::size_t index, TimePoint now, std::chrono::sys_seconds at,
                  CertificateActions* actions);
  void Serve(std::chrono::sys_seconds at, CertificateActions* actions);
  void WakeAt(TimePoint time);
  [[nodiscard]] Duration Delay(const kube::BackoffOptions& options, int failures) const;

  // Whether every target that can hold a bundle holds one that verifies `chain`.
  [[nodiscard]] absl::Status VerifiedByTargets(const Certificates& chain,
                                               std::chrono::sys_seconds at) const;
  // What has to be in every bundle.
  [[nodiscard]] Certificates Required(std::chrono::sys_seconds at) const;
  // What `target` should hold, and why; absent: what it holds will do.
  [[nodiscard]] std::optional<CertificateActions::Injection> Wanted(std::size_t index,
                                                                    TimePoint now,
                                                                    std::chrono::sys_seconds at);

  WebhookCertificateOptions options_;
  RandomOctets random_;

  bool secret_known_ = false;
  std::optional<WebhookSecret> secret_;  // uid and version only; the texts are in material_
  CertificateMaterial material_;
  std::optional<Served> served_;
  std::optional<TimePoint> trusted_since_;  // that all targets verify the Secret's certificate
  std::vector<Target> targets_;

  bool writing_secret_ = false;
  int writes_ = 0;  // without a quiet hour between them
  TimePoint next_write_;
  std::optional<TimePoint> good_since_;
  std::optional<TimePoint> doubtful_since_;
  TimePoint doubt_until_;
  std::string issue_trouble_;

  std::optional<TimePoint> last_poll_;
  WallTime last_wall_;
  std::optional<TimePoint> deadline_;
};

}  // namespace stentor::controller
