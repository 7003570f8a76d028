// SPDX-License-Identifier: Apache-2.0
#include "speaker/app/state_store.h"

#include <utility>

#include "common/base/strings.h"
#include "common/io/read_file.h"

namespace stentor::speaker {
namespace {

constexpr const char* kFileName = "/speaker-state";

}  // namespace

StateStore::StateStore(io::EventLoop& loop, const obs::Logger& log, const std::string& folder,
                       StateIdentity identity, StateKeeper::Sources sources)
    : loop_(loop),
      log_(log),
      path_(folder + kFileName),
      identity_(std::move(identity)),
      keeper_(identity_, std::move(sources)),
      saver_(loop, path_),
      timer_(loop) {}

StateStore::~StateStore() = default;

std::optional<SavedState> StateStore::Load() const {
  const auto text = io::ReadFile(path_, kMaxStateOctets);
  absl::StatusOr<SavedState> state =
      text.ok() ? Decode(*text, identity_) : absl::StatusOr<SavedState>(text.status());
  if (absl::IsNotFound(state.status())) {
    return std::nullopt;
  }
  if (!state.ok()) {
    log_.Log(obs::Event::kStateRefused, StrCat(path_, ": ", std::string(state.status().message())));
    return std::nullopt;
  }
  return *std::move(state);
}

void StateStore::Delete(Resource resource, const model::ObjectKey& key) {
  keeper_.Delete(resource, key);
  Schedule();
}

void StateStore::NoteSourcesChanged() {
  keeper_.NoteSourcesChanged();
  Schedule();
}

void StateStore::Complete() {
  keeper_.Complete();
  Schedule();
}

// In a turn of its own: changes come in swarms.
void StateStore::Schedule() {
  if (!std::exchange(scheduled_, true)) {
    timer_.ArmAt(loop_.Now(), [this] { Poll(); });
  }
}

void StateStore::Poll() {
  scheduled_ = false;
  if (auto bytes = keeper_.Poll(loop_.Now(), loop_.WallNow())) {
    saver_.Write(*std::move(bytes), [this](const absl::Status& outcome) { OnWritten(outcome); });
  }
  if (const auto notice = keeper_.TakeNotice()) {
    log_.Log(notice->ok() ? obs::Event::kStateSaved : obs::Event::kStateNotSaved,
             notice->ok() ? "the state is saved again" : std::string(notice->message()));
  }
  if (const auto deadline = keeper_.NextDeadline()) {
    scheduled_ = true;
    timer_.ArmAt(*deadline, [this] { Poll(); });
  }
}

void StateStore::OnWritten(const absl::Status& outcome) {
  keeper_.OnWritten(loop_.Now(), outcome);
  Schedule();
}

}  // namespace stentor::speaker
