// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "common/io/event_loop.h"
#include "common/io/file_saver.h"
#include "common/obs/log.h"
#include "speaker/state/saved_state.h"
#include "speaker/state/state_keeper.h"

namespace stentor::speaker {

/// The file in --state-dir: read once at the start, and written when something has changed. Lives
/// on the event loop's thread; loop and log must outlive it.
class StateStore {
 public:
  StateStore(io::EventLoop& loop, const obs::Logger& log, const std::string& folder,
             StateIdentity identity, StateKeeper::Sources sources);
  ~StateStore();
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  /// What an earlier run left. Nothing where there is no file; where it can't be used, that is
  /// logged.
  [[nodiscard]] std::optional<SavedState> Load() const;

  /// Something has changed, or has become known as a whole.
  template <typename Object>
  void Upsert(const Object& object) {
    keeper_.Upsert(object);
    Schedule();
  }
  void Delete(Resource resource, const model::ObjectKey& key);
  void NoteSourcesChanged();
  void Complete();

 private:
  void Schedule();
  void Poll();
  void OnWritten(const absl::Status& outcome);

  io::EventLoop& loop_;
  const obs::Logger& log_;
  const std::string path_;
  const StateIdentity identity_;
  StateKeeper keeper_;
  io::FileSaver saver_;
  io::Timer timer_;
  bool scheduled_ = false;
};

}  // namespace stentor::speaker
