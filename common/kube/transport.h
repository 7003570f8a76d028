// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The port through which the API server is reached: two calls, one answer or one stream of bytes.
/// common/io/cpprest_transport.h implements it; tests have fakes.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace stentor::kube {

/// Which requests wait for which, where many are to be made (io::KubeClient).
enum class Priority : std::uint8_t {
  kUrgent,      ///< Never waits: the Lease, a TokenReview. For the few that something depends on.
  kNormal,      ///< Waits for others of its kind.
  kBackground,  ///< The same, few at a time and a moment later: what nobody waits for (events).
};

/// Request::accept for who needs only the metadata of an object, or of a list of them.
inline constexpr const char* kMetadataOnly =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
inline constexpr const char* kMetadataOnlyList =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// One request. `path` begins with '/' and carries its query, percent-encoded.
struct Request {
  std::string method = "GET";
  std::string path;
  std::string content_type = "application/json";  ///< Of `body`; unused where it is empty.
  std::string body;
  std::string accept = "application/json";  ///< What the answer may be; metadata only, say.
  Priority priority = Priority::kNormal;
  /// All that it may take, from the call to the whole answer, waiting and retry included; beyond,
  /// it is given up (DeadlineExceeded), while the server may still do it. Kept by io::KubeClient.
  /// None: the transport gives up after a time without progress.
  std::optional<Duration> time_limit;
};

/// An HTTP answer of any code: 4xx and 5xx are answers too (StatusFromHttp).
struct Response {
  int code = 0;
  std::string body;
  std::optional<Duration> retry_after;  ///< Header Retry-After, where it gives seconds.
};

/// Something under way. Destroying it cancels it; nothing is called back afterwards.
class KubeCall {
 public:
  virtual ~KubeCall() = default;
};

/// What a watch tells. `on_open` comes once, when the server answered 200; then `on_bytes`, any
/// cut; `on_end` is last and comes once: OK where the server closed the stream in order, else why
/// not (StatusFromHttp for an answer other than 200). `retry_after` as in Response.
struct WatchEvents {
  std::function<void()> on_open;
  std::function<void(std::string_view bytes)> on_bytes;
  std::function<void(const absl::Status& status, std::optional<Duration> retry_after)> on_end;
};

using ResponseHandler = std::function<void(absl::StatusOr<Response>)>;

/// Callbacks run on the event loop's thread, never from within the call that was made. A callback
/// may destroy its own KubeCall. All calls must be destroyed before the transport.
class KubeTransport {
 public:
  virtual ~KubeTransport() = default;

  /// Any number may be under way. Errors are of the connection: Unavailable, DeadlineExceeded,
  /// PermissionDenied (unusable credentials), DataLoss (an answer that is too long).
  [[nodiscard]] virtual std::unique_ptr<KubeCall> Send(Request request,
                                                       ResponseHandler handler) = 0;

  /// Begins to read the stream at `path` (with query).
  [[nodiscard]] virtual std::unique_ptr<KubeCall> Watch(std::string path, WatchEvents events) = 0;
};

/// The status for an HTTP code; OK for 2xx. Its message is that of the metav1.Status in `body`
/// where there is one. 401, 403: PermissionDenied. 404: NotFound. 409: Aborted, or AlreadyExists
/// where the reason says so. 410: OutOfRange, as is a resourceVersion that is ahead of the server's
/// (504; etcd was restored from a backup): both mean that only a list helps. 400, 422:
/// InvalidArgument. 429, 5xx and all others: Unavailable.
[[nodiscard]] absl::Status StatusFromHttp(int code, std::string_view body);

/// The same for an answer, or why there is none.
[[nodiscard]] inline absl::Status StatusOf(const Response& response) {
  return StatusFromHttp(response.code, response.body);
}
[[nodiscard]] inline absl::Status StatusOf(const absl::StatusOr<Response>& response) {
  return response.ok() ? StatusOf(*response) : response.status();
}

/// The header Retry-After, where it gives seconds; at most an hour, beyond which it would be as
/// good as never.
[[nodiscard]] std::optional<Duration> ParseRetryAfter(std::string_view value);

}  // namespace stentor::kube
