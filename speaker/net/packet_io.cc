// SPDX-License-Identifier: Apache-2.0
#include "speaker/net/packet_io.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

struct PcapCloser {
  void operator()(pcap_t* handle) const noexcept { pcap_close(handle); }
};
using PcapHandle = std::unique_ptr<pcap_t, PcapCloser>;

std::string ErrnoText(int error) { return std::generic_category().message(error); }

bool MeansGone(int error) {
  return error == ENETDOWN || error == ENXIO || error == ENODEV || error == EBADF;
}

absl::Status ActivationError(const std::string& name, int result, const char* detail) {
  const std::string text = StrCat("capture on ", name, ": ", pcap_statustostr(result), " ", detail);
  switch (result) {
    case PCAP_ERROR_PERM_DENIED:
      return absl::PermissionDeniedError(StrCat(text, " (CAP_NET_RAW is needed)"));
    case PCAP_ERROR_NO_SUCH_DEVICE:
      return absl::NotFoundError(text);
    case PCAP_ERROR_IFACE_NOT_UP:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

// The size of the ring that libpcap makes of slots of one size each, in whole pages
// (linux/if_packet.h, TPACKET_V2: header, address, room for the VLAN tag, Ethernet header at the
// place that aligns the network header).
int RingOctets(const PacketIoOptions& options) {
  constexpr std::size_t kBeforeFrame = 70;
  constexpr std::size_t kPage = 4096;
  const auto snapshot = static_cast<std::size_t>(options.snapshot_octets);
  const std::size_t slot = (kBeforeFrame + snapshot + 15) / 16 * 16;
  const std::size_t slots_in_page = std::max<std::size_t>(1, kPage / slot);
  const std::size_t pages = (options.ring_frames + slots_in_page - 1) / slots_in_page;
  return static_cast<int>(std::max<std::size_t>(1, pages) * slots_in_page * slot);
}

// A name can pass to another interface between a message of the kernel and our opening it.
absl::Status CheckIndex(int fd, const std::string& name, net::IfIndex index) {
  sockaddr_ll bound{};
  socklen_t length = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return absl::InternalError(StrCat("capture on ", name, ": ", ErrnoText(errno)));
  }
  if (static_cast<std::uint32_t>(bound.sll_ifindex) != static_cast<std::uint32_t>(index)) {
    return absl::NotFoundError(StrCat("interface ", name, " is another one by now"));
  }
  return absl::OkStatus();
}

}  // namespace

struct PacketIo::Handle {
  PcapHandle pcap;
  int fd = -1;
};

PacketIo::PacketIo(std::string name, std::unique_ptr<Handle> handle)
    : name_(std::move(name)), handle_(std::move(handle)) {}

PacketIo::~PacketIo() = default;

absl::StatusOr<std::unique_ptr<PacketIo>> PacketIo::Open(const std::string& name,
                                                         net::IfIndex index,
                                                         const BpfProgram& filter,
                                                         const PacketIoOptions& options) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  PcapHandle pcap(pcap_create(name.c_str(), error.data()));
  if (!pcap) {
    return absl::InternalError(StrCat("capture on ", name, ": ", error.data()));
  }
  // Bound to one Ethernet type, the socket costs the node's other traffic nothing.
  pcap_set_protocol_linux(pcap.get(), options.ethertype);
  pcap_set_snaplen(pcap.get(), options.snapshot_octets);
  pcap_set_buffer_size(pcap.get(), RingOctets(options));
  pcap_set_promisc(pcap.get(), 0);
  pcap_set_immediate_mode(pcap.get(), 1);  // otherwise the kernel collects frames into batches
  if (const int result = pcap_activate(pcap.get()); result < 0) {
    return ActivationError(name, result, pcap_geterr(pcap.get()));
  }
  if (pcap_datalink(pcap.get()) != DLT_EN10MB) {
    return absl::FailedPreconditionError(StrCat("interface ", name, " is not Ethernet"));
  }
  if (pcap_setnonblock(pcap.get(), 1, error.data()) != 0) {
    return absl::InternalError(StrCat("capture on ", name, ": ", error.data()));
  }
  auto handle = std::make_unique<Handle>();
  handle->fd = pcap_get_selectable_fd(pcap.get());
  handle->pcap = std::move(pcap);
  STENTOR_RETURN_IF_ERROR(CheckIndex(handle->fd, name, index));
  std::unique_ptr<PacketIo> io(new PacketIo(name, std::move(handle)));
  STENTOR_RETURN_IF_ERROR(io->SetFilter(filter));
  STENTOR_RETURN_IF_ERROR(io->Empty(options.ring_frames));
  return io;
}

// From its activation until it had its filter the socket took everything, frames of VLANs too.
absl::Status PacketIo::Empty(std::size_t ring_frames) {
  // A ring that is filled again meanwhile is not: the filter is there. libpcap rounds up to pages.
  const std::size_t at_most = 2 * ring_frames + kMaxFramesPerWake;
  for (std::size_t taken = 0; taken < at_most;) {
    const auto count = OnReadable([](Bytes) {});
    if (!count.ok()) {
      return count.status();
    }
    if (*count == 0) {
      break;
    }
    taken += static_cast<std::size_t>(*count);
  }
  before_ = stats();
  return absl::OkStatus();
}

int PacketIo::fd() const noexcept { return handle_->fd; }

absl::StatusOr<int> PacketIo::OnReadable(const OnFrame& on_frame) {
  const auto deliver = [](u_char* user, const pcap_pkthdr* header, const u_char* bytes) {
    const auto& sink = *reinterpret_cast<const OnFrame*>(user);
    sink(std::as_bytes(std::span(bytes, header->caplen)));
  };
  auto* user = const_cast<u_char*>(reinterpret_cast<const u_char*>(&on_frame));
  const int count = pcap_dispatch(handle_->pcap.get(), kMaxFramesPerWake, deliver, user);
  if (count < 0) {
    return absl::UnavailableError(
        StrCat("capture on ", name_, ": ", pcap_geterr(handle_->pcap.get())));
  }
  return count;
}

absl::Status PacketIo::SetFilter(const BpfProgram& filter) {
  // Not by pcap_setfilter(): that installs a filter that rejects all and empties the socket before
  // it installs the new one, which loses requests. The kernel swaps in one step.
  std::vector<sock_filter> instructions;
  instructions.reserve(filter.size());
  for (const BpfInstruction& instruction : filter) {
    instructions.push_back({.code = instruction.code,
                            .jt = instruction.jump_true,
                            .jf = instruction.jump_false,
                            .k = instruction.operand});
  }
  const sock_fprog program{.len = static_cast<unsigned short>(instructions.size()),
                           .filter = instructions.data()};
  if (setsockopt(handle_->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
    const int error = errno;
    const std::string text =
        StrCat("filter of ", filter.size(), " instructions on ", name_, ": ", ErrnoText(error));
    return error == ENOMEM ? absl::ResourceExhaustedError(text) : absl::InternalError(text);
  }
  return absl::OkStatus();
}

absl::Status PacketIo::Send(Bytes frame) {
  for (;;) {
    if (send(handle_->fd, frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
      return absl::OkStatus();
    }
    const int error = errno;
    if (error == EINTR) {
      continue;
    }
    const std::string text = StrCat("sending on ", name_, ": ", ErrnoText(error));
    if (MeansGone(error)) {
      return absl::UnavailableError(text);
    }
    if (error == ENOBUFS || error == EAGAIN) {
      return absl::ResourceExhaustedError(text);
    }
    return absl::InternalError(text);
  }
}

PacketIoStats PacketIo::stats() {
  pcap_stat counts{};
  if (pcap_stats(handle_->pcap.get(), &counts) == 0) {
    stats_ = {.received = counts.ps_recv - before_.received,
              .dropped = counts.ps_drop - before_.dropped};
  }
  return stats_;
}

}  // namespace stentor::speaker
