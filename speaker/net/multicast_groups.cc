// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/multicast_groups.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

absl::Status ErrorOf(std::string_view what, int error) {
  return absl::UnavailableError(StrCat(what, ": ", std::generic_category().message(error)));
}

// 0, or an errno value.
int Change(int fd, int option, IfIndex link, const net::Ipv6Address& group) {
  ipv6_mreq request{};
  std::memcpy(&request.ipv6mr_multiaddr, group.octets().data(), group.octets().size());
  request.ipv6mr_interface = static_cast<unsigned>(link);
  return setsockopt(fd, IPPROTO_IPV6, option, &request, sizeof(request)) == 0 ? 0 : errno;
}

bool MeansFull(int error) { return error == ENOBUFS || error == ENOMEM; }

}  // namespace

MulticastGroups::MulticastGroups() = default;
MulticastGroups::~MulticastGroups() = default;  // the kernel leaves what its sockets had joined

absl::Status MulticastGroups::Set(IfIndex link, std::span<const net::Ipv6Address> groups) {
  if (groups.empty()) {
    Leave(link);
    return absl::OkStatus();
  }
  const std::set<net::Ipv6Address> wanted(groups.begin(), groups.end());
  Joined& joined = links_[link];
  for (auto one = joined.begin(); one != joined.end();) {
    if (wanted.contains(one->first)) {
      ++one;
      continue;
    }
    Drop(link, one->first, one->second);
    one = joined.erase(one);
  }
  absl::Status first_error;
  for (const net::Ipv6Address& group : wanted) {
    if (joined.contains(group)) {
      continue;
    }
    std::size_t shard = 0;
    if (absl::Status status = Join(link, group, &shard); status.ok()) {
      joined.emplace(group, shard);
    } else if (first_error.ok()) {
      first_error = std::move(status);
    }
  }
  return first_error;
}

void MulticastGroups::Leave(IfIndex link) {
  const auto joined = links_.find(link);
  if (joined == links_.end()) {
    return;
  }
  for (const auto& [group, shard] : joined->second) {
    Drop(link, group, shard);
  }
  links_.erase(joined);
}

std::size_t MulticastGroups::size() const noexcept {
  std::size_t count = 0;
  for (const auto& [link, joined] : links_) {
    count += joined.size();
  }
  return count;
}

absl::Status MulticastGroups::Join(IfIndex link, const net::Ipv6Address& group,
                                   std::size_t* shard) {
  for (*shard = 0;; ++*shard) {
    if (*shard == shards_.size()) {
      UniqueFd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (!socket.IsOpen()) {
        return ErrorOf("socket for multicast groups", errno);
      }
      shards_.push_back({.socket = std::move(socket)});
    }
    Shard& one = shards_[*shard];
    if (one.full || one.members >= kMaxOfSocket) {
      continue;
    }
    const int error = Change(one.socket.Get(), IPV6_JOIN_GROUP, link, group);
    if (error == 0) {
      ++one.members;
      return absl::OkStatus();
    }
    if (!MeansFull(error) || one.members == 0) {  // an empty one has all the room there is
      DropEmpty();
      return ErrorOf(StrCat("joining multicast group ", group.ToString()), error);
    }
    one.full = true;
  }
}

void MulticastGroups::Drop(IfIndex link, const net::Ipv6Address& group, std::size_t shard) {
  Shard& one = shards_[shard];
  // Fails where the interface is gone: the kernel has taken it off its list all the same.
  (void)Change(one.socket.Get(), IPV6_LEAVE_GROUP, link, group);
  --one.members;
  one.full = false;
  DropEmpty();
}

// An empty socket at the end goes; others keep their place, since memberships are by index.
void MulticastGroups::DropEmpty() {
  while (!shards_.empty() && shards_.back().members == 0) {
    shards_.pop_back();
  }
}

}  // namespace stentor::speaker
