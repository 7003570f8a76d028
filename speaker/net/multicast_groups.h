// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "common/base/unique_fd.h"
#include "common/net/ip_address.h"
#include "speaker/announce/links.h"

namespace stentor::speaker {

/// Membership in IPv6 multicast groups, link by link, so that the interface lets their frames in
/// and switches that snoop MLD send them here. The kernel reports, leaves, and repeats the reports
/// when a carrier comes back. It bounds the memberships of one socket (net.core.optmem_max), so
/// there are as many sockets as it takes. Needs no capability. Not thread-safe.
class MulticastGroups {
 public:
  MulticastGroups();
  ~MulticastGroups();
  MulticastGroups(const MulticastGroups&) = delete;
  MulticastGroups& operator=(const MulticastGroups&) = delete;

  /// Joins and leaves until the memberships on `link` are `groups` (repetitions count once). Not
  /// OK where some could not be joined: the others are, and calling again tries only what is
  /// missing.
  [[nodiscard]] absl::Status Set(IfIndex link, std::span<const net::Ipv6Address> groups);

  /// Leaves all groups of `link`; for a link that is gone too, since its number may come back.
  void Leave(IfIndex link);

  /// The number of memberships, for tests and metrics.
  [[nodiscard]] std::size_t size() const noexcept;

 private:
  // The kernel's list of one socket is searched from its beginning at each join.
  static constexpr std::size_t kMaxOfSocket = 256;

  struct Shard {
    UniqueFd socket;
    std::size_t members = 0;
    bool full = false;  // by the kernel's own limit
  };
  using Joined = std::map<net::Ipv6Address, std::size_t>;  // group → index of its shard

  [[nodiscard]] absl::Status Join(IfIndex link, const net::Ipv6Address& group, std::size_t* shard);
  void Drop(IfIndex link, const net::Ipv6Address& group, std::size_t shard);
  void DropEmpty();

  std::vector<Shard> shards_;
  std::map<IfIndex, Joined> links_;
};

}  // namespace stentor::speaker
