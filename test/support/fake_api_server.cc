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

namespace stentor::test {
namespace {

using nlohmann::json;

struct Target {
  std::string resource;
  std::string name_space;
  std::string name;
  std::string subresource;
  std::map<std::string, std::string> query;
};

std::string Decode(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out.push_back(static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16)));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

Target ParseTarget(const std::string& text) {
  Target target;
  const std::size_t mark = text.find('?');
  std::istringstream path(text.substr(0, mark));
  std::vector<std::string> segments;
  for (std::string segment; std::getline(path, segment, '/');) {
    if (!segment.empty()) {
      segments.push_back(segment);
    }
  }
  std::size_t i = !segments.empty() && segments[0] == "api" ? 2 : 3;  // /api/v1, /apis/group/v1
  if (i + 2 < segments.size() && segments[i] == "namespaces") {
    target.name_space = segments[i + 1];
    i += 2;
  }
  const auto next = [&] { return i < segments.size() ? segments[i++] : std::string(); };
  target.resource = next();
  target.name = next();
  target.subresource = next();
  if (mark != std::string::npos) {
    std::istringstream query(text.substr(mark + 1));
    for (std::string pair; std::getline(query, pair, '&');) {
      const std::size_t equals = pair.find('=');
      target.query[pair.substr(0, equals)] =
          equals == std::string::npos ? "" : Decode(pair.substr(equals + 1));
    }
  }
  return target;
}

json Failure(int code, const std::string& reason, const std::string& message) {
  return {{"kind", "Status"},   {"apiVersion", "v1"}, {"status", "Failure"},
          {"message", message}, {"reason", reason},   {"code", code}};
}

std::string Answer(int code, const json& body, int retry_after = 0) {
  const std::string text = body.dump();
  std::ostringstream out;
  out << "HTTP/1.1 " << code
      << " X\r\nContent-Type: application/json\r\nContent-Length: " << text.size() << "\r\n";
  if (retry_after > 0) {
    out << "Retry-After: " << retry_after << "\r\n";
  }
  out << "\r\n" << text;
  return out.str();
}

std::string Chunk(std::string_view bytes) {
  std::ostringstream out;
  out << std::hex << bytes.size() << "\r\n" << bytes << "\r\n";
  return out.str();
}

}  // namespace

class FakeApiServer::Impl {
 public:
  explicit Impl(const FakeTls* tls) : context_(nullptr, SSL_CTX_free) {
    std::signal(SIGPIPE, SIG_IGN);  // SSL_write to a closed connection
    if (tls != nullptr) {
      context_ = MakeServerContext(*tls);
    }
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 64);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
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
  int port_ = 0;
  bool is_tls() const { return context_ != nullptr; }

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
      threads_.emplace_back([this, fd] { Serve(fd); });
    }
  }

  void Serve(int fd) {
    FakeConnection connection(fd, context_.get());
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        return;
      }
      connections_.push_back(&connection);
      most_connections_ = std::max(most_connections_, static_cast<int>(connections_.size()));
    }
    while (const auto request = connection.Read()) {
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
    requests_.push_back(request);
    const std::string line = request.method + " " + request.target;
    for (Fault& fault : faults_) {
      if (fault.count > 0 && line.find(fault.match) != std::string::npos) {
        --fault.count;
        const Fault now = fault;
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
    json object = json::parse(request.body);
    if (object["metadata"].value("resourceVersion", json()) !=
        objects[key]["metadata"]["resourceVersion"]) {
      return Answer(409, Failure(409, "Conflict", "the object has been modified"));
    }
    if (target.subresource == "status") {
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

FakeApiServer::FakeApiServer() : impl_(std::make_unique<Impl>(nullptr)) {}
FakeApiServer::FakeApiServer(FakeTls tls) : impl_(std::make_unique<Impl>(&tls)) {}
FakeApiServer::~FakeApiServer() = default;

std::string FakeApiServer::url() const {
  return (impl_->is_tls() ? "https://127.0.0.1:" : "http://127.0.0.1:") +
         std::to_string(impl_->port_);
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
