# SPDX-License-Identifier: Apache-2.0
"""Layer 2 as the segment sees it, in both families: one node, whose interfaces change under it.

The judges are the kernels of two clients (their neighbour tables and duplicate address detection), arping, ndisc6 and
tcpdump. MAIN is announced on eth0 only, OTHER on any interface but eth0: on those that come and go here.
"""
import netns
import pytest
from layer2 import APP, Layer2, addresses, advertisement, dual_stack, one_node, pool_of
from processes import wait_for
from stentor import NAMESPACE
from story import SOON
from wire import CLAIMS, LinkNotices, Wire

MAIN, OTHER, NOBODY = addresses(111), addresses(131), addresses(119)
EXTRA_MAC, MOVED_MAC, CHILD_MAC = "52:54:00:00:01:01", "52:54:00:00:01:02", "52:54:00:00:01:03"
FAMILIES = pytest.mark.parametrize("family", (0, 1), ids=("ipv4", "ipv6"))


class World(Layer2):
    def __init__(self, lab):
        super().__init__(lab)
        self.node = lab.nodes["node-1"]
        self.plug_extra()
        self.apply(pool_of("main", 110, 119), pool_of("other", 130, 139),
                   advertisement("main", ["main"], ["eth0"]),
                   advertisement("other", ["other"], ["extra0", "renamed0", "child0"]),
                   dual_stack("main", 111), dual_stack("other", 131))
        lab.start_controller()
        lab.start_speaker(self.node.name)

    def plug_extra(self):
        self.lab.network.plug_in(self.node, "extra0", EXTRA_MAC, "s-extra")

    def ip(self, *words):
        return netns.ip(*words, namespace=self.node.namespace)

    def wire(self, name, namespace=None, interface="eth0"):
        return Wire(namespace or self.poller.host.namespace, interface, self.lab.logs / f"tcpdump-{name}.log")

    def told_within(self, tell, what, change, mac, *words):
        """Does `change` and waits until the segment was told of OTHER's new MAC, in both families and without having
        asked; prints how long that took from the kernel's notice."""
        with self.wire("told") as wire, LinkNotices(self.node.namespace, self.lab.logs / "ip-monitor.log") as notices:
            change()
            moments = [wire.wait(lambda frame, a=address: frame.gratuitous and frame.about == a
                                 and frame.source == mac, f"{address} is announced from {mac}").time
                       for address in OTHER]
            noticed = notices.last(max(moments), *words)
        if noticed:
            tell(f"{what}: told {(max(moments) - noticed) * 1000:.1f} ms after the kernel's notice")


@pytest.fixture(scope="module")
def world(stentor_machine):
    with one_node() as lab:
        made = World(lab)
        for address in MAIN:
            made.answers(address, made.node.mac)
        for address in OTHER:
            made.answers(address, EXTRA_MAC)
        yield made


# -- questions and answers ------------------------------------------------------------------------------------------


@FAMILIES
def test_the_tools_get_one_answer_and_none_for_what_nobody_has(world, family):
    world.answers(MAIN[family], world.node.mac)
    assert world.poller.who_has(NOBODY[family]) == []


def test_arping_finds_a_duplicate_and_only_there(world):
    assert world.poller.has_duplicate(MAIN[0])
    assert not world.poller.has_duplicate(NOBODY[0])


# Short times, so that an entry goes through its states within seconds instead of minutes. An entry that was used within
# the delay before its time was up is not STALE first, so the delay is the shorter one.
NUD = {"base_reachable_time_ms": 2400, "delay_first_probe_time": 1, "retrans_time_ms": 200}


@FAMILIES
def test_an_entry_goes_through_every_state_of_the_clients_kernel(world, family):
    address, client = MAIN[family], world.client
    netns.sysctl(client.host.namespace, {f"net.ipv{(4, 6)[family]}.neigh.eth0.{key}": value
                                         for key, value in NUD.items()})
    client.forget(address)
    assert client.state(address) == ("", "")

    def becomes(state):
        wait_for(lambda: client.state(address) == (state, world.node.mac), SOON,
                 lambda: f"{address} is {state} at {world.node.mac}; it is {client.state(address)}", every=0.01)
    with world.wire("nud", client.host.namespace) as wire:
        client.send(address)
        becomes("REACHABLE")
        becomes("STALE")
        before = len(wire.frames())
        client.send(address)
        becomes("DELAY")
        # PROBE lasts as long as the answer takes: what shows it is its solicitation, to one MAC, and what follows.
        ask, answer = (("request", "reply"), ("solicitation", "advertisement"))[family]

        def probed():
            later = wire.frames(about=address)[-(len(wire.frames()) - before) or len(wire.frames()):]
            asked = [frame for frame in later if frame.kind == ask and frame.destination == world.node.mac]
            told = [frame for frame in later if frame.kind == answer and frame.source == world.node.mac
                    and frame.destination == client.host.mac]
            return asked and told and told[-1].time >= asked[0].time
        wait_for(probed, SOON, lambda: f"a unicast {ask} and its {answer}: {[f.text for f in wire.frames()]}")
        wait_for(lambda: client.state(address)[0] in ("REACHABLE", "STALE"), SOON, f"{address} is confirmed")
        assert client.state(address)[1] == world.node.mac


def test_a_host_that_takes_our_ipv6_address_finds_it_taken(world):
    """Duplicate address detection of the other host's kernel."""
    other = world.poller.host.namespace
    netns.sysctl(other, {"net.ipv6.conf.eth0.accept_dad": 1, "net.ipv6.conf.all.accept_dad": 1})

    def flags(address):
        lines = netns.ip("-6", "-o", "address", "show", "dev", "eth0", namespace=other).splitlines()
        return next((line for line in lines if f" {address}/" in line), "")
    try:
        for address in (MAIN[1], NOBODY[1]):
            netns.ip("address", "add", f"{address}/64", "dev", "eth0", namespace=other)
        wait_for(lambda: "dadfailed" in flags(MAIN[1]), SOON, lambda: f"it is refused: {flags(MAIN[1])}")
        wait_for(lambda: flags(NOBODY[1]) and "tentative" not in flags(NOBODY[1]), SOON, "the free one is usable")
        assert "dadfailed" not in flags(NOBODY[1])
    finally:
        for address in (MAIN[1], NOBODY[1]):
            netns.ip("address", "del", f"{address}/64", "dev", "eth0", namespace=other)
        netns.sysctl(other, {"net.ipv6.conf.eth0.accept_dad": 0, "net.ipv6.conf.all.accept_dad": 0})
    world.answers(MAIN[1], world.node.mac)


# -- silence --------------------------------------------------------------------------------------------------------


def test_no_frame_goes_out_that_should_not(world):
    """On the segment, on another interface of the node and on one that is excluded."""
    node = world.node
    with world.wire("silence") as segment, world.wire("extra", node.namespace, "extra0") as extra, \
            world.wire("excluded", node.namespace, "veth-mgmt") as excluded:
        for address in (NOBODY[0], NOBODY[1]):
            assert world.poller.who_has(address) == []
        for address in (MAIN[0], MAIN[1], OTHER[0], OTHER[1]):
            world.poller.who_has(address)
        # From the network that the node's veth-mgmt is on: asked there, by broadcast.
        world.lab.beside_api("arping", "-b", "-c", 2, "-w", 2, "-I", "eth0", MAIN[0], check=False)
        for address in MAIN + OTHER:  # they are still answered: what was asked before has been seen to
            segment.wait(lambda frame, a=address: frame.kind in CLAIMS and frame.about == a, f"a claim of {address}")
        asked = excluded.wait(lambda frame: frame.kind == "request" and frame.about == MAIN[0], "the request came")
        assert asked.source != node.mac
        claims = segment.frames(*CLAIMS)
        assert {frame.about for frame in claims} & set(NOBODY) == set()
        assert {(frame.about in MAIN, frame.source) for frame in claims if frame.about in MAIN + OTHER} == {
            (True, node.mac), (False, EXTRA_MAC)}
        # What was sent there, claim or gratuitous request, speaks of no address that is another interface's.
        assert not [frame for frame in extra.frames(source=EXTRA_MAC) if frame.about in MAIN]
        assert not [frame for frame in excluded.frames() if frame.about in MAIN + OTHER and frame.kind in CLAIMS]


@FAMILIES
def test_a_withdrawn_address_is_silent_at_once(world, family):
    world.apply(dual_stack("short-lived", 112))
    address = addresses(112)[family]
    world.answers(address, world.node.mac)
    log = world.lab.stentor.log(f"speaker-{world.node.name}")
    before = len(log.containing("serviceWithdrawn"))
    with world.wire("withdrawn") as wire:
        world.delete("service", "short-lived")
        wait_for(lambda: len(log.containing("serviceWithdrawn")) > before, SOON, "the speaker says that it withdrew")
        said = len(wire.frames())
        assert world.poller.who_has(address) == []
        assert world.poller.who_has(MAIN[family]) == [world.node.mac]
        assert not [frame for frame in wire.frames()[said:] if frame.about == address and frame.source == world.node.mac]


def test_a_reconcile_that_changes_nothing_sends_nothing(world):
    with world.wire("quiet") as wire:
        # After a carrier has come back, what is announced is repeated every five seconds or so, for half a minute.
        wire.wait_quiet(*MAIN, *OTHER, seconds=7)

        def unasked():
            return [frame for frame in wire.frames() if frame.gratuitous and frame.about in MAIN + OTHER]
        before = len(unasked())
        world.lab.kubectl("annotate", "service", "main", "example.com/touched=yes", "--overwrite")
        world.lab.kubectl("label", "node", world.node.name, "example.com/touched=yes", "--overwrite")
        world.apply(dual_stack("after", 113))  # once this one is answered, what came before has been seen to
        for address in addresses(113):
            world.answers(address, world.node.mac)
        assert unasked()[before:] == []
    world.delete("service", "after")


# -- links ----------------------------------------------------------------------------------------------------------


def knows(world):
    """The client's kernel has entries that nobody asks for again soon."""
    for address in OTHER:
        world.client.send(address)
    for address in OTHER:
        world.believes(address, EXTRA_MAC)


def everything_is_at(world, mac):
    for address in OTHER:
        world.believes(address, mac)  # from the gratuitous frames
        world.answers(address, mac)
    for address in MAIN:
        world.answers(address, world.node.mac)


def test_another_mac(world, tell):
    knows(world)
    world.told_within(tell, "another MAC", lambda: world.ip("link", "set", "extra0", "address", MOVED_MAC),
                      MOVED_MAC, "extra0", MOVED_MAC)
    everything_is_at(world, MOVED_MAC)
    world.told_within(tell, "the old MAC", lambda: world.ip("link", "set", "extra0", "address", EXTRA_MAC),
                      EXTRA_MAC, "extra0", EXTRA_MAC)
    everything_is_at(world, EXTRA_MAC)


def rename(world, old, new):
    world.ip("link", "set", old, "down")
    world.ip("link", "set", old, "name", new)
    world.ip("link", "set", new, "up")


def test_another_name(world, tell):
    """Advertisements name interfaces: under a name that none of them has it is silent."""
    rename(world, "extra0", "unnamed0")
    for address in OTHER:
        world.answers(address)
    world.told_within(tell, "another name", lambda: rename(world, "unnamed0", "renamed0"), EXTRA_MAC, "renamed0")
    everything_is_at(world, EXTRA_MAC)
    rename(world, "renamed0", "extra0")
    everything_is_at(world, EXTRA_MAC)


def test_deleted_and_made_again(world, tell):
    world.ip("link", "del", "extra0")
    for address in OTHER:
        world.answers(address)
    world.told_within(tell, "deleted and made again", world.plug_extra, EXTRA_MAC, "extra0")
    everything_is_at(world, EXTRA_MAC)


def test_a_macvlan_added_late(world, tell):
    def add():
        world.ip("link", "add", "link", "eth0", "name", "child0", "address", CHILD_MAC, "type", "macvlan", "mode",
                 "bridge")
        world.ip("link", "set", "child0", "up")
    world.told_within(tell, "a macvlan added late", add, CHILD_MAC, "child0")
    try:
        for address in OTHER:
            both = sorted([CHILD_MAC, EXTRA_MAC])  # it is on two interfaces of the segment now
            wait_for(lambda a=address: both == (world.poller.ndisc(a) if ":" in a else
                                                world.poller.arping(a, count=4, timeout=3)), SOON, f"both answer {address}")
        for address in MAIN:
            world.answers(address, world.node.mac)
    finally:
        world.ip("link", "del", "child0")
    for address in OTHER:
        world.answers(address, EXTRA_MAC)


def test_an_enslaved_interface_is_silent_until_it_is_free(world, tell):
    """A bridge takes the frames of its ports before anybody else sees them."""
    world.ip("link", "add", "br0", "type", "bridge")
    world.ip("link", "set", "extra0", "master", "br0")
    try:
        for address in OTHER:
            world.answers(address)
    finally:
        world.told_within(tell, "freed", lambda: world.ip("link", "set", "extra0", "nomaster"), EXTRA_MAC, "extra0")
        world.ip("link", "del", "br0")
    everything_is_at(world, EXTRA_MAC)


def test_flaps_in_a_loop(world, tell):
    knows(world)

    def flap():
        for _ in range(25):
            world.ip("link", "set", "extra0", "down")
            world.ip("link", "set", "extra0", "up")
    world.told_within(tell, "25 flaps", flap, EXTRA_MAC, "extra0")
    everything_is_at(world, EXTRA_MAC)


def test_the_cable_of_the_switch(world):
    """Carrier down and up, without a change of the interface itself."""
    port = ("link", "set", "s-extra")
    netns.ip(*port, "down", namespace=world.lab.network.switch)
    wait_for(lambda: "LOWER_UP" not in world.ip("link", "show", "extra0"), SOON, "no carrier")
    with world.wire("carrier") as wire:
        netns.ip(*port, "up", namespace=world.lab.network.switch)
        for address in OTHER:
            wire.wait(lambda frame, a=address: frame.gratuitous and frame.about == a and frame.source == EXTRA_MAC,
                      f"{address} is announced again")
    everything_is_at(world, EXTRA_MAC)


def test_the_speaker_is_who_it_was(world):
    """It came through all of this in one life, and complained of nothing that it could not open again."""
    log = world.lab.stentor.log(f"speaker-{world.node.name}")
    assert len(log.containing("starting")) == 1
    assert world.lab.stentor.dead() == {}


def test_the_pod_is_reached(world):
    """The whole way, after all of it."""
    world.client.forget(MAIN[0])
    assert wait_for(lambda: world.client.curl(MAIN[0]), SOON, "a page").startswith(f"pod={APP}")
    assert NAMESPACE in world.lab.kubectl("get", "l2advertisements", "-A")
