// SPDX-License-Identifier: Apache-2.0
#include "test/support/fake_api_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <list>
#include <mutex>
#include <sstream>
#include <thread>
#include <utility>

#include "test/support/fake_connection.h"
#include "test/support/fake_messages.h"

namespace stentor::test {
namespace {

using nlohmann::json;

}  // namespace

class FakeApiServer::Impl {
 public:
  Impl(const FakeTls* tls, bool is_ipv6) : is_ipv6_(is_ipv6), context_(nullptr, SSL_CTX_free) {
    std::signal(SIGPIPE, SIG_IGN);  // SSL_write to a closed connection
    if (tls != nullptr) {
      context_ = MakeServerContext(*tls);
    }
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_addr = in6addr_loopback;
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const address =
        is_ipv6 ? reinterpret_cast<sockaddr*>(&six) : reinterpret_cast<sockaddr*>(&four);
    socklen_t size = is_ipv6 ? sizeof(six) : sizeof(four);
    listener_ = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bind(listener_, address, size);
    listen(listener_, 256);
    getsockname(listener_, address, &size);
    port_ = ntohs(is_ipv6 ? six.sin6_port : four.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (FakeConnection* connection : connections_) {
        connection->Shutdown();
      }
    }
    changed_.notify_all();
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    close(listener_);
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void Store(const std::string& resource, json object, const std::string& type) {
    const std::string key = KeyOf(object);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    auto& objects = objects_[resource];
    const bool existed = objects.count(key) > 0;
    if (type == "DELETED") {
      objects.erase(key);
    } else {
      objects[key] = object;
    }
    history_.push_back({version_, resource, type.empty() ? (existed ? "MODIFIED" : "ADDED") : type,
                        std::move(object)});
    changed_.notify_all();
  }

  static std::string KeyOf(const json& object) {
    const json& metadata = object.at("metadata");
    return metadata.value("namespace", "") + "/" + metadata.value("name", "");
  }

  struct Event {
    std::uint64_t version;
    std::string resource;
    std::string type;
    json object;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::map<std::string, json>> objects_;
  std::vector<Event> history_;
  std::vector<Fault> faults_;
  std::vector<SeenRequest> requests_;
  std::string token_;
  std::uint64_t version_ = 100;
  std::uint64_t oldest_ = 0;  // watches from before get 410
  std::size_t chunk_size_ = 1 << 20U;
  std::uint64_t end_round_ = 0;
  bool end_in_line_ = false;
  int watches_ = 0;
  int most_connections_ = 0;
  int accepted_ = 0;
  int frozen_ = 0;  // connections up to this number say nothing any more
  int port_ = 0;
  const bool is_ipv6_;
  bool is_tls() const { return context_ != nullptr; }

  // Under the lock.
  void UseTls(const FakeTls& tls) { context_ = MakeServerContext(tls); }
  int CloseIdle() {
    int closed = 0;
    for (FakeConnection* connection : connections_) {
      if (connection->idle()) {
        connection->Shutdown();
        ++closed;
      }
    }
    return closed;
  }

 private:
  void Accept() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const std::lock_guard lock(mutex_);
      if (fd < 0 || stopping_) {
        if (fd >= 0) {
          close(fd);
        }
        return;
      }
      ++accepted_;
      SSL_CTX* const context = context_.get();
      if (context != nullptr) {
        SSL_CTX_up_ref(context);  // it may be replaced before the thread runs
      }
      threads_.emplace_back([this, fd, number = accepted_, context] {
        const SslContext owner(context, SSL_CTX_free);
        Serve(fd, number, context);
      });
    }
  }

  void Serve(int fd, int number, SSL_CTX* context) {
    FakeConnection connection(fd, context);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        return;
      }
      connections_.push_back(&connection);
      most_connections_ = std::max(most_connections_, static_cast<int>(connections_.size()));
    }
    while (auto request = connection.Read()) {
      request->connection = number;
      if (!Handle(connection, *request)) {
        break;
      }
    }
    const std::lock_guard lock(mutex_);
    connections_.remove(&connection);
  }

  // False where the connection is to be closed.
  bool Handle(FakeConnection& connection, const SeenRequest& request) {
    std::unique_lock lock(mutex_);
    if (request.connection <= frozen_) {
      lock.unlock();
      connection.AwaitEnd();
      return false;
    }
    requests_.push_back(request);
    const std::string line = request.method + " " + request.target;
    for (Fault& fault : faults_) {
      if (fault.count > 0 && line.find(fault.match) != std::string::npos) {
        --fault.count;
        const Fault now = fault;
        if (now.kind == FaultKind::kDropAnswer) {
          (void)Unary(request, ParseTarget(request.target));
        }
        lock.unlock();
        return Befall(connection, now);
      }
    }
    if (!token_.empty() && request.authorization != "Bearer " + token_) {
      lock.unlock();
      return connection.Write(Answer(401, Failure(401, "Unauthorized", "Unauthorized")));
    }
    const Target target = ParseTarget(request.target);
    if (request.method == "GET" && target.query.count("watch") > 0) {
      return Watch(connection, target, lock);
    }
    const std::string answer = Unary(request, target);
    lock.unlock();
    return connection.Write(answer);
  }

  static bool Befall(FakeConnection& connection, const Fault& fault) {
    switch (fault.kind) {
      case FaultKind::kStatus:
        return connection.Write(
            Answer(fault.code, Failure(fault.code, "Injected", "injected"), fault.retry_after));
      case FaultKind::kReset:
        connection.MakeReset();
        return false;
      case FaultKind::kSilence:
        connection.AwaitEnd();
        return false;
      case FaultKind::kClose:
      case FaultKind::kDropAnswer:
        break;
    }
    return false;
  }

  std::string Unary(const SeenRequest& request, const Target& target) {
    auto& objects = objects_[target.resource];
    const std::string key = target.name_space + "/" + target.name;
    if (request.method == "GET" && target.name.empty()) {
      return List(target);
    }
    if (request.method == "POST") {
      json object = json::parse(request.body);
      if (objects.count(KeyOf(object)) > 0) {
        return Answer(409, Failure(409, "AlreadyExists", "it already exists"));
      }
      const std::string created = KeyOf(object);
      Store(target.resource, std::move(object), "");
      return Answer(201, objects[created]);
    }
    if (objects.count(key) == 0) {
      return Answer(404, Failure(404, "NotFound", target.resource + " not found"));
    }
    if (request.method == "GET") {
      return Answer(200, objects[key]);
    }
    if (request.method == "DELETE") {
      Store(target.resource, json(objects[key]), "DELETED");
      return Answer(200, Failure(200, "", ""));
    }
    json object = json::parse(request.body);
    if (object["metadata"].value("resourceVersion", json()) !=
        objects[key]["metadata"]["resourceVersion"]) {
      return Answer(409, Failure(409, "Conflict", "the object has been modified"));
    }
    if (request.method == "PATCH") {  // RFC 7396
      json changed = objects[key];
      changed.merge_patch(object);
      object = std::move(changed);
    } else if (target.subresource == "status") {
      object["spec"] = objects[key].value("spec", json::object());
    }
    Store(target.resource, std::move(object), "");
    return Answer(200, objects[key]);
  }

  std::string List(const Target& target) {
    const std::size_t limit =
        std::stoul(target.query.count("limit") > 0 ? target.query.at("limit") : std::string("0"));
    std::string after;
    std::uint64_t version = version_;
    if (target.query.count("continue") > 0) {
      const std::string& token = target.query.at("continue");
      const std::size_t colon = token.find(':');
      version = std::stoull(token.substr(0, colon));
      after = token.substr(colon + 1);
      if (version < oldest_) {
        return Answer(410, Failure(410, "Expired", "the continue parameter is too old"));
      }
    }
    json items = json::array();
    std::string next;
    std::string last;
    for (const auto& [key, object] : objects_[target.resource]) {
      if (key <= after) {
        continue;
      }
      if (limit != 0 && items.size() == limit) {
        next = std::to_string(version) + ":" + last;
        break;
      }
      items.push_back(object);
      last = key;
    }
    json metadata = {{"resourceVersion", std::to_string(version)}};
    if (!next.empty()) {
      metadata["continue"] = next;
    }
    return Answer(200, {{"kind", "List"}, {"metadata", metadata}, {"items", items}});
  }

  bool Watch(FakeConnection& connection, const Target& target, std::unique_lock<std::mutex>& lock) {
    std::uint64_t version = std::stoull(target.query.at("resourceVersion"));
    const std::uint64_t round = end_round_;
    const bool expired = version < oldest_;
    if (version > version_) {
      json failure = Failure(504, "Timeout", "Too large resource version");
      failure["details"] = {{"causes", {{{"reason", "ResourceVersionTooLarge"}}}}};
      lock.unlock();
      return connection.Write(Answer(504, failure, 1));
    }
    lock.unlock();
    if (!connection.Write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n")) {
      return false;
    }
    if (expired) {  // as the real one: HTTP 200, and then the error as the first event
      const json error = {{"type", "ERROR"},
                          {"object", Failure(410, "Expired", "too old resource version")}};
      return connection.Write(Chunk(error.dump() + "\n") + "0\r\n\r\n");
    }
    lock.lock();
    ++watches_;
    changed_.notify_all();
    bool alive = true;
    while (alive && !stopping_ && round == end_round_) {
      std::string lines;
      for (const Event& event : history_) {
        if (event.version > version &&
            (event.resource == target.resource || event.type == "BOOKMARK")) {
          lines += json{{"type", event.type}, {"object", event.object}}.dump() + "\n";
          version = event.version;
        }
      }
      if (lines.empty()) {
        changed_.wait(lock);
        continue;
      }
      const std::size_t size = chunk_size_;
      lock.unlock();
      for (std::size_t i = 0; alive && i < lines.size(); i += size) {
        alive = connection.Write(Chunk(std::string_view(lines).substr(i, size)));
      }
      lock.lock();
    }
    --watches_;
    const bool in_line = end_in_line_;
    lock.unlock();
    if (in_line) {
      connection.Write("400\r\n{\"type\":\"MODIFIED\",\"object\":{\"met");
      connection.MakeReset();
      return false;
    }
    return alive && connection.Write("0\r\n\r\n");
  }

  SslContext context_;
  int listener_ = -1;
  bool stopping_ = false;
  std::list<FakeConnection*> connections_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

FakeApiServer::FakeApiServer() : impl_(std::make_unique<Impl>(nullptr, false)) {}
FakeApiServer::FakeApiServer(FakeTls tls, bool is_ipv6)
    : impl_(std::make_unique<Impl>(&tls, is_ipv6)) {}
FakeApiServer::~FakeApiServer() = default;

std::string FakeApiServer::url() const {
  return std::string(impl_->is_tls() ? "https://" : "http://") +
         (impl_->is_ipv6_ ? "[::1]:" : "127.0.0.1:") + std::to_string(impl_->port_);
}

void FakeApiServer::UseTls(const FakeTls& tls) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->UseTls(tls);
}

int FakeApiServer::CloseIdle() {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->CloseIdle();
}

void FakeApiServer::Freeze() {
  const std::lock_guard lock(impl_->mutex_);
  impl_->frozen_ = impl_->accepted_;
}

void FakeApiServer::Restore() {
  const std::lock_guard lock(impl_->mutex_);
  impl_->version_ = impl_->oldest_;
  impl_->history_.clear();
  for (auto& [resource, objects] : impl_->objects_) {
    for (auto& [key, object] : objects) {
      object["metadata"]["resourceVersion"] = std::to_string(++impl_->version_);
    }
  }
}

int FakeApiServer::connections() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->accepted_;
}

void FakeApiServer::Put(const std::string& resource, json object) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->Store(resource, std::move(object), "");
}

void FakeApiServer::Remove(const std::string& resource, const std::string& name_space,
                           const std::string& name) {
  const std::lock_guard lock(impl_->mutex_);
  json object = impl_->objects_[resource].at(name_space + "/" + name);
  impl_->Store(resource, std::move(object), "DELETED");
}

json FakeApiServer::Get(const std::string& resource, const std::string& name_space,
                        const std::string& name) const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->objects_[resource].at(name_space + "/" + name);
}

void FakeApiServer::Inject(Fault fault) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->faults_.push_back(std::move(fault));
}

void FakeApiServer::RequireToken(std::string token) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->token_ = std::move(token);
}

void FakeApiServer::Compact() {
  const std::lock_guard lock(impl_->mutex_);
  impl_->oldest_ = ++impl_->version_;
  impl_->history_.clear();
}

void FakeApiServer::Bookmark() {
  const std::lock_guard lock(impl_->mutex_);
  const std::uint64_t version = ++impl_->version_;
  impl_->history_.push_back(
      {version, "", "BOOKMARK", {{"metadata", {{"resourceVersion", std::to_string(version)}}}}});
  impl_->changed_.notify_all();
}

void FakeApiServer::EndWatches(bool in_line) {
  const std::lock_guard lock(impl_->mutex_);
  ++impl_->end_round_;
  impl_->end_in_line_ = in_line;
  impl_->changed_.notify_all();
}

void FakeApiServer::SetChunkSize(std::size_t octets) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->chunk_size_ = octets;
}

std::vector<SeenRequest> FakeApiServer::requests() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->requests_;
}

int FakeApiServer::CountOf(const std::string& match) const {
  int count = 0;
  for (const SeenRequest& request : requests()) {
    count += (request.method + " " + request.target).find(match) != std::string::npos ? 1 : 0;
  }
  return count;
}

int FakeApiServer::open_watches() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->watches_;
}

int FakeApiServer::most_connections() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->most_connections_;
}

}  // namespace stentor::test
