// SPDX-License-Identifier: Apache-2.0

/// \file
/// What each kind of object is for.

#include <algorithm>
#include <utility>

#include "speaker/app/facts.h"

namespace stentor::speaker {

void Facts::Put(const model::Service& service) { reconciler_.UpsertService(service); }

void Facts::Put(const model::EndpointSlice& slice) { reconciler_.UpsertSlice(slice); }

void Facts::Put(const model::Node& node) {
  if (node.name == options_.node) {
    own_labels_ = node.labels;
  }
  reconciler_.UpsertNode(node);
  if (auto& addresses = addresses_by_node_[node.name]; addresses != node.addresses) {
    addresses = node.addresses;
    TellAddresses();
  }
}

void Facts::Put(const model::Pod& pod) {
  if (pod.node == options_.node && pod.key.name == options_.pod_name) {
    handlers_.on_own_pod(pod.uid);
  }
  pods_.insert_or_assign(pod.key, pod);
  TellPeers();
}

void Facts::Remove(Resource resource, const model::ObjectKey& key) {
  switch (resource) {
    case Resource::kServices:
      reconciler_.DeleteService(key);
      break;
    case Resource::kSlices:
      reconciler_.DeleteSlice(key);
      break;
    case Resource::kNodes:
      reconciler_.DeleteNode(key.name);
      addresses_by_node_.erase(key.name);
      TellAddresses();
      break;
    case Resource::kPods:
      pods_.erase(key);
      TellPeers();
      break;
    case Resource::kPools:
    case Resource::kAdvertisements:
    case Resource::kAddressPools:
    case Resource::kConfigMap:
      break;  // the ConfigWatch has them
  }
}

void Facts::TellAddresses() {
  if (read_.at(Resource::kNodes) == Read::kNot) {
    return;  // once for all of a list
  }
  std::set<net::IpAddress> all;
  for (const auto& [node, addresses] : addresses_by_node_) {
    all.insert(addresses.begin(), addresses.end());
  }
  if (node_addresses_ != all) {
    node_addresses_ = std::move(all);
    handlers_.on_addresses();
  }
}

void Facts::TellPeers() {
  const auto read = read_.find(Resource::kPods);
  if (read == read_.end() || read->second == Read::kNot) {
    return;  // a part of the list would make the others look gone
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
  handlers_.on_peers(peers);
}

void Facts::LookForPods() {
  constexpr Duration kAtMostEvery = std::chrono::seconds(2);
  if (pods_watch_) {
    pods_watch_->PollSoon(kAtMostEvery);
  }
}

}  // namespace stentor::speaker
