# SPDX-License-Identifier: Apache-2.0
"""Two hosts claim one address: who is told, who gives way. One lab, told from top to bottom.

The other host is client-2: its kernel has the address, or claims it by arping and unsolicited neighbour advertisements.
What an advertisement says of conflicts, `warn` or `strict`, is an annotation of ours; the judges are tcpdump, kubectl
and what the other kernel answers.
"""
import re
import subprocess
import sys

import pytest
from foreign import ForeignHost
from layer2 import Layer2, addresses, advertisement, dual_stack, one_node, pool_of
from processes import Process, wait_for
from lab import HERE
from story import SOON
from wire import CLAIMS, Wire

POLICY = "stentor.io/address-conflicts"
EVENT, OVER = "addressConflict", "addressConflictOver"
FAMILIES = pytest.mark.parametrize("family", (0, 1), ids=("ipv4", "ipv6"))
# Addresses by what is to happen to them; the last two in the pool whose advertisement is strict.
CLAIMED, TAKEN, PROXIED, DEFENDED, REFUSED = 111, 112, 113, 131, 132


class World(Layer2):
    def __init__(self, lab):
        super().__init__(lab)
        self.node, self.other = lab.nodes["node-1"], ForeignHost(self.poller)
        self.apply(pool_of("warns", 110, 119), pool_of("strict", 130, 139), advertisement("warns", ["warns"]),
                   advertisement("strict", ["strict"], annotations={POLICY: "strict"}))
        lab.start_controller()
        lab.start_speaker(self.node.name, "--port=7472")

    def wire(self, name):
        """What the node hears and says."""
        return Wire(self.node.namespace, "eth0", self.lab.logs / f"tcpdump-{name}.log")

    def event(self, service, address, reason=EVENT):
        def told():
            return [event for event in self.lab.events(service, reason) if address in event["message"]]
        return wait_for(told, SOON, lambda: f"an event {reason} about {address}; there are {self.lab.events(service)}")

    def conflict(self, address):
        """(MAC, withheld) of the speaker's metric; None without a conflict."""
        text = subprocess.run(["ip", "netns", "exec", self.node.namespace, "curl", "-s", "--max-time", "5",
                               f"http://{self.node.address}:7472/metrics"], capture_output=True, text=True).stdout
        assert "metallb_speaker_announced" in text, text
        for labels in re.findall(r"^stentor_address_conflict\{(.*)\} 1$", text, re.MULTILINE):
            found = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if found["ip"] == address:
                return found["mac"], found["withheld"]
        return None

    def in_conflict(self, address, withheld):
        wait_for(lambda: self.conflict(address) == (self.other.mac, withheld), SOON,
                 lambda: f"the metric names {self.other.mac} for {address}; it says {self.conflict(address)}")


@pytest.fixture(scope="module")
def world(stentor_machine):
    with one_node() as lab:
        made = World(lab)
        made.apply(dual_stack("claimed", CLAIMED), dual_stack("defended", DEFENDED))
        for address in addresses(CLAIMED) + addresses(DEFENDED):
            made.answers(address, made.node.mac)
        yield made


# -- warn: it is told of, defended, and announced all the time --------------------------------------------------------


@FAMILIES
def test_a_claim_is_told_of_and_answered_by_one_defence(world, family):
    address = addresses(CLAIMED)[family]
    with world.wire("defence") as wire:
        wire.wait_quiet(address)
        world.other.take(address)
        world.other.claim(address)
        claim = wire.wait(lambda frame: frame.gratuitous and frame.about == address
                          and frame.source == world.other.mac, "the other host claims it")
        defence = wire.wait(lambda frame: frame.gratuitous and frame.about == address and frame.time >= claim.time
                            and frame.source == world.node.mac, "it is defended")
        [event] = world.event("claimed", address)
        assert event["type"] == "Warning" and world.other.mac in event["message"]
        assert event["source"] == "metallb-speaker"
        world.in_conflict(address, "false")
        # More claims at once: neither an event each nor a defence each (RFC 5227: one in ten seconds).
        for _ in range(5):
            world.other.claim(address)
        assert world.node.mac in world.client.all_who_have(address)
        defences = [frame for frame in wire.frames(about=address, source=world.node.mac)
                    if frame.gratuitous and defence.time <= frame.time < defence.time + 9]
        assert len(defences) <= 2, [frame.text for frame in defences]  # the two forms of gratuitous ARP
        assert len(world.event("claimed", address)) == 1
    world.other.leave(address)


def test_an_address_that_somebody_has_is_found_by_the_first_probe(world):
    world.other.take(*addresses(TAKEN))
    with world.wire("probe") as wire:
        world.apply(dual_stack("taken", TAKEN))
        for address in addresses(TAKEN):
            [event] = world.event("taken", address)
            assert event["type"] == "Warning" and world.other.mac in event["message"]
            world.in_conflict(address, "false")
            assert world.node.mac in world.client.all_who_have(address), "it is announced nevertheless"
        assert wire.frames("request", about=addresses(TAKEN)[0], source=world.node.mac)
        assert [frame for frame in wire.frames("solicitation", about=addresses(TAKEN)[1], source=world.node.mac)
                if frame.sender == "::"]
    world.other.leave(*addresses(TAKEN))
    world.delete("service", "taken")


def test_a_host_that_only_asks_is_no_owner(world):
    """arping -D and duplicate address detection ask whether an address is free, and are told that it is not."""
    assert world.poller.has_duplicate(addresses(DEFENDED)[0])
    assert world.conflict(addresses(DEFENDED)[0]) is None


def test_a_router_that_answers_for_everything_is_no_owner(world):
    """It answers for an address that no host has as well. Another host than the one that claims addresses here: what is
    a proxy once is one for some time."""
    router = Process("proxy-arp", world.client.host.namespace, [sys.executable, HERE / "proxy_arp.py", "eth0"],
                     world.lab.logs / "proxy-arp.log")
    try:
        wait_for(lambda: "answers" in router.log_text(), SOON, "the router answers")
        with world.wire("proxy") as wire:
            world.apply(dual_stack("proxied", PROXIED))
            address = addresses(PROXIED)[0]
            wire.wait(lambda frame: frame.kind == "reply" and frame.about == address
                      and frame.source == world.client.host.mac, "the router answers the probe")
            wire.wait(lambda frame: frame.kind == "reply" and frame.about == "192.0.0.8"
                      and frame.source == world.client.host.mac, "and that for nobody's address")
            wait_for(lambda: world.node.mac in world.poller.arping(address, count=4, timeout=2), SOON,
                     "the node answers too")
        assert world.conflict(address) is None
        assert world.lab.events("proxied", EVENT) == []
    finally:
        router.kill()
    world.delete("service", "proxied")


# -- strict: it gives way ---------------------------------------------------------------------------------------------


def test_strict_refuses_an_address_that_somebody_has(world):
    world.other.take(*addresses(REFUSED))
    with world.wire("refused") as wire:
        world.apply(dual_stack("refused", REFUSED))
        for address in addresses(REFUSED):
            world.event("refused", address)
            world.in_conflict(address, "true")
            assert world.client.all_who_have(address) == [world.other.mac]
            claims = wire.frames(*CLAIMS, about=address, source=world.node.mac)
            assert not claims, [frame.text for frame in claims]
            assert wire.frames(about=address, source=world.node.mac), "it was asked for"
            assert not [frame for frame in wire.frames(about=address, source=world.node.mac) if frame.gratuitous]
    world.other.leave(*addresses(REFUSED))  # the last test sees what comes of it


@FAMILIES
def test_strict_gives_way_to_who_insists(world, family):
    """Once it defends; at the second claim within ten seconds it gives way."""
    address = addresses(DEFENDED)[family]
    world.other.take(address)
    world.other.claim(address)
    world.event("defended", address)

    def insists():
        world.other.claim(address)
        return world.conflict(address) == (world.other.mac, "true")
    wait_for(insists, SOON, f"{address} is withheld", every=1)
    assert world.client.all_who_have(address) == [world.other.mac]
    world.other.leave(address)
    assert world.client.all_who_have(address) == []


def test_what_is_free_again_is_announced(world):
    """Looked for again after 30 s."""
    for address in addresses(REFUSED):
        world.answers(address, world.node.mac, deadline=120)
        world.event("refused", address, OVER)
        assert world.conflict(address) is None


def test_nobody_else_was_blamed(world):
    """Neither this node, whose frames its own switch may bring back, nor the client that only asked."""
    log = world.lab.stentor.log(f"speaker-{world.node.name}")
    assert {line["mac"] for line in log.containing(EVENT) if line.get("event") == EVENT} == {world.other.mac}
