// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/io/event_loop.h"

namespace stentor::io {

/// Replaces the file `path` by one that holds `bytes` and that only its owner may read: whoever
/// reads it finds the old content or the new one, also after a crash. Waits for the disk.
[[nodiscard]] absl::Status WriteFileAtomically(const std::string& path, const std::string& bytes);

/// The same beside the event loop, which a disk must not hold up. Lives on the event loop's thread.
class FileSaver {
 public:
  /// `loop` must outlive it.
  FileSaver(EventLoop& loop, std::string path);
  /// Waits for a write that is under way; nothing is called back afterwards.
  ~FileSaver();
  FileSaver(const FileSaver&) = delete;
  FileSaver& operator=(const FileSaver&) = delete;

  /// `done` is called from the loop. Writes are done in the order of the calls.
  void Write(std::string bytes, std::function<void(const absl::Status&)> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stentor::io
