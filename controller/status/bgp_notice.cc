// SPDX-License-Identifier: Apache-2.0
#include "controller/status/bgp_notice.h"

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <utility>

#include "common/base/strings.h"

namespace stentor::controller {
namespace {

constexpr std::size_t kMaxNames = 10;  // of each kind, in a message

bool Before(const BgpObject& a, const BgpObject& b) {
  return std::tie(a.kind, a.key) < std::tie(b.kind, b.key);
}

const char* KindName(BgpKind kind) {
  return kind == BgpKind::kPeer ? "BGPPeer" : "BGPAdvertisement";
}

// "BGPPeers a, b and 3 more"; empty where there is none.
std::string Enumerate(std::span<const BgpObject> sorted, BgpKind kind) {
  std::string text;
  std::size_t count = 0;
  for (const BgpObject& object : sorted) {
    if (object.kind != kind) {
      continue;
    }
    if (++count <= kMaxNames) {
      StrAppend(&text, count == 1 ? "" : ", ", object.key.name);
    }
  }
  if (count > kMaxNames) {
    StrAppend(&text, " and ", count - kMaxNames, " more");
  }
  return count == 0 ? text : StrCat(KindName(kind), count == 1 ? " " : "s ", text);
}

}  // namespace

void BgpNotice::OnReading(std::optional<bool> recorded) {
  if (!recorded_before_) {
    recorded_before_ = recorded;
  }
}

BgpTidings BgpNotice::Update(std::span<const BgpObject> objects, std::optional<bool> recorded) {
  if (const auto before = std::exchange(recorded_before_, std::nullopt)) {
    recorded = before;
  }
  if (objects.empty()) {
    told_ = false;
    return {};
  }
  std::vector<BgpObject> sorted(objects.begin(), objects.end());
  std::sort(sorted.begin(), sorted.end(), Before);
  const std::string advertisements = Enumerate(sorted, BgpKind::kAdvertisement);
  const std::string peers = Enumerate(sorted, BgpKind::kPeer);
  BgpTidings tidings;
  tidings.condition = status::Condition{
      .type = std::string(status::kBgpAnnounced),
      .holds = false,
      .reason = "NotSupported",
      .message = StrCat(advertisements, advertisements.empty() || peers.empty() ? "" : "; ", peers,
                        ": stored and validated, but not announced: this version announces by "
                        "layer 2 only"),
      .is_verdict = false};
  if (!told_ && recorded) {
    told_ = true;
    if (!*recorded) {
      const BgpObject& first = sorted.front();
      tidings.event = BgpEvent{
          .about = {.api_version =
                        first.kind == BgpKind::kPeer ? "metallb.io/v1beta2" : "metallb.io/v1beta1",
                    .kind = KindName(first.kind),
                    .key = first.key,
                    .uid = first.uid},
          .event = {.type = kube::EventType::kWarning,
                    .reason = "LayerTwoOnly",
                    .message = "This version announces by layer 2 only: BGPPeers and "
                               "BGPAdvertisements are stored and validated, but not announced",
                    .component = "metallb-controller"}};
    }
  }
  return tidings;
}

}  // namespace stentor::controller
