// SPDX-License-Identifier: Apache-2.0
// Whatever happens, in whatever order: what is allowed is answered exactly where it may be, and
// what is handed over where it might be, for a while; nothing else leaves, never more than the
// budget, and the announcer comes to rest.

#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "speaker/announce/announcer.h"
#include "test/support/catch.h"
#include "test/unit/announce/announcer_node.h"

namespace stentor::speaker {
namespace {

constexpr std::uint32_t kRate = 2000;
constexpr std::uint32_t kBurst = 20;
const std::vector<std::string> kNames = {"eth0", "eth1", "bond0", "lan"};
const std::vector<net::MacAddress> kMacs = {kMac0, kMac1, kHost, kThief,
                                            net::MacAddress({2, 0, 0, 0, 0, 0x67})};

const std::vector<net::IpAddress>& Vips() {
  static const std::vector<net::IpAddress> vips = {kVip,
                                                   kVip2,
                                                   net::Ipv4Address(kVip.value() + 9),
                                                   kVip6,
                                                   *net::IpAddress::Parse("2001:db8::112"),
                                                   *net::IpAddress::Parse("2001:db8:7::111")};
  return vips;
}

template <typename T>
T OneOf(const std::vector<T>& values) {
  return *rc::gen::elementOf(values);
}

bool Coin() { return *rc::gen::arbitrary<bool>(); }

AnnouncementSpec AnySpec() {
  AnnouncementSpec spec;
  if (Coin()) {
    AllowedInterfaces::Names names;
    for (const std::string& name : kNames) {
      if (Coin()) {
        names.insert(name);
      }
    }
    spec.interfaces = AllowedInterfaces::Only(std::move(names));
  }
  spec.policy = Coin() ? kWarn : kStrict;
  spec.probe = Coin();
  return spec;
}

class World {
 public:
  World()
      : node_({.frames_per_second = kRate,
               .burst_frames = kBurst,
               .jitter_seed = *rc::gen::arbitrary<std::uint64_t>()}) {
    node_.segment = [this](const OutgoingFrame& frame) { OnSent(frame); };
  }

  void Step() {
    switch (*rc::gen::inRange(0, 9)) {
      case 0:
        Reconcile();
        break;
      case 1:
        node_.Apply(AnyLink());
        break;
      case 2: {
        net::AddressMessage local = LinkLocalOf(AnyIndex(), Coin() ? kLocal0 : kLocal1,
                                                Coin() ? 0 : net::kAddressTentative);
        local.existence = Coin() ? net::Existence::kPresent : net::Existence::kGone;
        node_.Apply(local);
        break;
      }
      case 3:
        node_.announcer.SetKnownMacs(
            Coin() ? std::set<net::MacAddress>{kHost} : std::set<net::MacAddress>{kHost, kThief},
            node_.now);
        break;
      case 4:
        node_.announcer.AnnounceAgain(node_.now);
        break;
      case 5:
      case 6:
        Foreign();
        break;
      default:
        node_.Run(OneOf<Duration>({0ms, 1ms, 40ms, 150ms, 1s, 11s, 45s, 10min}));
        break;
    }
    Check();
  }

  // Nobody says anything any more: what can be asked for is found free.
  void ComeToRest() {
    node_.Run(3h);
    RC_ASSERT(!node_.announcer.NextDeadline());
    RC_ASSERT(!node_.announcer.AnyLeaving());
    std::vector<net::IpAddress> unsettled = node_.announcer.Unannounced();
    for (const auto& [vip, conflict] : node_.announcer.Conflicts()) {
      unsettled.push_back(vip);
    }
    for (const net::IpAddress& vip : unsettled) {
      for (const auto& [index, link] : node_.links.all()) {
        RC_ASSERT(!link.carrier || !May(vip, link));
      }
    }
    Check();
  }

 private:
  static IfIndex AnyIndex() { return OneOf<IfIndex>({kEth0, kEth1, IfIndex{4}}); }

  static net::LinkMessage AnyLink() {
    net::LinkMessage message =
        LinkOf(AnyIndex(), OneOf(kNames).c_str(), OneOf<net::MacAddress>({kMac0, kMac1}),
               OneOf<std::uint32_t>({kReady, kReady, kNoCarrier, 0}), Coin() && Coin());
    message.existence =
        *rc::gen::inRange(0, 6) == 0 ? net::Existence::kGone : net::Existence::kPresent;
    return message;
  }

  void Reconcile() {
    const Announcements former = desired_;
    for (const net::IpAddress& vip : Vips()) {
      switch (*rc::gen::inRange(0, 3)) {
        case 0:
          desired_.erase(vip);
          break;
        case 1:
          desired_[vip] = AnySpec();
          break;
        default:
          break;
      }
      if (Coin()) {
        handed_over_.insert(vip);
      } else if (Coin()) {
        handed_over_.erase(vip);
      }
    }
    for (const auto& [vip, spec] : former) {
      if (!desired_.contains(vip)) {
        given_up_[vip] = {.spec = spec, .since = node_.now};
      }
    }
    const std::vector<net::IpAddress> before = node_.announcer.Leaving();
    const AnnouncementChange change =
        node_.announcer.SetAnnounced(desired_, handed_over_, node_.now);
    for (const net::IpAddress& vip : change.leaving) {
      RC_ASSERT(former.contains(vip));
      RC_ASSERT(!std::binary_search(before.begin(), before.end(), vip));
    }
    const std::uint64_t revision = node_.announcer.revision();
    RC_ASSERT(node_.announcer.SetAnnounced(desired_, handed_over_, node_.now) ==
              AnnouncementChange{});
    RC_ASSERT(node_.announcer.revision() == revision);
  }

  void Foreign() {
    const net::IpAddress vip = Coin() ? OneOf(Vips()) : NobodysAddress(OneOf(Vips()).family());
    const net::MacAddress mac = OneOf(kMacs);
    std::vector<std::byte> frame;
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        frame = Claim(vip, mac);
        break;
      case 1:
        frame = Probe(vip, mac);
        break;
      case 2:
        frame = Answer(vip, mac, OneOf(kMacs), Coin());
        break;
      default:
        frame = Claim(vip, mac);
        frame[*rc::gen::inRange<std::size_t>(0, frame.size())] ^= std::byte{0x41};
        break;
    }
    node_.Hear(AnyIndex(), frame);
  }

  // The rule, said once more.
  bool May(const net::IpAddress& vip, const Link& link) const {
    const auto spec = desired_.find(vip);
    return spec != desired_.end() && May(spec->second, vip, link);
  }

  static bool May(const AnnouncementSpec& spec, const net::IpAddress& vip, const Link& link) {
    if (!link.can_answer || (!vip.IsIpv4() && !link.link_local)) {
      return false;
    }
    return spec.interfaces.all() ? !link.enslaved : spec.interfaces.Named(link.name);
  }

  // May be answered although it is not to be announced.
  bool Leaves(const net::IpAddress& vip) const {
    const std::vector<net::IpAddress> leaving = node_.announcer.Leaving();
    return std::binary_search(leaving.begin(), leaving.end(), vip);
  }

  void CheckLeaving(const net::IpAddress& vip) const {
    RC_ASSERT(!desired_.contains(vip));
    RC_ASSERT(handed_over_.contains(vip));
    RC_ASSERT(node_.now - given_up_.at(vip).since <= AnnouncerOptions().hand_over_bound);
    RC_ASSERT(std::ranges::any_of(node_.links.all(), [&](const auto& item) {
      return item.second.carrier && May(given_up_.at(vip).spec, vip, item.second);
    }));
  }

  void OnSent(const OutgoingFrame& frame) {
    // A bucket of our own. A task may overdraw it by a frame in two forms for each link.
    const double earned = std::chrono::duration<double>(node_.now - counted_).count() * kRate;
    credit_ = std::min<double>(kBurst, credit_ + earned) - 1;
    counted_ = node_.now;
    RC_ASSERT(credit_ > -8);

    const Link* const link = node_.links.Find(frame.link);
    RC_ASSERT(link != nullptr);
    RC_ASSERT(link->carrier);
    const bool probe = ProbedBy(frame).has_value();
    if (frame.address == NobodysAddress(frame.family())) {
      RC_ASSERT(probe);
    } else {
      RC_ASSERT(May(frame.address, *link));
      RC_ASSERT(probe || node_.announcer.StateOf(frame.address) == AddressState::kAnnounced);
    }
    RC_ASSERT((frame.family() == net::IpFamily::kIpv4 ? PacketOf(frame).source
                                                      : NdPacketOf(frame).source) == link->mac);
  }

  void Check() {
    Announcer& announcer = node_.announcer;
    for (const net::IpAddress& vip : Vips()) {
      const auto state = announcer.StateOf(vip);
      RC_ASSERT(state.has_value() == desired_.contains(vip));
      const bool leaves = Leaves(vip);
      if (leaves) {
        CheckLeaving(vip);
      }
      if (state && desired_.at(vip).policy == kWarn) {
        RC_ASSERT(state == AddressState::kAnnounced);
      }
      std::vector<std::string> names;
      for (const auto& [index, link] : node_.links.all()) {
        const bool announced = May(vip, link) && state == AddressState::kAnnounced;
        if (announced) {
          names.push_back(link.name);
        }
        const bool wanted = leaves ? May(given_up_.at(vip).spec, vip, link) : May(vip, link);
        const bool want = leaves ? wanted : announced;
        RC_ASSERT(announcer.Contains(vip, index) == want);
        RC_ASSERT(node_.Hear(index, Question(vip)) == want);
        RC_ASSERT(IsLetIn(vip, index) == wanted);
      }
      std::sort(names.begin(), names.end());
      RC_ASSERT(announcer.InterfacesOf(vip) == names);
    }
    std::vector<WantedPort> ports;
    for (const auto& [index, link] : node_.links.all()) {
      const WantedPort port{.link = index,
                            .arp = !announcer.Ipv4AddressesOn(index).empty(),
                            .ndp = !announcer.Ipv6AddressesOn(index).empty()};
      if (port.arp || port.ndp) {
        ports.push_back(port);
      }
      RC_ASSERT(announcer.GroupsOn(index).empty() == !port.ndp);
    }
    RC_ASSERT(announcer.WantedPorts() == ports);
    for (const auto& [vip, conflict] : announcer.Conflicts()) {
      RC_ASSERT(desired_.contains(vip));
      RC_ASSERT(!conflict.foreign.empty() && conflict.foreign.size() <= 4);
      RC_ASSERT(conflict.withheld == (announcer.StateOf(vip) == AddressState::kWithheld));
    }
  }

  // From a host that is known, so that it is no claim whatever it asks.
  static std::vector<std::byte> Question(const net::IpAddress& vip) {
    if (vip.IsIpv4()) {
      return ArpRequest(vip.ipv4());
    }
    const net::Ipv6Address group = net::SolicitedNodeGroup(vip.ipv6());
    return Octets(net::EncodeNd({.destination = net::MulticastMac(group),
                                 .source = kHost,
                                 .ip_source = kHostLocal,
                                 .ip_destination = group,
                                 .kind = net::NdKind::kSolicitation,
                                 .target = vip.ipv6(),
                                 .link_layer_address = kHost})
                      .bytes());
  }

  bool IsLetIn(const net::IpAddress& vip, IfIndex index) const {
    if (vip.IsIpv4()) {
      const auto all = node_.announcer.Ipv4AddressesOn(index);
      return std::binary_search(all.begin(), all.end(), vip.ipv4());
    }
    const auto all = node_.announcer.Ipv6AddressesOn(index);
    return std::binary_search(all.begin(), all.end(), vip.ipv6());
  }

  Node node_;
  struct GivenUp {
    AnnouncementSpec spec;  // the last one
    TimePoint since;
  };

  Announcements desired_;
  std::set<net::IpAddress> handed_over_;
  std::map<net::IpAddress, GivenUp> given_up_;
  double credit_ = kBurst;
  TimePoint counted_ = kStart;
};

TEST_CASE("Under any events what is announced is answered where it may be", "[announcer]") {
  CHECK(rc::check([] {
    World world;
    const int steps = *rc::gen::inRange(1, 60);
    for (int i = 0; i < steps; ++i) {
      world.Step();
    }
    world.ComeToRest();
  }));
}

}  // namespace
}  // namespace stentor::speaker
