# SPDX-License-Identifier: Apache-2.0
"""MetalLB's speakers are replaced by Stentor's while addresses are in use, and the other way round: docs/migration.md.

MetalLB's are its own program (metallb.py). A host asks for every address all the time, in both families. Whatever the
order of the rollout: no address is without an answer for longer than MetalLB takes to notice that a speaker died. What
was seen is printed.
"""
import subprocess
import time

import election
import metallb
import pytest
from asking import Record, answering, longest_silence
from lab import Lab
from layer2 import OPTIONS, Layer2, addresses, advertisement, dual_stack, pool_of
from prerequisites import need
from processes import wait_for
from stentor import NAMESPACE
from story import SOON, service

PERIOD = 0.05  # between two questions about one address
# What MetalLB takes until others answer for a node whose speaker was killed (5 s and more), on a busy machine.
FAIL_OVER = 10.0
# As a DaemonSet has it between the end of a pod and the start of the next one; the page says what a cluster needs.
REPLACEMENT = 1.0
STRICT = {"stentor.io/address-conflicts": "strict"}
BESIDE = ("--ml-bindport=7947", "--health-probe-port=17473")


class Story:
    """What was heard while something was done."""

    def __init__(self, world, heard, begin, end):
        self._world, self._heard = world, heard
        self._begin, self._end = begin, end

    def _replies(self, address):
        return [one for one in self._heard.get(address, []) if one.kind == "reply"]

    def silence(self, address):
        return longest_silence(self._replies(address), self._begin, self._end)

    def both(self, address):
        """How long different hosts answered in turns: from the first to the last answer that another host than the one
        before gave."""
        replies = self._replies(address)
        changes = [b.moment for a, b in zip(replies, replies[1:]) if a.mac != b.mac]
        return changes[-1] - changes[0] if len(changes) > 1 else 0.0

    def tell(self, tell, what):
        silences = {address: self.silence(address) for address in self._world.addresses}
        tell(f"{what}: the longest silence of an address {max(silences.values()):.2f} s (median "
             f"{sorted(silences.values())[len(silences) // 2]:.2f} s); answers of two hosts in turns for "
             f"{max(self.both(address) for address in silences):.1f} s at most")
        return silences


class World(Layer2):
    """Six Services of both families, two on each node, half of them under a strict advertisement; MetalLB's speakers
    announce them."""

    def __init__(self, lab):
        super().__init__(lab, pod_on="node-2")
        self.former = metallb.Speakers(lab)
        self.numbers = self._two_of_each_node()
        strict = self.numbers[::2]
        self.apply(*[pool_of(f"pool-{number}", number, number) for number in self.numbers],
                   advertisement("warns", [f"pool-{number}" for number in self.numbers if number not in strict]),
                   advertisement("strict", [f"pool-{number}" for number in strict], annotations=STRICT),
                   *[dual_stack(f"web-{number}", number) for number in self.numbers])
        lab.start_controller()
        # "created" is not "served"
        wait_for(lambda: lab.get("servicel2statuses", "-n", NAMESPACE), SOON, "the API serves ServiceL2Status")
        self.addresses = [one for number in self.numbers for one in addresses(number)]
        wait_for(lambda: all(lab.service_addresses(f"web-{number}") for number in self.numbers), SOON,
                 "all Services have their addresses")

    def _two_of_each_node(self):
        found = {node: [] for node in self.lab.nodes}
        for number in range(110, 200):
            found[self.winner(addresses(number)[0])].append(number)
        return sorted(number for numbers in found.values() for number in numbers[:2])

    def winner(self, address):
        number = address.rpartition(":" if ":" in address else ".")[2]
        return election.candidates(list(self.lab.nodes), addresses(number)[0])[0]

    # -- the two makes ------------------------------------------------------------------------------------------------

    def start(self, node, *arguments, port=17472):
        """Returns when the speaker is ready: then a DaemonSet goes on to the next node."""
        self.lab.start_speaker(node, *arguments)

        def ready():
            words = ["curl", "-s", "--max-time", "2", f"http://127.0.0.1:{port}/readyz"]
            done = subprocess.run(["ip", "netns", "exec", self.lab.nodes[node].namespace, *words], capture_output=True,
                                  text=True)
            return done.returncode == 0 and "ok" in done.stdout
        wait_for(ready, SOON, f"the speaker of {node} is ready", every=0.05)
        # A DaemonSet goes on now: what other nodes are about to lose is announced here already.
        events = [line.get("event") for line in self.lab.stentor.log(f"speaker-{node}").lines()]
        last = len(events) - events[::-1].index("starting")
        assert {"membershipReady", "serviceAnnounced"} <= set(events[last:]), events[last:]

    def everywhere(self, act, *arguments):
        for node in self.lab.nodes:
            act(node, *arguments)

    # -- who answers --------------------------------------------------------------------------------------------------

    def settled(self):
        """Every address is answered by the node that the election names, and by nobody else."""
        for address in self.addresses:
            self.answers(address, self.lab.nodes[self.winner(address)].mac, deadline=3 * SOON)

    def during(self, act):
        with Record(self.poller.host, self.addresses, PERIOD) as record:
            begin = time.monotonic()
            act()
            wait_for(lambda: time.monotonic() > begin, 1, "time goes on")
            return Story(self, record.end(), begin, time.monotonic())

    def conflicts(self):
        return [line for node in self.lab.nodes for line in self.lab.stentor.log(f"speaker-{node}").lines()
                if str(line.get("event", "")).startswith("addressConflict")]

    def status_writes(self, since):
        """Requests of Stentor's speakers for ServiceL2Status objects that changed something."""
        tokens = [self.lab.stentor.token_of(f"speaker-{node}") for node in self.lab.nodes]
        return [entry for entry in self.lab.control_plane.audit(since, resource="servicel2statuses")
                if entry["verb"] in ("create", "patch", "delete") and entry["token"] in tokens]


@pytest.fixture(scope="module")
def world(stentor_machine):
    need(metallb.missing())
    with Lab(nodes=3, options=OPTIONS) as lab:
        yield World(lab)


@pytest.fixture
def former(world, request):
    """MetalLB's speakers announce; afterwards nobody does, and nobody is to be missed."""
    world.former.let_write_statuses(getattr(request, "param", True))
    try:
        world.everywhere(world.former.start)
        world.settled()
        yield world
    finally:
        world.former.end()
        for node in list(world.lab.stentor.speakers):
            world.lab.stentor.kill_speaker(node)
        world.lab.kubectl("delete", "servicel2statuses", "--all", "-n", NAMESPACE)


def one_after_the_other(world, stop, start):
    """As a DaemonSet is rolled out; then until all is as it should be."""
    for node in world.lab.nodes:
        stop(node)
        time.sleep(REPLACEMENT)
        start(node)
    world.settled()


# Versions before 0.14 write no ServiceL2Status: to Stentor every address is new then, and is probed.
@pytest.mark.parametrize("former", [True, False], indirect=True, ids=["since-0.14", "as-before-0.14"])
def test_node_by_node_and_back(former, tell):
    """While both makes announce, two nodes answer for an address in turns, each of which serves it. Neither takes the
    other for a stranger."""
    world, since = former, former.lab.control_plane.audited_so_far()
    story = world.during(lambda: one_after_the_other(world, world.former.kill, world.start))
    silences = story.tell(tell, "from MetalLB, node by node")
    assert max(silences.values()) < FAIL_OVER
    # Only the first node's have to wait for its speaker: it announces what all those announce that end after it.
    first = list(world.lab.nodes)[0]
    others = max(silences[address] for address in world.addresses if world.winner(address) != first)
    tell(f"  of addresses of other nodes than the first {others:.2f} s")
    assert others < REPLACEMENT
    story = world.during(lambda: one_after_the_other(world, world.lab.stentor.stop_speaker, world.former.start))
    silences = story.tell(tell, "back to MetalLB, node by node")
    assert max(silences.values()) < REPLACEMENT
    assert world.conflicts() == []
    writes = world.status_writes(since)
    tell(f"Stentor's speakers wrote ServiceL2Status objects {len(writes)} times")


def test_all_at_once_and_back(former, tell):
    """One make at a time: never do two nodes answer for one address, but nobody does meanwhile."""
    world = former

    def forth():
        world.everywhere(world.former.kill)
        time.sleep(REPLACEMENT)
        world.everywhere(world.lab.start_speaker)
        world.settled()

    def back():
        world.everywhere(world.lab.stentor.stop_speaker)
        time.sleep(REPLACEMENT)
        world.everywhere(world.former.start)
        world.settled()
    for what, act in (("from MetalLB, all at once", forth), ("back to MetalLB, all at once", back)):
        silences = world.during(act).tell(tell, what)
        assert max(silences.values()) < FAIL_OVER
    assert world.conflicts() == []


def test_beside_each_other_nobody_is_missed(former, tell):
    """Stentor's speakers on ports of their own beside MetalLB's: the election is the same, and so both makes answer on
    the same node. When MetalLB's end, nothing changes for anybody, and neither when they are back and Stentor's end."""
    world = former
    story = world.during(lambda: (world.everywhere(lambda node: world.start(node, *BESIDE, port=17473)),
                                  world.settled()))
    assert max(story.tell(tell, "Stentor's start beside MetalLB's").values()) < REPLACEMENT
    for what, act in (
            ("MetalLB's end", lambda: (world.everywhere(world.former.kill), time.sleep(1), world.settled())),
            ("MetalLB's are back", lambda: (world.everywhere(world.former.start), time.sleep(1), world.settled())),
            ("Stentor's end", lambda: (world.everywhere(world.lab.stentor.stop_speaker), time.sleep(1),
                                       world.settled()))):
        story = world.during(act)
        assert max(story.tell(tell, what).values()) < REPLACEMENT
    assert world.conflicts() == []


def test_an_untouched_service_says_so(world):
    """All that time no Service was written to: addresses are the controller's affair."""
    for number in world.numbers:
        [write] = [entry for entry in world.lab.control_plane.audit(resource="services", subresource="status",
                                                                    name=f"web-{number}") if entry["code"] == 200]
        assert write["verb"] == "update"


def single_stack(number, family):
    """A Service with one address, since of two only the first one counts in the election; and an endpoint, which the lab's
    pods are for IPv4 only."""
    body = service(f"elected-{family.lower()}-{number}")
    body["spec"] |= {"ipFamilies": [family], "ipFamilyPolicy": "SingleStack"}
    del body["spec"]["selector"]
    name = body["metadata"]["name"]
    endpoint = {"addresses": ["192.0.2.1" if family == "IPv4" else "2001:db8::1"], "conditions": {"ready": True}}
    return [body, {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
                   "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
                   "endpoints": [endpoint], "ports": [{"name": "http", "port": 80}]}]


def test_both_elect_the_same_nodes(world):
    """For fifty addresses; the wire tells. The last test: what it makes goes with the lab."""
    lab, nodes = world.lab, list(world.lab.nodes)
    elected = [one for number in range(25) for family in ("IPv4", "IPv6") for one in single_stack(number, family)]
    names = [one["metadata"]["name"] for one in elected if one["kind"] == "Service"]
    world.apply(pool_of("elected", 200, 224), advertisement("elected", ["elected"]), *elected)

    def given():
        found = [entry["ip"] for one in lab.get("services")["items"] if one["metadata"]["name"] in names
                 for entry in one["status"]["loadBalancer"].get("ingress", [])]
        return found if len(found) == len(names) else None
    found = wait_for(given, SOON, "all Services have their addresses")
    wanted = {address: {lab.nodes[election.candidates(nodes, address)[0]].mac} for address in found}
    for start, kill in ((world.former.start, world.former.kill), (lab.start_speaker, lab.stentor.kill_speaker)):
        world.everywhere(start)
        wait_for(lambda: answering(world.poller.host, found) == wanted, 3 * SOON,
                 "the nodes of the election answer, and no others")
        world.everywhere(kill)
