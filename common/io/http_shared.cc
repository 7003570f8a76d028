// SPDX-License-Identifier: Apache-2.0
#include "common/io/http_shared.h"

#include <utility>

namespace stentor::io {

void HttpShared::Remove(HttpSession& session) {
  held_ -= std::exchange(session.held_, 0);
  sessions_.erase(&session);
}

bool HttpShared::MakeRoom() {
  HttpSession* idlest = nullptr;
  HttpSession* slowest = nullptr;
  std::size_t awaited = 0;
  for (HttpSession* const session : sessions_) {
    if (session->awaited_since_ != 0) {
      ++awaited;
      if (slowest == nullptr || session->awaited_since_ < slowest->awaited_since_) {
        slowest = session;
      }
    } else if ((idlest == nullptr || session->idle_since_ < idlest->idle_since_) &&
               session->IsIdle()) {
      idlest = session;
    }
  }
  HttpSession* const chosen =
      idlest == nullptr || 2 * awaited > sessions_.size() ? slowest : idlest;
  if (chosen == nullptr) {
    return false;
  }
  Remove(*chosen);
  chosen->Close();
  return true;
}

bool HttpShared::Hold(HttpSession& session, std::size_t octets) {
  held_ += octets;
  held_ -= std::exchange(session.held_, octets);
  while (held_ > limits.all_bodies_bytes) {
    HttpSession* longest = &session;
    for (HttpSession* const other : sessions_) {
      if (other->may_be_closed_for_memory_ && other->held_ > longest->held_) {
        longest = other;
      }
    }
    ++counts.out_of_memory;
    if (longest == &session) {
      held_ -= std::exchange(session.held_, 0);
      return false;
    }
    Remove(*longest);
    longest->Close();
  }
  return true;
}

void HttpShared::CloseAll() {
  closed = true;
  // Close() runs no handler, so nobody removes itself meanwhile.
  for (HttpSession* const session : sessions_) {
    session->Close();
  }
}

}  // namespace stentor::io
