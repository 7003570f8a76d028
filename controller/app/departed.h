// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "common/io/event_loop.h"
#include "common/io/kube_client.h"
#include "common/io/lifetime.h"
#include "common/model/objects.h"

namespace stentor::controller {

/// Services that the watch, which shows load balancers only, does not show any more, or never did:
/// they were deleted, or have another type now and may bear traces of ours, which have to be
/// cleared. An API server that does not answer is asked again until it does.
class Departed {
 public:
  struct Handlers {
    std::function<void(model::Service service)> found;       ///< It is no load balancer.
    std::function<void(const model::ServiceKey& key)> gone;  ///< It does not exist.
  };

  /// Handlers are called on the event loop's thread. `loop` and `client` must outlive it.
  Departed(io::EventLoop& loop, io::KubeClient& client, Handlers handlers);

  /// Asks for one that left the watch; one that is a load balancer again is the watch's to tell.
  void LookAt(const model::ServiceKey& key);

  /// Looks for those that changed their type while nobody watched: our annotation gives them away.
  /// Lists the metadata of the other Services, in pages, once; further calls do nothing.
  void FindOnce();

 private:
  void Ask(const model::ServiceKey& key);
  void TakeAnswer(const model::ServiceKey& key, const absl::StatusOr<kube::Response>& response);
  void List(const std::string& continue_token);
  void TakePage(const kube::Response& response);
  void AskAgain();

  io::KubeClient& client_;
  const Handlers handlers_;
  io::Timer timer_;
  std::deque<model::ServiceKey> to_ask_;  // beyond kAtOnce
  int asking_ = 0;
  int refusals_ = 0;  // in succession
  bool sought_ = false;
  bool list_failed_ = false;
  std::set<model::ServiceKey> unanswered_;
  io::Lifetime lifetime_;
};

}  // namespace stentor::controller
