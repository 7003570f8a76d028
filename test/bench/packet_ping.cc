// SPDX-License-Identifier: Apache-2.0
// Asks by ARP or NDP from a raw socket, and prints one line of JSON at the end.
//
//   packet-ping --interface IF --address IP [--count N] [--unicast MAC] [--interval-us N]
//     How long the address takes to answer, one request after the other. Latency is from before the
//     send to after the receive, so half of it is this program's own wake-up: compare runs with one
//     another, and with packet-echo.
//   packet-ping --interface IF --address IP --flood SECONDS [--rate N]
//     Sends without waiting, N requests a second (0: as many as it can), and counts the answers.

#include <arpa/inet.h>
#include <linux/if_ether.h>
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
#include <thread>
#include <variant>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/net/arp.h"
#include "common/net/ndp.h"
#include "test/bench/interface_mac.h"

namespace {

using stentor::UniqueFd;
using stentor::net::IpAddress;
using stentor::net::MacAddress;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPatience(1000);

struct Options {
  std::string interface;
  IpAddress address;
  std::optional<MacAddress> to;
  int count = 1000;
  int interval_us = 200;  // between a reply and the next request, so that the responder sleeps
  int flood_seconds = 0;
  int rate = 0;
};

std::optional<Options> ParseOptions(int argc, char** argv) {
  Options options;
  std::optional<IpAddress> address;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--interface") {
      options.interface = value;
    } else if (flag == "--address") {
      address = IpAddress::Parse(value);
    } else if (flag == "--count") {
      options.count = std::atoi(value.c_str());
    } else if (flag == "--interval-us") {
      options.interval_us = std::atoi(value.c_str());
    } else if (flag == "--flood") {
      options.flood_seconds = std::atoi(value.c_str());
    } else if (flag == "--rate") {
      options.rate = std::atoi(value.c_str());
    } else if (flag == "--unicast") {
      options.to = MacAddress::Parse(value);
      if (!options.to) {
        return std::nullopt;
      }
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

// A link-local address that belongs to the MAC (RFC 4291, appendix A): whoever answers needs no
// neighbour entry for it, since the request carries the MAC.
stentor::net::Ipv6Address LinkLocalOf(const MacAddress& mac) {
  const MacAddress::Octets& m = mac.octets();
  return stentor::net::Ipv6Address({0xfe, 0x80, 0, 0, 0, 0, 0, 0,
                                    static_cast<std::uint8_t>(m[0] ^ 2), m[1], m[2], 0xff, 0xfe,
                                    m[3], m[4], m[5]});
}

std::vector<std::byte> RequestFor(const Options& options, const MacAddress& mac) {
  if (options.address.IsIpv4()) {
    // A sender of 0.0.0.0 leaves the neighbour tables of all hosts as they are.
    const auto frame =
        stentor::net::EncodeArp({.destination = options.to.value_or(MacAddress::Broadcast()),
                                 .source = mac,
                                 .operation = stentor::net::kArpRequest,
                                 .sender_mac = mac,
                                 .sender_ip = {},
                                 .target_mac = {},
                                 .target_ip = options.address.ipv4()});
    return {frame.begin(), frame.end()};
  }
  const auto target = options.address.ipv6();
  const auto group = stentor::net::SolicitedNodeGroup(target);
  const auto frame =
      stentor::net::EncodeNd({.destination = options.to.value_or(stentor::net::MulticastMac(group)),
                              .source = mac,
                              .ip_source = LinkLocalOf(mac),
                              .ip_destination = options.to ? target : group,
                              .kind = stentor::net::NdKind::kSolicitation,
                              .target = target,
                              .link_layer_address = mac});
  const auto bytes = frame.bytes();
  return {bytes.begin(), bytes.end()};
}

bool IsReply(std::span<const std::byte> frame, const IpAddress& address) {
  if (address.IsIpv4()) {
    const auto decoded = stentor::net::DecodeArp(frame);
    const auto* packet = std::get_if<stentor::net::ArpPacket>(&decoded);
    return packet != nullptr && packet->operation == stentor::net::kArpReply &&
           packet->sender_ip == address.ipv4() && !packet->destination.IsBroadcast();
  }
  const auto decoded = stentor::net::DecodeNd(frame);
  const auto* packet = std::get_if<stentor::net::NdPacket>(&decoded);
  return packet != nullptr && packet->kind == stentor::net::NdKind::kAdvertisement &&
         packet->target == address.ipv6() && !packet->destination.IsGroup();
}

std::optional<std::span<const std::byte>> Receive(int fd, int flags,
                                                  std::array<std::byte, 128>* room) {
  const ssize_t length = recv(fd, room->data(), room->size(), flags);
  if (length < 0) {
    return std::nullopt;
  }
  return std::span<const std::byte>(*room).first(static_cast<std::size_t>(length));
}

// Microseconds until the reply; nothing where none comes.
std::optional<double> Ping(int fd, std::span<const std::byte> request, const IpAddress& address) {
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
    std::array<std::byte, 128> room{};
    const auto frame = Receive(fd, 0, &room);
    const auto end = Clock::now();
    if (frame && IsReply(*frame, address)) {
      return std::chrono::duration<double, std::micro>(end - start).count();
    }
  }
}

double Quantile(const std::vector<double>& sorted, double q) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(q * last + 0.5)];
}

int PingAll(int fd, std::span<const std::byte> request, const Options& options) {
  std::vector<double> latencies;
  for (int i = 0; i < options.count; ++i) {
    if (const auto latency = Ping(fd, request, options.address)) {
      latencies.push_back(*latency);
    } else if (latencies.empty() && i >= 2) {
      break;  // nobody is there
    }
    usleep(static_cast<useconds_t>(options.interval_us));
  }
  if (latencies.empty()) {
    std::fprintf(stderr, "packet-ping: no reply\n");
    return 1;
  }
  std::sort(latencies.begin(), latencies.end());
  std::printf("{\"n\": %zu, \"lost\": %zu, \"median_us\": %.1f, \"p99_us\": %.1f}\n",
              latencies.size(), static_cast<std::size_t>(options.count) - latencies.size(),
              Quantile(latencies, 0.5), Quantile(latencies, 0.99));
  return 0;
}

int Flood(int fd, std::span<const std::byte> request, const Options& options) {
  constexpr int kBatch = 32;
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;
  std::array<std::byte, 128> room{};
  const auto count_answers = [&] {
    while (const auto frame = Receive(fd, MSG_DONTWAIT, &room)) {
      answered += IsReply(*frame, options.address) ? 1U : 0U;
    }
  };
  const auto start = Clock::now();
  const auto end = start + std::chrono::seconds(options.flood_seconds);
  while (Clock::now() < end) {
    for (int i = 0; i < kBatch; ++i) {
      sent += send(fd, request.data(), request.size(), MSG_DONTWAIT) >= 0 ? 1U : 0U;
    }
    count_answers();
    if (options.rate > 0) {
      std::this_thread::sleep_until(start + std::chrono::nanoseconds(std::chrono::seconds(1)) *
                                                static_cast<std::int64_t>(sent) / options.rate);
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  usleep(200'000);  // those on their way
  count_answers();
  std::printf("{\"seconds\": %.3f, \"sent\": %llu, \"answered\": %llu}\n", seconds,
              static_cast<unsigned long long>(sent), static_cast<unsigned long long>(answered));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::optional<Options> options = ParseOptions(argc, argv);
  if (!options) {
    std::fprintf(stderr,
                 "usage: packet-ping --interface IF --address IP [--count N] [--unicast MAC] "
                 "[--interval-us N] | --flood SECONDS [--rate N]\n");
    return 2;
  }
  const MacAddress mac = stentor::bench::InterfaceMac(options->interface);
  const auto protocol =
      htons(static_cast<std::uint16_t>(options->address.IsIpv4() ? ETH_P_ARP : ETH_P_IPV6));
  const UniqueFd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, protocol));
  sockaddr_ll local{};
  local.sll_family = AF_PACKET;
  local.sll_protocol = protocol;
  local.sll_ifindex = static_cast<int>(if_nametoindex(options->interface.c_str()));
  if (!fd.IsOpen() || local.sll_ifindex == 0 || mac.IsZero() ||
      bind(fd.Get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0) {
    std::perror("packet-ping");
    return 1;
  }
  const std::vector<std::byte> request = RequestFor(*options, mac);
  return options->flood_seconds > 0 ? Flood(fd.Get(), request, *options)
                                    : PingAll(fd.Get(), request, *options);
}
