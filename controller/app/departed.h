// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "common/io/event_loop.h"
#include "common/io/kube_client.h"
#include "common/model/objects.h"

namespace stentor::controller {

/// Services that the watch, which shows load balancers only, does not show any more, or never did:
/// they were deleted, or have another type now and may bear traces of ours, which have to be
/// cleared. An API server that does not answer is asked again until it does.
class Departed {
 public:
  /// `found` gets what is no load balancer, on the event loop's thread. `loop` and `client` must
  /// outlive it, and the loop must not run once it is destroyed.
  Departed(io::EventLoop& loop, io::KubeClient& client, std::function<void(model::Service)> found);

  /// Asks for one that left the watch.
  void LookAt(const model::ServiceKey& key);

  /// Looks for those that changed their type while nobody watched: our annotation gives them away.
  /// Lists the metadata of the other Services, in pages, once; further calls do nothing.
  void FindOnce();

 private:
  void List(const std::string& continue_token);
  void TakePage(const kube::Response& response);
  void AskAgain();

  io::KubeClient& client_;
  const std::function<void(model::Service)> found_;
  io::Timer timer_;
  bool sought_ = false;
  bool list_failed_ = false;
  std::set<model::ServiceKey> unanswered_;
};

}  // namespace stentor::controller
