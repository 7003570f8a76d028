// SPDX-License-Identifier: Apache-2.0

/// \file
/// The other speakers, by the labels of their pods.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "speaker/app/speaker.h"

namespace stentor::speaker {

void SpeakerApp::WatchPods() {
  io::WatchHandlers handlers;
  handlers.on_upsert = [this](const nlohmann::json& object) {
    const auto pod = kube::DecodePod(object);
    if (!pod.ok()) {
      Unreadable(pod.status());
      return;
    }
    pods_.insert_or_assign(pod->key, *pod);
    SetPeers();
  };
  handlers.on_delete = [this](const model::ObjectKey& key) {
    pods_.erase(key);
    SetPeers();
  };
  handlers.on_polling = [this] {
    log_.Log(
        obs::Event::kResourceRefused,
        "not allowed to watch \"pods\": they are listed every 10 s, and where a speaker is heard "
        "that is not known yet",
        {{"resource", "pods"}});
  };
  pods_watch_ = Watch({.name = "pods",
                       .path = StrCat("/api/v1/namespaces/", flags_.common.name_space, "/pods"),
                       .field_selector = "",
                       .label_selector = flags_.member_labels},
                      std::move(handlers));
}

void SpeakerApp::SetPeers() {
  if (!synced_["pods"]) {
    return;
  }
  std::map<std::string, PeerAddress> by_node;
  for (const auto& [key, pod] : pods_) {
    const auto address = net::IpAddress::Parse(pod.pod_ip);
    const bool over = pod.phase == "Succeeded" || pod.phase == "Failed";
    if (!address || pod.node.empty() || over) {
      continue;
    }
    PeerAddress& peer = by_node[pod.node];
    peer.node = pod.node;
    if (std::ranges::find(peer.addresses, *address) == peer.addresses.end()) {
      peer.addresses.push_back(*address);
    }
  }
  std::vector<PeerAddress> peers;
  for (auto& [node, peer] : by_node) {
    peers.push_back(std::move(peer));
  }
  Carry(membership_->SetPeers(loop_.Now(), peers));
}

}  // namespace stentor::speaker
