// SPDX-License-Identifier: Apache-2.0
#include "test/component/io/scripted_server.h"

#include <netinet/in.h>
#include <poll.h>

#include <chrono>
#include <utility>

namespace stentor::test {

using std::chrono::milliseconds;

namespace {

bool Readable(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 20) > 0;
}

}  // namespace

UniqueFd Bound(int family, std::uint16_t* port) {
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_in);
  if (family == AF_INET6) {
    auto& address = reinterpret_cast<sockaddr_in6&>(storage);
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    address.sin6_port = htons(*port);
    size = sizeof(sockaddr_in6);
  } else {
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(*port);
  }
  if (bind(fd.Get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) {
    return {};
  }
  size = sizeof(storage);
  if (getsockname(fd.Get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return {};
  }
  *port = ntohs(family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port
                                   : reinterpret_cast<sockaddr_in&>(storage).sin_port);
  return fd;
}

ScriptedServer::ScriptedServer(Script script, int family) {
  listener_ = Bound(family, &port_);
  if (!listener_.IsOpen() || listen(listener_.Get(), 8) != 0) {
    return;
  }
  thread_ = std::thread([this, script = std::move(script)] { Serve(script); });
}

ScriptedServer::~ScriptedServer() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

void ScriptedServer::Serve(const Script& script) {
  while (!stop_) {
    if (!Readable(listener_.Get())) {
      continue;
    }
    const UniqueFd fd(accept(listener_.Get(), nullptr, nullptr));
    ++accepted_;
    std::string request;
    char octets[1024];
    while (!stop_ && request.find("\r\n\r\n") == std::string::npos) {
      if (Readable(fd.Get())) {
        const ssize_t count = recv(fd.Get(), octets, sizeof(octets), 0);
        if (count <= 0) {
          break;
        }
        request.append(octets, static_cast<std::size_t>(count));
      }
    }
    request_ = std::move(request);
    script(fd.Get(), stop_);
  }
}

bool SendAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (count <= 0) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

ScriptedServer::Script Says(std::string text) {
  return [text = std::move(text)](int fd, const std::atomic<bool>&) { SendAll(fd, text); };
}

ScriptedServer::Script Drips(std::string start, std::string text) {
  return [start = std::move(start), text = std::move(text)](int fd, const std::atomic<bool>& stop) {
    bool more = SendAll(fd, start);
    while (!stop && more) {
      std::this_thread::sleep_for(milliseconds(5));
      more = SendAll(fd, text);
    }
  };
}

void SaysNothing(int /*fd*/, const std::atomic<bool>& stop) {
  while (!stop) {
    std::this_thread::sleep_for(milliseconds(5));
  }
}

}  // namespace stentor::test
