// SPDX-License-Identifier: Apache-2.0
#include "common/kube/reflector.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"
#include "common/kube/url.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

// A watch that ends sooner than this, and brought nothing, counts as a failure: otherwise a server
// or proxy that closes each stream at once would be asked in a tight loop.
constexpr Duration kShortWatch = std::chrono::seconds(5);
// So many lists in succession that expire between two pages, and the next is asked for in one
// piece.
constexpr int kMaxTorn = 3;

bool IsRefusal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kPermissionDenied ||
         status.code() == absl::StatusCode::kNotFound ||
         status.code() == absl::StatusCode::kInvalidArgument;
}

}  // namespace

Reflector::Reflector(ReflectorOptions options, Uniform uniform)
    : options_(std::move(options)), uniform_(std::move(uniform)) {}

std::string Reflector::Query() const {
  std::string query = "?";
  if (!options_.field_selector.empty()) {
    StrAppend(&query, "fieldSelector=", PercentEncode(options_.field_selector), "&");
  }
  if (!options_.label_selector.empty()) {
    StrAppend(&query, "labelSelector=", PercentEncode(options_.label_selector), "&");
  }
  return query;
}

ReflectorAction Reflector::Next(TimePoint now) {
  if (phase_ == Phase::kWatching && now >= due_) {
    if (stream_open_) {
      phase_ = Phase::kWatchDue;  // silent for too long: to resume where it was costs little
    } else {
      Relist();  // no answer at all: a list finds out what is wrong, and tells
    }
    due_ = now;
  }
  if (phase_ == Phase::kListDue && now >= due_) {
    if (continue_.empty()) {
      ++generation_;
    }
    phase_ = Phase::kListing;
    std::string path = StrCat(options_.path, Query(), "limit=", whole_ ? 0 : options_.page_size);
    if (!continue_.empty()) {
      StrAppend(&path, "&continue=", PercentEncode(continue_));
    }
    return FetchPage{std::move(path)};
  }
  if (phase_ == Phase::kWatchDue && now >= due_) {
    phase_ = Phase::kWatching;
    splitter_.Reset();
    stream_open_ = false;
    opened_ = now;
    due_ = now + options_.open_limit;
    // Jitter, so that the watches of many clients don't all end together.
    const int timeout_seconds = 240 + static_cast<int>(uniform_() * 60);
    return OpenWatch{StrCat(options_.path, Query(), "watch=true&allowWatchBookmarks=true",
                            "&resourceVersion=", PercentEncode(resource_version_),
                            "&timeoutSeconds=", timeout_seconds)};
  }
  return Wait{};
}

std::optional<TimePoint> Reflector::NextDeadline() const {
  if (phase_ == Phase::kListing) {
    return std::nullopt;  // the transport bounds a request
  }
  return due_;
}

void Reflector::Relist() {
  phase_ = Phase::kListDue;
  continue_.clear();
  resource_version_.clear();
}

void Reflector::Expire(TimePoint now) {
  Relist();
  // At once the first time; but a server whose every answer is "expired" is not asked in a loop.
  due_ = ++restarts_ == 1 ? now : now + Backoff(options_.backoff, restarts_ - 1, uniform_);
}

void Reflector::BackOff(TimePoint now, const absl::Status& status,
                        std::optional<Duration> retry_after) {
  ++failures_;
  due_ = now + RetryDelay(IsRefusal(status) ? options_.refused_backoff : options_.backoff,
                          failures_, retry_after, uniform_);
}

void Reflector::Postpone(TimePoint now) {
  if (phase_ == Phase::kListDue && failures_ > 0) {
    due_ = now + Backoff(options_.patient_backoff, failures_, uniform_);
  }
}

void Reflector::RetryWithin(TimePoint now, Duration delay) {
  if (phase_ == Phase::kListDue && failures_ > 0) {
    due_ = std::min(due_, now + delay);
    failures_ = 1;
  }
}

void Reflector::PollLater(TimePoint now, Duration delay) {
  Relist();
  due_ = now + delay;
}

void Reflector::PollSoon(TimePoint now, Duration least) {
  if (phase_ == Phase::kListDue && refusals_ > 0 && failures_ == 0) {
    due_ = std::min(due_, std::max(now, listed_ + least));
  }
}

ReflectorOutput Reflector::OnPage(TimePoint now, const absl::StatusOr<Response>& page) {
  ReflectorOutput output;
  if (phase_ != Phase::kListing) {
    return output;
  }
  phase_ = Phase::kListDue;
  absl::Status status = StatusOf(page);
  if (status.ok()) {
    status = ApplyPage(*page, output);
  }
  if (status.ok()) {
    failures_ = 0;
    output.healthy = true;
    due_ = now;
    if (output.list_complete) {
      listed_ = now;
      if (polls_left_ > 0 && --polls_left_ > 0) {
        PollLater(now, options_.poll_interval);
      }
    }
    return output;
  }
  if (absl::IsOutOfRange(status) && !continue_.empty()) {
    // The list's snapshot was compacted away between two pages. The token to go on with that comes
    // with it would join pages of different times: what moved between them would be missed.
    whole_ = ++torn_ >= kMaxTorn;
    Expire(now);
    return output;
  }
  BackOff(now, status, page.ok() ? page->retry_after : std::nullopt);
  output.trouble = std::move(status);
  return output;
}

absl::Status Reflector::ApplyPage(const Response& response, ReflectorOutput& output) {
  STENTOR_ASSIGN_OR_RETURN(json list, ParseApiJson(response.body));
  const json& metadata = Member(list, "metadata");
  std::string version = TextMember(metadata, "resourceVersion");
  if (version.empty()) {
    return absl::DataLossError("a list without metadata.resourceVersion");
  }
  if (const auto items = list.find("items"); items != list.end() && !items->is_null()) {
    if (!items->is_array()) {
      return absl::DataLossError("a list whose items are none");  // not: everything was deleted
    }
    for (json& item : *items) {
      STENTOR_RETURN_IF_ERROR(ApplyItem(item, output));
    }
  }
  continue_ = TextMember(metadata, "continue");
  if (!continue_.empty()) {
    return absl::OkStatus();
  }
  resource_version_ = std::move(version);
  torn_ = 0;
  whole_ = false;
  DropUnseen(output);
  output.list_complete = true;
  phase_ = Phase::kWatchDue;
  return absl::OkStatus();
}

absl::Status Reflector::ApplyItem(json& item, ReflectorOutput& output) {
  STENTOR_ASSIGN_OR_RETURN(const model::ObjectKey key, DecodeKey(item));
  std::string version = TextMember(Member(item, "metadata"), "resourceVersion");
  const auto [it, is_new] = known_.try_emplace(key);
  it->second.generation = generation_;
  if (is_new || version.empty() || it->second.resource_version != version) {
    it->second.resource_version = std::move(version);
    output.deltas.emplace_back(Upsert{std::move(item)});
  }
  return absl::OkStatus();
}

void Reflector::DropUnseen(ReflectorOutput& output) {
  std::vector<model::ObjectKey> gone;
  for (const auto& [key, known] : known_) {
    if (known.generation != generation_) {
      gone.push_back(key);
    }
  }
  std::sort(gone.begin(), gone.end());  // the map's order is random; what comes out shall not be
  for (model::ObjectKey& key : gone) {
    known_.erase(key);
    output.deltas.emplace_back(Delete{std::move(key)});
  }
}

ReflectorOutput Reflector::OnWatchOpen(TimePoint now) {
  ReflectorOutput output;
  if (phase_ == Phase::kWatching) {
    stream_open_ = true;
    refusals_ = 0;
    output.healthy = true;
    due_ = now + options_.idle_limit;
  }
  return output;
}

ReflectorOutput Reflector::OnWatchBytes(TimePoint now, std::string_view bytes) {
  ReflectorOutput output;
  if (phase_ != Phase::kWatching) {
    return output;
  }
  due_ = now + options_.idle_limit;
  absl::StatusOr<std::vector<std::string>> lines = splitter_.Feed(bytes);
  absl::Status status = lines.status();
  if (lines.ok()) {
    for (const std::string& line : *lines) {
      status = ApplyLine(line, output);
      if (!status.ok()) {
        break;
      }
      failures_ = 0;
      restarts_ = 0;
    }
  }
  if (status.ok()) {
    return output;
  }
  if (absl::IsOutOfRange(status)) {  // our resourceVersion was compacted away
    Expire(now);
    return output;
  }
  // What can't be read may hide a change: only a list tells. Where the server itself is in trouble,
  // the stream can be resumed.
  if (absl::IsDataLoss(status) || absl::IsInvalidArgument(status)) {
    Relist();
  } else {
    phase_ = Phase::kWatchDue;
  }
  BackOff(now, status, std::nullopt);
  output.trouble = std::move(status);
  return output;
}

absl::Status Reflector::ApplyLine(std::string_view line, ReflectorOutput& output) {
  STENTOR_ASSIGN_OR_RETURN(json event, ParseApiJson(line));
  const std::string type = TextMember(event, "type");
  const auto object = event.is_object() ? event.find("object") : event.end();
  if (type.empty() || object == event.end() || !object->is_object()) {
    return absl::DataLossError("a watch event without type or object");
  }
  if (type == "ERROR") {
    const json& code = Member(*object, "code");
    const absl::Status status =
        StatusFromHttp(code.is_number_integer() ? code.get<int>() : 500, DumpJson(*object));
    return status.ok() ? absl::UnavailableError("a watch error without a code") : status;
  }
  std::string version = TextMember(Member(*object, "metadata"), "resourceVersion");
  if (version.empty()) {
    return absl::DataLossError("a watch event without metadata.resourceVersion");
  }
  if (type == "ADDED" || type == "MODIFIED") {
    STENTOR_RETURN_IF_ERROR(ApplyItem(*object, output));
  } else if (type == "DELETED") {
    STENTOR_ASSIGN_OR_RETURN(model::ObjectKey key, DecodeKey(*object));
    if (known_.erase(key) > 0) {
      output.deltas.emplace_back(Delete{std::move(key)});
    }
  } else if (type != "BOOKMARK") {
    return absl::DataLossError(StrCat("a watch event of unknown type ", type));
  }
  resource_version_ = std::move(version);
  return absl::OkStatus();
}

ReflectorOutput Reflector::OnWatchEnd(TimePoint now, const absl::Status& status,
                                      std::optional<Duration> retry_after) {
  ReflectorOutput output;
  if (phase_ != Phase::kWatching) {
    return output;
  }
  phase_ = Phase::kWatchDue;
  if (absl::IsOutOfRange(status)) {
    Expire(now);
    return output;
  }
  if (stream_open_) {
    // Streams end, in order or not: a connection that did its work is asked for again at once.
    if (now - opened_ >= kShortWatch) {
      failures_ = 0;
      restarts_ = 0;
      due_ = now;
      return output;
    }
    BackOff(now, status, retry_after);
    return output;
  }
  if (absl::IsPermissionDenied(status)) {
    // The list was granted a moment ago. The first time that may be a credential that has just
    // expired, or rules that are being replaced; after that it is the verb.
    ++refusals_;
    output.polling = refusals_ == 2;
    polls_left_ = std::min(options_.max_polls, 1 << std::min(refusals_ - 1, 16));
    PollLater(now, refusals_ == 1 ? options_.refused_backoff.initial : options_.poll_interval);
    return output;
  }
  if (absl::IsNotFound(status) || absl::IsInvalidArgument(status)) {
    // It would be refused for ever: the resource has gone, or its versions have begun anew.
    Relist();
  }
  BackOff(now, status, retry_after);
  output.trouble = status.ok() ? absl::UnavailableError("the watch ended before it began") : status;
  return output;
}

}  // namespace stentor::kube
