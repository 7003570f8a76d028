// SPDX-License-Identifier: Apache-2.0
// Measures how long an address takes to answer ARP: one request after the other, from a raw socket,
// and one line of JSON at the end. Latency is from before the send to after the receive, so half of
// it is this program's own wake-up: compare runs with one another, and with arp-echo.
//
//   arp-ping --interface IF --address IP [--count N] [--unicast MAC] [--interval-us N]

#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/net/arp.h"
#include "test/bench/interface_mac.h"

namespace {

using stentor::UniqueFd;
using stentor::net::ArpPacket;
using stentor::net::Ipv4Address;
using stentor::net::MacAddress;
using Clock = std::chrono::steady_clock;

constexpr int kEtherTypeArpInNetworkOrder = 0x0608;
constexpr std::chrono::milliseconds kPatience(1000);

struct Options {
  std::string interface;
  Ipv4Address address;
  MacAddress to = MacAddress::Broadcast();
  int count = 1000;
  int interval_us = 200;  // between a reply and the next request, so that the responder sleeps
};

std::optional<Options> ParseOptions(int argc, char** argv) {
  Options options;
  std::optional<Ipv4Address> address;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--interface") {
      options.interface = value;
    } else if (flag == "--address") {
      address = Ipv4Address::Parse(value);
    } else if (flag == "--count") {
      options.count = std::atoi(value.c_str());
    } else if (flag == "--interval-us") {
      options.interval_us = std::atoi(value.c_str());
    } else if (flag == "--unicast") {
      const auto mac = MacAddress::Parse(value);
      if (!mac) {
        return std::nullopt;
      }
      options.to = *mac;
    } else {
      return std::nullopt;
    }
  }
  if (!address || options.interface.empty() || options.count < 1) {
    return std::nullopt;
  }
  options.address = *address;
  return options;
}

bool IsReply(std::span<const std::byte> frame, Ipv4Address address) {
  const auto decoded = stentor::net::DecodeArp(frame);
  const auto* packet = std::get_if<ArpPacket>(&decoded);
  return packet != nullptr && packet->operation == stentor::net::kArpReply &&
         packet->sender_ip == address && !packet->destination.IsBroadcast();
}

// Microseconds until the reply; nothing where none comes.
std::optional<double> Ping(int fd, std::span<const std::byte> request, Ipv4Address address) {
  const auto start = Clock::now();
  if (send(fd, request.data(), request.size(), 0) < 0) {
    return std::nullopt;
  }
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(start + kPatience - Clock::now());
    pollfd item{.fd = fd, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&item, 1, static_cast<int>(left.count())) != 1) {
      return std::nullopt;
    }
    std::array<std::byte, 128> frame{};
    const ssize_t length = recv(fd, frame.data(), frame.size(), 0);
    const auto end = Clock::now();
    if (length > 0 && IsReply(std::span(frame).first(static_cast<std::size_t>(length)), address)) {
      return std::chrono::duration<double, std::micro>(end - start).count();
    }
  }
}

double Quantile(const std::vector<double>& sorted, double q) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(q * last + 0.5)];
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Options> options = ParseOptions(argc, argv);
  if (!options) {
    std::fprintf(stderr,
                 "usage: arp-ping --interface IF --address IPV4 [--count N] [--unicast MAC] "
                 "[--interval-us N]\n");
    return 2;
  }
  const MacAddress mac = stentor::bench::InterfaceMac(options->interface);
  const UniqueFd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, kEtherTypeArpInNetworkOrder));
  sockaddr_ll local{};
  local.sll_family = AF_PACKET;
  local.sll_protocol = kEtherTypeArpInNetworkOrder;
  local.sll_ifindex = static_cast<int>(if_nametoindex(options->interface.c_str()));
  if (!fd.IsOpen() || local.sll_ifindex == 0 || mac.IsZero() ||
      bind(fd.Get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0) {
    std::perror("arp-ping");
    return 1;
  }
  // A sender of 0.0.0.0 leaves the neighbour tables of all hosts as they are.
  const auto request = stentor::net::EncodeArp({.destination = options->to,
                                                .source = mac,
                                                .operation = stentor::net::kArpRequest,
                                                .sender_mac = mac,
                                                .sender_ip = {},
                                                .target_mac = {},
                                                .target_ip = options->address});
  std::vector<double> latencies;
  for (int i = 0; i < options->count; ++i) {
    if (const auto latency = Ping(fd.Get(), request, options->address)) {
      latencies.push_back(*latency);
    } else if (latencies.empty() && i >= 2) {
      break;  // nobody is there
    }
    usleep(static_cast<useconds_t>(options->interval_us));
  }
  if (latencies.empty()) {
    std::fprintf(stderr, "arp-ping: no reply\n");
    return 1;
  }
  std::sort(latencies.begin(), latencies.end());
  std::printf("{\"n\": %zu, \"lost\": %zu, \"median_us\": %.1f, \"p99_us\": %.1f}\n",
              latencies.size(), static_cast<std::size_t>(options->count) - latencies.size(),
              Quantile(latencies, 0.5), Quantile(latencies, 0.99));
  return 0;
}
