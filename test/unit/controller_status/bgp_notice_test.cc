// SPDX-License-Identifier: Apache-2.0
#include "controller/status/bgp_notice.h"

#include <algorithm>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace stentor::controller {
namespace {

constexpr std::string_view kTail =
    ": stored and validated, but not announced: this version announces by layer 2 only";

BgpObject Peer(const std::string& name) {
  return {.kind = BgpKind::kPeer, .key = {"ns", name}, .uid = "uid-" + name};
}
BgpObject Advertisement(const std::string& name) {
  return {.kind = BgpKind::kAdvertisement, .key = {"ns", name}, .uid = "uid-" + name};
}

std::vector<BgpObject> Peers(int count) {
  std::vector<BgpObject> peers;
  for (int i = 10; i < 10 + count; ++i) {
    peers.push_back(Peer("p" + std::to_string(i)));
  }
  return peers;
}

}  // namespace

TEST_CASE("BgpNotice says what is not announced", "[status]") {
  struct Case {
    const char* name;
    std::vector<BgpObject> objects;
    std::string want;
    std::string about;  // the event
  };
  const auto c = GENERATE(values<Case>({
      {"one peer", {Peer("a")}, "BGPPeer a", "BGPPeer metallb.io/v1beta2 ns/a uid-a"},
      {"one advertisement",
       {Advertisement("a")},
       "BGPAdvertisement a",
       "BGPAdvertisement metallb.io/v1beta1 ns/a uid-a"},
      {"several of both, in order",
       {Peer("d"), Advertisement("z"), Peer("c"), Advertisement("y")},
       "BGPAdvertisements y, z; BGPPeers c, d",
       "BGPAdvertisement metallb.io/v1beta1 ns/y uid-y"},
      {"as many as are named", Peers(10),
       "BGPPeers p10, p11, p12, p13, p14, p15, p16, p17, p18, p19",
       "BGPPeer metallb.io/v1beta2 ns/p10 uid-p10"},
      {"more than are named", Peers(1000),
       "BGPPeers p10, p100, p1000, p1001, p1002, p1003, p1004, p1005, p1006, p1007 and 990 more",
       "BGPPeer metallb.io/v1beta2 ns/p10 uid-p10"},
  }));
  DYNAMIC_SECTION(c.name) {
    BgpNotice notice;
    const BgpTidings tidings = notice.Update(c.objects, false);
    REQUIRE(tidings.condition);
    CHECK(tidings.condition->type == "bgpAnnounced");
    CHECK_FALSE(tidings.condition->holds);
    CHECK(tidings.condition->reason == "NotSupported");
    CHECK(tidings.condition->message == c.want + std::string(kTail));
    CHECK_FALSE(tidings.condition->is_verdict);
    CHECK(status::IsConditionReason(tidings.condition->reason));
    REQUIRE(tidings.event);
    const kube::EventObject& about = tidings.event->about;
    CHECK(about.kind + " " + about.api_version + " " + about.key.ToString() + " " + about.uid ==
          c.about);
    CHECK(tidings.event->event.reason == "LayerTwoOnly");
    CHECK(tidings.event->event.type == kube::EventType::kWarning);
    CHECK(tidings.event->event.component == "metallb-controller");
    CHECK(tidings.event->event.message.size() <= 1024);

    // Neither order nor repetition matters.
    std::vector<BgpObject> reversed(c.objects.rbegin(), c.objects.rend());
    const BgpTidings again = notice.Update(reversed, false);
    CHECK(again.condition == tidings.condition);
    CHECK_FALSE(again.event);
  }
}

TEST_CASE("BgpNotice sends one event when BGP begins", "[status]") {
  BgpNotice notice;
  const std::vector<BgpObject> one = {Peer("a")};
  const std::vector<BgpObject> two = {Peer("a"), Advertisement("b")};
  const std::vector<BgpObject> none;

  SECTION("and none for further objects, or while the condition is being written") {
    CHECK(notice.Update(one, false).event);
    CHECK_FALSE(notice.Update(two, false).event);
    CHECK_FALSE(notice.Update(two, true).event);
    CHECK_FALSE(notice.Update(one, true).event);
  }
  SECTION("and again when it begins again") {
    CHECK(notice.Update(one, false).event);
    CHECK_FALSE(notice.Update(none, true).condition);
    CHECK_FALSE(notice.Update(none, false).event);
    CHECK(notice.Update(one, false).event);
  }
  SECTION("not after a restart") {
    CHECK_FALSE(notice.Update(one, true).event);
    CHECK_FALSE(notice.Update(one, false).event);  // somebody deletes the ConfigurationState
  }
  SECTION("what was recorded before this instance wrote counts") {
    notice.OnReading(std::nullopt);
    notice.OnReading(true);
    notice.OnReading(false);  // it wrote another condition
    CHECK_FALSE(notice.Update(one, false).event);
    CHECK_FALSE(notice.Update(none, false).event);
    CHECK(notice.Update(one, false).event);  // made anew
  }
  SECTION("nothing was recorded while the objects were read") {
    notice.OnReading(false);
    CHECK(notice.Update(one, std::nullopt).event);
  }
  SECTION("not before it is known what is recorded") {
    CHECK(notice.Update(one, std::nullopt).condition);
    CHECK_FALSE(notice.Update(one, std::nullopt).event);
    SECTION("nothing") { CHECK(notice.Update(one, false).event); }
    SECTION("it is") { CHECK_FALSE(notice.Update(one, true).event); }
  }
  SECTION("nothing where there is nothing") {
    const BgpTidings tidings = notice.Update(none, false);
    CHECK_FALSE(tidings.condition);
    CHECK_FALSE(tidings.event);
  }
}

}  // namespace stentor::controller
