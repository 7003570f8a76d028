// SPDX-License-Identifier: Apache-2.0
#include <rapidcheck.h>

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "speaker/announce/links.h"
#include "test/support/catch.h"

namespace stentor::speaker {
namespace {

using Message = std::variant<net::LinkMessage, net::AddressMessage>;

constexpr std::uint32_t kUp = net::kLinkUp | net::kLinkBroadcast;

NameFilter SomeExcluded() { return *NameFilter::Compile({"^veth"}); }

net::LinkMessage AnyLink() {
  net::LinkMessage link;
  link.existence = *rc::gen::weightedElement<net::Existence>(
      {{5, net::Existence::kPresent}, {1, net::Existence::kGone}});
  const auto number = *rc::gen::inRange<std::uint32_t>(1, 5);
  link.index = IfIndex{number};
  link.flags = *rc::gen::element<std::uint32_t>(0, kUp, kUp | net::kLinkRunning | net::kLinkLowerUp,
                                                kUp | net::kLinkNoArp);
  link.name = *rc::gen::element<std::string>("a", "b", "veth") + std::to_string(number);
  if (*rc::gen::inRange(0, 5) != 0) {
    link.mac = net::MacAddress({2, 0, 0, 0, 0, *rc::gen::inRange<std::uint8_t>(0, 3)});
  }
  if (*rc::gen::inRange(0, 4) == 0) {
    link.master = IfIndex{9};
  }
  return link;
}

net::AddressMessage AnyAddress() {
  net::AddressMessage address;
  address.existence = *rc::gen::element(net::Existence::kPresent, net::Existence::kGone);
  address.index = IfIndex{*rc::gen::inRange<std::uint32_t>(1, 5)};
  address.address = *net::IpAddress::Parse(
      *rc::gen::element<std::string>("fe80::1", "fe80::2", "2001:db8::1", "192.0.2.1"));
  address.prefix_length = 24;
  address.flags = *rc::gen::element<std::uint32_t>(0, 0, net::kAddressTentative,
                                                   net::kAddressDadFailed, net::kAddressDeprecated);
  return address;
}

std::vector<Message> AnyMessages() {
  std::vector<Message> messages;
  for (int left = *rc::gen::inRange(1, 40); left > 0; --left) {
    if (*rc::gen::arbitrary<bool>()) {
      messages.emplace_back(AnyLink());
    } else {
      messages.emplace_back(AnyAddress());
    }
  }
  return messages;
}

std::vector<LinkEvent> Apply(const Message& message, Links* links) {
  return std::visit([links](const auto& m) { return links->Apply(m); }, message);
}

// What somebody knows who only hears the events, and looks a link up when he hears of it.
class Follower {
 public:
  void Take(const std::vector<LinkEvent>& events, const Links& links) {
    for (const LinkEvent& event : events) {
      if (event.change == LinkChange::kRemoved) {
        RC_ASSERT(known_.erase(event.index) == 1U);
        continue;
      }
      const Link* link = links.Find(event.index);
      RC_ASSERT(link != nullptr);
      RC_ASSERT(link->name == event.name);
      RC_ASSERT(known_.contains(event.index) == (event.change != LinkChange::kAdded));
      known_[event.index] = Facts(*link);
    }
  }

  void CheckComplete(const Links& links) const {
    for (const auto& [index, link] : links.all()) {
      const auto known = known_.find(index);
      RC_ASSERT((known != known_.end()) == link.can_answer);
      if (known != known_.end()) {  // RC_ASSERT evaluates both sides of an ||
        RC_ASSERT(known->second == Facts(link));
      }
      RC_ASSERT(link.answers_arp == (link.can_answer && !link.enslaved));
      RC_ASSERT(link.answers_ndp == (link.answers_arp && link.link_local.has_value()));
    }
    for (const auto& [index, facts] : known_) {
      RC_ASSERT(links.Find(index) != nullptr);
    }
  }

 private:
  // Without its addresses, of which only the link-local one matters.
  static Link Facts(Link link) {
    link.addresses.clear();
    return link;
  }

  std::map<IfIndex, Link> known_;
};

TEST_CASE("Who follows the events knows all that matters", "[links]") {
  CHECK(rc::check([] {
    Links links(SomeExcluded());
    Follower follower;
    for (const Message& message : AnyMessages()) {
      follower.Take(Apply(message, &links), links);
      follower.CheckComplete(links);
      const std::vector<LinkEvent> again = Apply(message, &links);
      RC_ASSERT(again.empty());  // it says nothing new
    }
  }));
}

TEST_CASE("After lost messages a new dump makes up for all of them", "[links]") {
  CHECK(rc::check([] {
    Links truth(SomeExcluded());
    Links links(SomeExcluded());
    Follower follower;
    for (const Message& message : AnyMessages()) {
      static_cast<void>(Apply(message, &truth));
      if (*rc::gen::inRange(0, 3) != 0) {  // the others are lost
        follower.Take(Apply(message, &links), links);
      }
    }
    links.BeginDump();
    for (const auto& [index, link] : truth.all()) {
      // What the kernel would say; flags that this object doesn't keep are put together again.
      net::LinkMessage message{.index = index, .flags = 0, .name = link.name};
      if (!link.mac.IsZero()) {
        message.mac = link.mac;
      }
      if (link.enslaved) {
        message.master = IfIndex{9};
      }
      message.flags |= link.can_answer ? kUp : 0U;
      message.flags |= link.carrier ? net::kLinkRunning | net::kLinkLowerUp : 0U;
      follower.Take(links.Apply(message), links);
    }
    for (const auto& [index, link] : truth.all()) {
      for (const auto& [address, facts] : link.addresses) {
        follower.Take(links.Apply(net::AddressMessage{.existence = net::Existence::kPresent,
                                                      .index = index,
                                                      .address = address,
                                                      .prefix_length = facts.prefix_length,
                                                      .flags = facts.flags}),
                      links);
      }
    }
    follower.Take(links.EndDump(), links);
    follower.CheckComplete(links);
    RC_ASSERT(links.all() == truth.all());
  }));
}

}  // namespace
}  // namespace stentor::speaker
