// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/conflict_notices.h"

#include <algorithm>
#include <utility>

namespace stentor::speaker {

ConflictNotices::ConflictNotices(const ConflictOptions& options)
    : interval_(options.notice_interval),
      burst_(options.notice_burst),
      refill_(std::max<Duration>(options.notice_refill, std::chrono::milliseconds(1))),
      credit_(options.notice_burst) {}

bool ConflictNotices::Add(ConflictNotice notice, TimePoint now) {
  const Key key(notice.address, notice.foreign, notice.kind);
  if (const auto told = told_.find(key); told != told_.end() && now - told->second < interval_) {
    return false;
  }
  if (refilled_ && now > *refilled_) {
    const double earned = std::chrono::duration<double>(now - *refilled_) / refill_;
    credit_ = std::min<double>(burst_, credit_ + earned);
  }
  refilled_ = refilled_ ? std::max(*refilled_, now) : now;
  // The second condition: nobody may be taking them.
  if (credit_ < 1 || pending_.size() >= burst_) {
    return false;
  }
  credit_ -= 1;
  std::erase_if(told_, [this, now](const auto& item) { return now - item.second >= interval_; });
  told_[key] = now;
  pending_.push_back(std::move(notice));
  return true;
}

std::vector<ConflictNotice> ConflictNotices::Take() { return std::exchange(pending_, {}); }

}  // namespace stentor::speaker
