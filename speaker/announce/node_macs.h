// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// The MACs of the cluster's nodes, as this node's kernel knows them (its ARP and NDP tables): who
/// has one of them is no stranger when it claims a service address. Pure: datagrams of the kernel
/// go in, requests to it come out; speaker/net/neighbor_monitor.h owns the socket.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "common/base/bytes.h"
#include "common/net/rtnetlink.h"

namespace stentor::speaker {

/// Keeps only what is about the addresses of nodes, however many neighbours the kernel has. A MAC
/// that was learnt stays until the address has another one on the same link, or is no node's any
/// more: the kernel forgets neighbours that it has not talked to for a while. Not thread-safe.
class NodeMacs {
 public:
  struct Result {
    std::optional<std::vector<std::byte>> request;  ///< To be sent to the kernel.
    /// Not OK: the kernel refused the dump, or made no sense; open a new socket and start again.
    absl::Status status;
  };

  /// More addresses than these are not followed (the lowest are).
  static constexpr std::size_t kMaxAddresses = 32'768;
  /// One address may be a neighbour on several links; the latest are kept.
  static constexpr std::size_t kMaxLinksOfAddress = 4;

  /// Replaces the addresses that belong to nodes. Asks the kernel for everything again where there
  /// are new ones, once Start() has been called.
  [[nodiscard]] std::optional<std::vector<std::byte>> SetAddresses(
      const std::set<net::IpAddress>& addresses);

  /// The first request. Call it once per socket, after the socket has joined its groups.
  [[nodiscard]] std::vector<std::byte> Start();

  /// One datagram from the kernel.
  [[nodiscard]] Result OnDatagram(Bytes datagram);

  /// The socket lost messages (ENOBUFS, or a datagram that did not fit the buffer).
  [[nodiscard]] Result OnOverrun();

  /// True from the end of the first complete dump on.
  [[nodiscard]] bool synced() const noexcept { return synced_; }

  /// All MACs that are known.
  [[nodiscard]] std::set<net::MacAddress> Macs() const;

  /// Changes whenever Macs() may have changed.
  [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }

 private:
  struct Sighting {
    net::IfIndex link{};
    net::MacAddress mac;
  };

  void Learn(const net::NeighborMessage& message);
  [[nodiscard]] std::optional<std::vector<std::byte>> AskAgain();

  // By address; the latest sighting is the last.
  std::map<net::IpAddress, std::vector<Sighting>> nodes_;
  std::uint32_t sequence_ = 0;
  bool started_ = false;
  bool dumping_ = false;
  bool dump_again_ = false;
  bool synced_ = false;
  std::uint64_t revision_ = 0;
};

}  // namespace stentor::speaker
