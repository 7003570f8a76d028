// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/member_secret.h"

#include <chrono>
#include <cstddef>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/io/read_file.h"

namespace stentor::speaker {
namespace {

constexpr std::size_t kMaxOctets = 64 * 1024;
constexpr Duration kLookInterval = std::chrono::seconds(5);

}  // namespace

MemberSecret::MemberSecret(io::EventLoop& loop, const obs::Logger& log, std::string folder,
                           std::string fixed)
    : loop_(loop), log_(log), folder_(std::move(folder)), timer_(loop) {
  if (folder_.empty()) {
    rotation_.emplace(std::move(fixed));
  }
}

absl::Status MemberSecret::Start() {
  if (folder_.empty()) {
    return absl::OkStatus();
  }
  auto content = Read();
  if (!content.ok()) {
    return absl::NotFoundError(
        StrCat(std::string(content.status().message()),
               ": mount the Secret that --ml-secret-name of the controller names, or leave "
               "--ml-secret-key-path away"));
  }
  rotation_.emplace(std::move(content->secret), std::move(content->former));
  return absl::OkStatus();
}

void MemberSecret::Follow(std::function<void()> on_change, std::function<bool()> all_hold_newest) {
  on_change_ = std::move(on_change);
  all_hold_newest_ = std::move(all_hold_newest);
  if (!folder_.empty()) {
    timer_.ArmToTheSecond(kLookInterval, [this] { Look(); });
  }
}

absl::StatusOr<MemberSecret::Content> MemberSecret::Read() const {
  Content content;
  STENTOR_ASSIGN_OR_RETURN(content.secret, io::ReadFile(folder_ + "/secretkey", kMaxOctets));
  auto former = io::ReadFile(folder_ + "/secretkey.previous", kMaxOctets);
  if (!former.ok() && !absl::IsNotFound(former.status())) {
    return former.status();
  }
  content.former = std::move(former).value_or("");
  return content;
}

void MemberSecret::Look() {
  timer_.ArmToTheSecond(kLookInterval, [this] { Look(); });
  const auto content = Read();
  const bool usable = content.ok() && !content->secret.empty();
  if (unreadable_ == usable) {
    unreadable_ = !usable;
    if (!usable) {
      log_.Log(obs::Event::kMembershipKeyUnreadable,
               StrCat(content.ok() ? folder_ + "/secretkey is empty"
                                   : std::string(content.status().message()),
                      ": the key that was read before stays in force"));
    }
  }
  const std::string sealing = rotation_->secrets().front();
  bool changed = usable && rotation_->Update(loop_.Now(), content->secret, content->former);
  if (rotation_->secrets().front() != sealing) {
    log_.Log(obs::Event::kMembershipKeyChanged,
             "the memberlist key was replaced; the former one is accepted until all speakers have "
             "the new one");
  }
  if (rotation_->Poll(loop_.Now(), all_hold_newest_())) {
    changed = true;
    log_.Log(obs::Event::kMembershipKeyRetired,
             "the former memberlist key is not accepted any more");
  }
  if (rotation_->TakeOverdue(loop_.Now())) {
    log_.Log(obs::Event::kMembershipKeyStillInUse,
             "a living speaker still does not have the new memberlist key; the former one stays "
             "accepted until it has");
  }
  if (changed) {
    on_change_();
  }
}

}  // namespace stentor::speaker
