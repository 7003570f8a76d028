// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Keeps up with one resource of the API server: list in pages, then watch, for ever. Where the
/// account may list but not watch (pods, in MetalLB's manifests), the list is polled. Pure: answers
/// and bytes go in; changes, and what to ask next, come out.
///
/// Lists rather than streaming lists (sendInitialEvents, since 1.27 in parts): they work on all API
/// servers, and cost a client that decodes page by page no more memory; what streaming saves is the
/// server's. A list without resourceVersion is never behind what was seen before. Bookmarks are
/// asked for and not relied on: without them a version grows old, and a 410 makes a new list, which
/// tells only what changed.
/// https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/container/node_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/kube/backoff.h"
#include "common/kube/transport.h"
#include "common/kube/watch_splitter.h"
#include "common/model/types.h"

namespace stentor::kube {

struct ReflectorOptions {
  std::string path;            ///< "/api/v1/services"
  std::string field_selector;  ///< Not encoded: "spec.type=LoadBalancer"; empty: all.
  std::string label_selector;
  int page_size = 500;

  /// After failures of the connection or the server. The maximum bounds how long a new Service
  /// waits once the API server is back.
  BackoffOptions backoff{std::chrono::milliseconds(100), std::chrono::seconds(2)};
  /// After 400, 401, 403, 404: they heal only by somebody's action (a CRD, a ClusterRole).
  BackoffOptions refused_backoff{std::chrono::seconds(1), std::chrono::seconds(10)};
  /// The same for who can do without the resource: see Postpone().
  BackoffOptions patient_backoff{std::chrono::seconds(5), std::chrono::seconds(300)};
  /// Between two lists while to watch is forbidden, which is believed when it is refused twice in
  /// succession. The watch is tried again after 2, 4 and so on up to `max_polls` lists.
  Duration poll_interval = std::chrono::seconds(10);
  int max_polls = 32;
  /// A watch that the server has not answered for this long is given up for a new list.
  Duration open_limit = std::chrono::seconds(30);
  /// A watch without any byte for this long is asked again: bookmarks come about once a minute.
  Duration idle_limit = std::chrono::seconds(120);
};

/// The object is new or changed.
struct Upsert {
  nlohmann::json object;
};
/// The object is gone, or no longer selected.
struct Delete {
  model::ObjectKey key;
};
using Delta = std::variant<Upsert, Delete>;

/// What an input brought.
struct ReflectorOutput {
  std::vector<Delta> deltas;
  bool list_complete = false;           ///< With the deltas before it, all objects are known.
  std::optional<absl::Status> trouble;  ///< An attempt failed; repeated for each attempt.
  bool healthy = false;                 ///< An attempt succeeded.
  bool polling = false;                 ///< To watch is forbidden: the list is polled from now on.
};

/// What the caller has to do; it drops whatever call of this reflector is still under way first.
struct FetchPage {
  std::string path;
};
struct OpenWatch {
  std::string path;
};
/// Nothing new: keep what is under way, and call again at NextDeadline().
struct Wait {};
using ReflectorAction = std::variant<Wait, FetchPage, OpenWatch>;

/// State: the key and resourceVersion of each object, nothing else of it. Not thread-safe.
class Reflector {
 public:
  Reflector(ReflectorOptions options, Uniform uniform);

  /// What to do now. Call it first, after each input, and at NextDeadline().
  [[nodiscard]] ReflectorAction Next(TimePoint now);

  /// The answer to FetchPage.
  [[nodiscard]] ReflectorOutput OnPage(TimePoint now, const absl::StatusOr<Response>& page);
  /// The course of OpenWatch, as in WatchEvents.
  [[nodiscard]] ReflectorOutput OnWatchOpen(TimePoint now);
  [[nodiscard]] ReflectorOutput OnWatchBytes(TimePoint now, std::string_view bytes);
  [[nodiscard]] ReflectorOutput OnWatchEnd(TimePoint now, const absl::Status& status,
                                           std::optional<Duration> retry_after);

  /// After `trouble` that is a refusal: who can do without the resource need not ask so soon.
  void Postpone(TimePoint now);
  /// After `trouble`: the next attempt is made within `delay`, and the waits begin anew. For who
  /// learned that it may succeed now.
  void RetryWithin(TimePoint now, Duration delay);
  /// While the list is polled: asks for it now, but not within `least` of the last time.
  void PollSoon(TimePoint now, Duration least);

  /// When Next() has to be called, whatever happens.
  [[nodiscard]] std::optional<TimePoint> NextDeadline() const;

  /// Objects known.
  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  enum class Phase : std::uint8_t {
    kListDue,   // FetchPage once due_ has come
    kListing,   // a page is under way
    kWatchDue,  // OpenWatch once due_ has come
    kWatching,
  };
  struct Known {
    std::string resource_version;
    std::uint32_t generation = 0;  // of the list that last saw it
  };

  void Relist();
  void BackOff(TimePoint now, const absl::Status& status, std::optional<Duration> retry_after);
  void Expire(TimePoint now);
  void PollLater(TimePoint now, Duration delay);
  [[nodiscard]] absl::Status ApplyPage(const Response& response, ReflectorOutput& output);
  [[nodiscard]] absl::Status ApplyItem(nlohmann::json& item, ReflectorOutput& output);
  [[nodiscard]] absl::Status ApplyLine(std::string_view line, ReflectorOutput& output);
  void DropUnseen(ReflectorOutput& output);
  [[nodiscard]] std::string Query() const;

  const ReflectorOptions options_;
  const Uniform uniform_;
  absl::node_hash_map<model::ObjectKey, Known> known_;
  WatchSplitter splitter_;
  Phase phase_ = Phase::kListDue;
  TimePoint due_{};     // kListDue, kWatchDue; while kWatching: when it is given up
  TimePoint opened_{};  // when the watch was asked for
  bool stream_open_ = false;
  TimePoint listed_{};  // when the last list was complete
  int polls_left_ = 0;  // before the watch is tried again
  int refusals_ = 0;    // of the watch, in succession
  int failures_ = 0;    // in succession
  int restarts_ = 0;    // "expired" (410) in succession, without any event between
  int torn_ = 0;        // of these, lists between two pages
  bool whole_ = false;  // the next list is asked for in one piece
  std::uint32_t generation_ = 0;
  std::string continue_;          // token of the next page; empty: the first
  std::string resource_version_;  // to watch from
};

}  // namespace stentor::kube
