// SPDX-License-Identifier: Apache-2.0
#include "speaker/announce/link_sync.h"

#include <cerrno>
#include <utility>
#include <variant>

#include "common/base/strings.h"

namespace stentor::speaker {
namespace {

void Append(std::vector<LinkEvent> more, std::vector<LinkEvent>* events) {
  events->insert(events->end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
}

}  // namespace

std::vector<std::byte> LinkSync::Start() {
  phase_ = Phase::kLinks;
  dump_again_ = false;
  links_.BeginDump();
  return net::LinkDumpRequest(++sequence_);
}

LinkSync::Result LinkSync::OnDatagram(Bytes datagram) {
  Result result;
  const net::RtnetlinkDatagram decoded = net::DecodeRtnetlink(datagram);
  for (const net::RtnetlinkMessage& message : decoded.messages) {
    if (message.dump_interrupted) {
      dump_again_ = true;
    }
    if (const auto* link = std::get_if<net::LinkMessage>(&message.body)) {
      Append(links_.Apply(*link), &result.events);
    } else if (const auto* address = std::get_if<net::AddressMessage>(&message.body)) {
      Append(links_.Apply(*address), &result.events);
    } else if (std::holds_alternative<net::DumpEnd>(message.body)) {
      OnDumpEnd(message, &result);
    } else if (std::holds_alternative<net::Overrun>(message.body)) {
      dump_again_ = true;
    }
  }
  if (decoded.malformed) {
    // The kernel's datagrams are well-formed; one that isn't may have hidden a message.
    result.status = absl::DataLossError("malformed rtnetlink message");
  }
  return result;
}

// One dump at a time: one that is under way will be followed by another.
void LinkSync::OnOverrun() noexcept { dump_again_ = true; }

void LinkSync::OnDumpEnd(const net::RtnetlinkMessage& message, Result* result) {
  if (phase_ == Phase::kIdle || message.sequence != sequence_) {
    return;
  }
  const int error = std::get<net::DumpEnd>(message.body).error;
  if (error == ENOBUFS) {  // so many notifications wait that there was no room for the dump
    phase_ = Phase::kIdle;
    dump_again_ = true;
    return;
  }
  if (error != 0) {
    result->status = absl::UnavailableError(
        StrCat("the kernel refused to list ", phase_ == Phase::kLinks ? "interfaces" : "addresses",
               ": errno ", error));
    return;
  }
  if (dump_again_) {
    phase_ = Phase::kIdle;
    return;
  }
  if (phase_ == Phase::kLinks) {
    phase_ = Phase::kAddresses;
    result->request = net::AddressDumpRequest(++sequence_);
    return;
  }
  phase_ = Phase::kIdle;
  synced_ = true;
  Append(links_.EndDump(), &result->events);
}

}  // namespace stentor::speaker
