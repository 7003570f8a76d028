// SPDX-License-Identifier: Apache-2.0
#include "common/io/file_saver.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>

#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "common/io/lifetime.h"

namespace stentor::io {
namespace {

absl::Status Failure(std::string_view what, const std::string& path) {
  const int error = errno;
  const std::string text = StrCat(what, " ", path, ": ", std::generic_category().message(error));
  return error == ENOSPC || error == EDQUOT ? absl::ResourceExhaustedError(text)
                                            : absl::UnavailableError(text);
}

absl::Status WriteAll(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) {
      return Failure("writing", path);
    }
    bytes.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
  }
  // Else a crash could leave a new name with nothing in it.
  return fsync(fd) == 0 ? absl::OkStatus() : Failure("syncing", path);
}

// Makes the new name last. Not every file system can; then it lasts a little later.
void SyncFolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const UniqueFd fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.IsOpen()) {
    (void)fsync(fd.Get());
  }
}

}  // namespace

absl::Status WriteFileAtomically(const std::string& path, const std::string& bytes) {
  const std::string other = path + ".new";
  // What an earlier run left behind is not followed, whatever it is by now.
  (void)unlink(other.c_str());
  UniqueFd fd(
      open(other.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!fd.IsOpen()) {
    return Failure("creating", other);
  }
  absl::Status status = WriteAll(fd.Get(), other, bytes);
  fd = UniqueFd();
  if (status.ok() && std::rename(other.c_str(), path.c_str()) != 0) {
    status = Failure("renaming to", path);
  }
  if (!status.ok()) {
    (void)unlink(other.c_str());
    return status;
  }
  SyncFolderOf(path);
  return absl::OkStatus();
}

struct FileSaver::Impl {
  EventLoop& loop;
  const std::string path;
  boost::asio::thread_pool thread{1};
  Lifetime lifetime;  // last: callbacks end first
};

FileSaver::FileSaver(EventLoop& loop, std::string path)
    : impl_(new Impl{.loop = loop, .path = std::move(path), .lifetime = {}}) {}

FileSaver::~FileSaver() { impl_->thread.join(); }

void FileSaver::Write(std::string bytes, std::function<void(const absl::Status&)> done) {
  auto on_loop = impl_->lifetime.Bind(std::move(done));
  boost::asio::post(impl_->thread, [this, bytes = std::move(bytes), on_loop]() mutable {
    absl::Status status = WriteFileAtomically(impl_->path, bytes);
    impl_->loop.Post([on_loop, status = std::move(status)]() mutable { on_loop(status); });
  });
}

}  // namespace stentor::io
