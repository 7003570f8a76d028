# SPDX-License-Identifier: Apache-2.0
"""An address moves between two living nodes: it is answered all the while, and by one of them at a time.

The judge is tcpdump at the asking host. Two hosts without any memory (who_has_loop.py) ask a hundred times a second each, one
in each family. Whatever moves the address: every question gets an answer, and none that is asked after the successor's
first announcement is answered by the former one, unless the API server told that one later that it has lost the address
(then: none that is asked after that). How long answers took is printed.
"""
import datetime
import signal
import sys
import time

import election
import pytest
from clients import HERE, OpenLoopClient
from lab import Lab
from layer2 import APP, OPTIONS, Layer2, addresses, advertisement, dual_stack, pool_of
from processes import Process, wait_for
from story import SOON
from who_has_loop import ASKERS, MACS
from wire import Wire

RATE, PATIENCE = 100, 1.0
MAIN, ALONE, LOCAL = addresses(111), addresses(131), addresses(151)
EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"
QUESTIONS, ANSWERS = ("request", "solicitation"), ("reply", "advertisement")


class Asked:
    """What the wire shows of some addresses while they move."""

    def __init__(self, world, name, wanted):
        self._world, self._name, self._wanted = world, name, wanted

    def __enter__(self):
        world = self._world
        self.wire = world.wire(self._name)
        self.wire.__enter__()
        host, self._askers = world.poller.host, []
        for address in self._wanted:
            sender = "2001:db8:122::fe" if ":" in address else "192.168.122.254"
            self._askers.append(Process("who-has", host.namespace, [
                sys.executable, HERE / "who_has_loop.py", "eth0", sender, address, RATE], world.lab.logs / "who-has.log"))
        for address in self._wanted:
            self.answered_by(address, world.owner)
        return self

    def __exit__(self, *_):
        for asker in self._askers:
            asker.kill()
        self.wire.__exit__()

    def _answers(self, address, source=None):
        return [frame for frame in self.wire.frames(*ANSWERS, about=address, source=source)
                if frame.destination.startswith(ASKERS)]

    def answered_by(self, address, node, questions=20):
        """So many of the latest questions were."""
        mac = self._world.lab.nodes[node].mac

        def so():
            last = self._answers(address)[-questions:]
            return len(last) == questions and {frame.source for frame in last} == {mac}
        wait_for(so, SOON, lambda: f"{node} answers for {address}; the last answers are "
                 f"{[frame.source for frame in self._answers(address)[-5:]]}")

    def moved(self, tell, what, former, successor):
        """Waits until it has, and judges."""
        macs = {name: node.mac for name, node in self._world.lab.nodes.items()}
        for address in self._wanted:
            announced = self.wire.wait(
                lambda frame, a=address: frame.gratuitous and frame.about == a and frame.source == macs[successor],
                f"{successor} announces {address}")
            self.answered_by(address, successor, questions=RATE)
            slowest = self._judge(address, max(announced.time, self._world.withdrawn(former)), macs[former])
            tell(f"{what}: every question about {address} was answered, the slowest after {slowest * 1000:.1f} ms")

    def _judge(self, address, settled, former):
        questions, answers = {}, {}
        for frame in self.wire.frames(about=address):
            if frame.kind in QUESTIONS and frame.source.startswith(ASKERS):
                questions.setdefault(frame.source, []).append(frame)
            elif frame.kind in ANSWERS and frame.destination.startswith(ASKERS):
                answers.setdefault(frame.destination, []).append(frame)
        end = max(frame.time for asked in questions.values() for frame in asked) - 0.5
        slowest, silent, late = 0.0, [], []
        for mac, asked in questions.items():
            for i, question in enumerate(asked):
                until = asked[i + 1].time if i + 1 < len(asked) else end + 1
                told = [frame for frame in answers.get(mac, []) if question.time <= frame.time < until]
                if question.time > end:
                    continue
                if not told:
                    silent.append(question)
                    continue
                slowest = max(slowest, told[0].time - question.time)
                late += [frame for frame in told if question.time > settled and frame.source == former]
        assert len(questions) > 50, "there was nothing to judge"
        assert not silent, [f"{frame.time - settled:+.4f} s" for frame in silent]
        assert not late, [f"{frame.time - settled:+.4f} s: {frame.text}" for frame in late]
        return slowest


class World(Layer2):
    def __init__(self, lab):
        super().__init__(lab)
        lab.add_pods(APP, ["node-2", "node-3"])
        self.order = election.candidates(list(lab.nodes), MAIN[0])
        self.owner = self.order[0]
        self.apply(pool_of("main", 110, 119), pool_of("alone", 130, 139), pool_of("local", 150, 159),
                   advertisement("main", ["main", "local"]), advertisement("alone", ["alone"], nodes=[self.owner]),
                   dual_stack("main", 111), dual_stack("alone", 131))
        lab.start_controller()
        lab.start_speakers()
        for address in MAIN + ALONE:
            self.answers(address, lab.nodes[self.owner].mac)

    def wire(self, name):
        return Wire(self.poller.host.namespace, "eth0", self.lab.logs / f"tcpdump-{name}.log")

    def asked(self, name, wanted=tuple(MAIN)):
        return Asked(self, name, wanted)

    def log(self, node):
        return self.lab.stentor.log(f"speaker-{node}")

    def handed_over(self, node):
        """The log lines of `node` about addresses that it left to others, and of those that were not taken."""
        return self.log(node).containing("addressHandedOver"), self.log(node).containing("addressHandOverTimedOut")

    def withdrawn(self, node):
        """When `node` last knew that it had lost the Service "main", in seconds since the epoch, rounded up."""
        line = [one for one in self.log(node).containing("serviceWithdrawn") if one["service"] == "default/main"][-1]
        return datetime.datetime.fromisoformat(line["ts"]).timestamp() + 0.001

    def label(self, node, *labels):
        self.lab.kubectl("label", "node", node, "--overwrite", *labels)


@pytest.fixture(scope="module")
def world(stentor_machine):
    with Lab(nodes=3, options=OPTIONS) as lab:
        yield World(lab)


@pytest.fixture(autouse=True)
def as_it_was(world):
    """Each test begins with all speakers, and MAIN on the node that wins it."""
    yield
    for node in world.order:
        if node not in world.lab.stentor.speakers:
            world.lab.start_speaker(node)
    for address in MAIN:
        world.answers(address, world.lab.nodes[world.order[0]].mac)


def test_the_speaker_is_stopped_and_comes_back(world, tell):
    """SIGTERM: the next one takes over. Started again: it takes its own back."""
    first, second = world.order[:2]
    with world.asked("stop") as asked:
        assert world.lab.stentor.stop_speaker(first) == 0
        asked.moved(tell, "SIGTERM", first, second)
    taken, timed_out = world.handed_over(first)
    assert {line["address"]: line["mac"] for line in taken} == {
        address: world.lab.nodes[second].mac for address in MAIN}
    assert {(line["service"], line["winner"]) for line in taken} == {("default/main", second)}
    assert not timed_out
    world.owner = second
    try:
        with world.asked("back") as asked:
            world.lab.start_speaker(first)
            asked.moved(tell, "failing back", second, first)
        assert {line["address"] for line in world.handed_over(second)[0]} == set(MAIN)
    finally:
        world.owner = first


def test_what_nobody_else_can_take_does_not_delay_the_end(world):
    """It is answered until the others have heard the goodbye, and no hand-over is waited for in vain."""
    first = world.order[0]
    for address in ALONE:
        world.answers(address, world.lab.nodes[first].mac)
    before = len(world.handed_over(first)[1])
    assert world.lab.stentor.stop_speaker(first) == 0
    for address in ALONE:
        world.answers(address)
    assert len(world.handed_over(first)[1]) == before


def test_a_node_is_drained_by_its_label_and_comes_back(world, tell):
    first, second = world.order[:2]
    with world.asked("drain") as asked:
        world.label(first, f"{EXCLUDE}=yes")
        try:
            asked.moved(tell, "drain", first, second)
        finally:
            world.label(first, f"{EXCLUDE}-")
        for address in MAIN:
            asked.answered_by(address, first)


def test_an_advertisement_that_leaves_the_node_out(world, tell):
    first, second = world.order[:2]
    with world.asked("advertisement") as asked:
        world.apply(advertisement("main", ["main", "local"], nodes=[second]))
        try:
            asked.moved(tell, "advertisement", first, second)
        finally:
            world.apply(advertisement("main", ["main", "local"]))


def test_a_deleted_service_is_silent_at_once(world):
    """There is nobody to hand it over to."""
    world.apply(dual_stack("short-lived", 112))
    first = election.candidates(list(world.lab.nodes), addresses(112)[0])[0]
    for address in addresses(112):
        world.answers(address, world.lab.nodes[first].mac)
    with world.wire("deleted") as wire:
        world.delete("service", "short-lived")
        wait_for(lambda: [line for line in world.log(first).containing("serviceWithdrawn")
                          if line["service"] == "default/short-lived"], SOON, "it is withdrawn")
        said = time.time()
        for address in addresses(112):
            assert world.poller.who_has(address) == []
        assert not [frame for frame in wire.frames(*ANSWERS) if frame.about in addresses(112) and frame.time > said]


@pytest.fixture
def frozen(world):
    """A function that freezes the speakers of these nodes. All of them are patient here: they don't take each other for
    dead within some seconds."""
    speakers, stopped = world.lab.stentor.speakers, []

    def restart(*arguments):
        for node in list(speakers):
            world.lab.stentor.kill_speaker(node)
        for node in world.order:
            world.lab.start_speaker(node, *arguments)
        for address in MAIN:
            world.answers(address, world.lab.nodes[world.order[0]].mac)

    def freeze(nodes):
        for node in nodes:
            stopped.append(speakers[node])
            speakers[node].signal(signal.SIGSTOP)
    restart("--ml-wan-config")
    yield freeze
    for process in stopped:
        process.signal(signal.SIGCONT)
    restart()


def stop_first(world):
    """SIGTERM; returns the process once it has taken notice."""
    first, log = world.order[0], world.log(world.order[0])
    before, process = len(log.containing("stopping")), world.lab.stentor.speakers.pop(first)
    process.signal(signal.SIGTERM)
    wait_for(lambda: len(log.containing("stopping")) > before, SOON, f"the speaker of {first} stops", every=0.01)
    return process


def test_a_slow_successor_is_waited_for(world, frozen, tell):
    first, second, third = world.order
    with world.asked("slow") as asked:
        frozen([second, third])
        process = stop_first(world)
        said = time.time()
        for address in MAIN:
            asked.wire.wait(lambda frame, a=address: frame.kind in ANSWERS and frame.about == a
                            and frame.source == world.lab.nodes[first].mac and frame.time > said + 0.3,
                            f"{first} goes on answering for {address}")
        assert not asked.wire.frames(source=world.lab.nodes[second].mac, about=MAIN[0])
        for node in (second, third):
            world.lab.stentor.speakers[node].signal(signal.SIGCONT)
        asked.moved(tell, "SIGTERM, and a slow successor", first, second)
    wait_for(lambda: process.exit_code == 0, SOON, "it ended by itself")


def test_a_second_signal_ends_it_at_once(world, frozen):
    """Nobody takes anything from it, and without it it would wait for that in vain."""
    timed_out = len(world.handed_over(world.order[0])[1])
    frozen(world.order[1:])
    process = stop_first(world)
    assert process.alive()
    assert process.terminate() == 0
    assert len(world.handed_over(world.order[0])[1]) == timed_out


def test_new_connections_are_served_across_a_stop(world, tell):
    """The same by HTTP: each connection a new one, whatever its client's kernel believes. One that is open at the
    moment of the move may be reset: the new node's kernel does not know it."""
    first, second = world.order[:2]
    with OpenLoopClient(world.client.host, MAIN[0], world.lab.logs / "open-loop-stop.log", rate=RATE,
                        timeout=PATIENCE) as client:
        client.wait_steady()
        for change in (lambda: world.lab.stentor.stop_speaker(first), lambda: world.lab.start_speaker(first)):
            moment = time.monotonic()
            change()
            client.wait_good_after(moment + 2)
        answers = client.answers()
    assert not unanswered(tell, answers)


def unanswered(tell, answers):
    """Those that nobody answered in time. (A reset is an answer of some kernel, and is told.)"""
    silent = [one for one in answers if not one[2] and one[1] - one[0] >= PATIENCE]
    tell(f"{len(answers)} new connections, {len(silent)} without an answer, "
         f"{sum(not one[2] for one in answers) - len(silent)} reset; the slowest answer took "
         f"{max(end - start for start, end, ok, _ in answers if ok) * 1000:.0f} ms")
    return silent


def handshakes(wire, lost):
    """What the client's wire shows of the beginning of those that were lost: by whom SYNs went, and who answered."""
    begin = min(one[0] for one in lost) + time.time() - time.monotonic()
    return [f"{frame.time - begin:+.4f} s {frame.source} > {frame.destination} {frame.text}"
            for frame in wire.frames() if -0.3 < frame.time - begin < 1.5][:300]


def local_slice(*pods):
    """The endpoints of the Service "local", which has no selector."""
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "local-1", "labels": {"kubernetes.io/service-name": "local",
                                                       "endpointslice.kubernetes.io/managed-by": "the-test"}},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
            "endpoints": [{"addresses": [pod.address], "nodeName": pod.node, "conditions": {"ready": True}}
                          for pod in pods]}


def test_local_traffic_moves_when_the_service_proxy_is_ready(world, tell):
    """externalTrafficPolicy Local: kube-proxy drops what comes before it knows of the node's first endpoint."""
    pods = {pod.node: pod for pod in world.lab.pods if pod.app == APP}
    here, there = sorted(("node-2", "node-3"), key=election.candidates(list(world.lab.nodes), LOCAL[0]).index)
    body = dual_stack("local", 151)
    body["spec"] |= {"externalTrafficPolicy": "Local", "ipFamilyPolicy": "SingleStack", "selector": None}
    body["metadata"]["annotations"] = {"metallb.io/loadBalancerIPs": LOCAL[0]}
    world.apply(body, local_slice(pods[there]))
    world.answers(LOCAL[0], world.lab.nodes[there].mac)
    # A SYN that comes before the first node's proxy knows the Service leaves a conntrack entry without NAT, and later ones
    # from the same port follow it.
    port = world.lab.get("service", "local")["spec"]["healthCheckNodePort"]
    wait_for(lambda: world.client.curl(world.lab.nodes[there].address, port), SOON, f"the proxy of {there} is ready")
    log = world.lab.logs / "tcpdump-client.log"
    with (Wire(world.client.host.namespace, "eth0", log, f"arp or (host {LOCAL[0]} and tcp[13] & 2 != 0)") as wire,
          OpenLoopClient(world.client.host, LOCAL[0], world.lab.logs / "open-loop-local.log", rate=RATE,
                         timeout=PATIENCE) as client):
        for _ in range(3):
            client.wait_steady()
            moment = time.monotonic()
            world.apply(local_slice(pods[there], pods[here]))
            world.believes(LOCAL[0], world.lab.nodes[here].mac)
            client.wait_good_after(time.monotonic() + PATIENCE)
            lost = unanswered(tell, [one for one in client.answers() if one[0] >= moment])
            assert not lost, "\n".join(handshakes(wire, lost))
            # The way back is another story: the endpoint goes at once, and with it the node's rules.
            world.apply(local_slice(pods[there]))
            world.believes(LOCAL[0], world.lab.nodes[there].mac)
    world.delete("service", "local")
