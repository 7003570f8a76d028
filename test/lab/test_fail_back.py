# SPDX-License-Identifier: Apache-2.0
"""A Service whose L2Advertisement says so stays where it is when the node comes back that the election prefers. One lab,
told from top to bottom; judges are who answers ARP and NDP, tcpdump at the client, and the client's own neighbour table.

"stay" never fails back, "later" does so after two seconds. Both begin on the node that the election's order prefers: they
are told to stay when it has them, or whichever speaker was ready first would keep them.
"""
import datetime

import election
import netns
import pytest
from lab import Lab
from layer2 import OPTIONS, Layer2, addresses, advertisement, dual_stack, pool_of
from processes import wait_for
from story import SOON
from wire import Wire

FAIL_BACK, DELAY = "stentor.io/fail-back", 2.0


def numbers_of_one_node(nodes):
    """Two numbers whose first addresses the election gives to the same nodes in the same order."""
    by_order = {}
    for number in range(111, 119):
        by_order.setdefault(tuple(election.candidates(nodes, addresses(number)[0])), []).append(number)
    return next(numbers[:2] for numbers in by_order.values() if len(numbers) > 1)


class World(Layer2):
    def __init__(self, lab):
        super().__init__(lab)
        stay, later = numbers_of_one_node(list(lab.nodes))
        self.order = election.candidates(list(lab.nodes), addresses(stay)[0])
        self.stay, self.later = addresses(stay), addresses(later)
        self.apply(pool_of("stay", stay, stay), pool_of("later", later, later),
                   advertisement("stay", ["stay"]), advertisement("later", ["later"]),
                   dual_stack("stay", stay), dual_stack("later", later))
        lab.start_controller()
        lab.start_speakers()
        self.on(self.order[0], *self.stay, *self.later)
        self.apply(advertisement("stay", ["stay"], annotations={FAIL_BACK: "never"}),
                   advertisement("later", ["later"], annotations={FAIL_BACK: f"{DELAY:.0f}s"}))

    def mac(self, node):
        return self.lab.nodes[node].mac

    def on(self, node, *wanted):
        for address in wanted:
            self.answers(address, self.mac(node))

    def wire(self, name):
        return Wire(self.client.host.namespace, "eth0", self.lab.logs / f"tcpdump-{name}.log")

    def told(self, node, event, name):
        """The log lines of that kind about a Service."""
        return [line for line in self.lab.stentor.log(f"speaker-{node}").lines()
                if line.get("event") == event and line.get("service") == f"default/{name}"]

    def restart(self, node):
        """A new speaker, until the others may give it addresses."""
        log = self.lab.stentor.log(f"speaker-{node}")
        before = len([line for line in log.lines() if line.get("event") == "membershipReady"])
        self.lab.start_speaker(node)
        wait_for(lambda: len([line for line in log.lines() if line.get("event") == "membershipReady"]) > before, SOON,
                 f"the speaker of {node} is ready")


def at(line):
    return datetime.datetime.fromisoformat(line["ts"]).timestamp()


@pytest.fixture(scope="module")
def world(stentor_machine):
    with Lab(nodes=3, options=OPTIONS) as lab:
        yield World(lab)


def test_the_owner_dies_and_comes_back(world, tell):
    """What never fails back stays; what does so after a while goes back then, and not before."""
    first, second, _ = world.order
    world.lab.stentor.kill_speaker(first)
    world.on(second, *world.stay, *world.later)
    assert world.client.curl(world.stay[0])
    world.believes(world.stay[0], world.mac(second))
    with world.wire("back") as wire:
        wire.wait_quiet(*world.stay, *world.later)
        world.restart(first)
        wait_for(lambda: world.told(second, "serviceStays", "stay"), SOON, "it is told that the Service stays")
        wait_for(lambda: world.told(second, "serviceStays", "later"), SOON, "it is told that the other one stays")
        wait_for(lambda: world.told(second, "serviceGivenBack", "later"), SOON, "it is given back")
        world.on(first, *world.later)
        world.on(second, *world.stay)
        stays, back = world.told(second, "serviceStays", "later")[-1], world.told(second, "serviceGivenBack", "later")[-1]
        for address in world.later:
            taken = wire.wait(lambda frame, a=address: frame.gratuitous and frame.about == a
                              and frame.source == world.mac(first), f"{first} announces {address}")
            tell(f"{address} was announced {taken.time - at(stays):.3f} s after its node was back")
            assert DELAY - 0.1 < taken.time - at(stays) < DELAY + 1
        assert DELAY - 0.1 < at(back) - at(stays) < DELAY + 0.5
        assert not [frame for address in world.stay for frame in wire.frames(about=address)
                    if frame.source == world.mac(first) and frame.kind in ("reply", "advertisement")]
    assert world.client.neighbour(world.stay[0]) == world.mac(second)
    assert (stays["preferred"], back["preferred"]) == (first, first)
    assert not world.told(second, "serviceGivenBack", "stay")
    assert world.client.curl(world.stay[0]) and world.client.curl(world.later[0])


def test_a_third_speaker_that_restarts_changes_nothing(world):
    first, second, third = world.order
    with world.wire("third") as wire:
        for node in (third, first):
            world.lab.stentor.kill_speaker(node)
            world.on(second, *world.stay)
            world.restart(node)
        world.on(second, *world.stay)
        assert not [frame for address in world.stay for frame in wire.frames("reply", "advertisement", about=address)
                    if frame.source != world.mac(second)]


def test_the_owner_is_stopped_and_comes_back(world):
    """SIGTERM: the address is handed over, and stays there as well."""
    first, second, _ = world.order
    assert world.lab.stentor.stop_speaker(second) == 0
    world.on(first, *world.stay)
    world.restart(second)
    world.on(first, *world.stay)
    assert not world.told(first, "serviceStays", "stay"), "it is the preferred one"


def test_what_is_given_back_in_vain_is_answered_all_the_while(world, tell):
    """The preferred node lacks the interface, which only it knows."""
    first, second, _ = world.order
    spare = "02:00:00:00:7a:02"
    world.lab.network.plug_in(world.lab.nodes[second], "spare0", spare, "port-spare")
    world.apply(advertisement("later", ["later"], interfaces=["spare0"], annotations={FAIL_BACK: f"{DELAY:.0f}s"}))
    world.lab.stentor.kill_speaker(first)
    for address in world.later:
        world.answers(address, spare)
    before = {event: len(world.told(second, event, "later")) for event in ("serviceStays", "serviceGivenBack")}
    world.restart(first)

    def new(event):
        return world.told(second, event, "later")[before[event]:]

    otherwise = []

    def has_it_again():
        asked = [(address, world.poller.who_has(address)) for address in world.later]
        otherwise.extend(answer for answer in asked if answer[1] != [spare])
        return len(new("serviceStays")) > 1
    wait_for(has_it_again, SOON, "the former tenant has it again")
    assert not otherwise, "it answers all the while, and nobody else does"
    back, again = new("serviceGivenBack")[0], new("serviceStays")[1]
    tell(f"nobody took what was given back for {at(again) - at(back):.3f} s")
    assert 4.9 < at(again) - at(back) < 6
    assert not [line for line in world.lab.stentor.log(f"speaker-{second}").lines()
                if line.get("event") == "addressHandOverTimedOut" and line["ts"] > back["ts"]]
    world.apply(advertisement("later", ["later"], annotations={FAIL_BACK: f"{DELAY:.0f}s"}))
    world.on(first, *world.later)
    netns.ip("link", "delete", "spare0", namespace=world.lab.nodes[second].namespace)


def test_what_does_not_stay_any_more_goes_back_at_once(world):
    first, second, _ = world.order
    world.lab.stentor.kill_speaker(first)
    world.on(second, *world.stay)
    world.restart(first)
    world.on(second, *world.stay)
    world.apply(advertisement("stay", ["stay"], annotations={FAIL_BACK: "immediately"}))
    world.on(first, *world.stay)
