# SPDX-License-Identifier: Apache-2.0
"""Speakers of a cluster whose nodes know each other by IPv6: they find each other by the addresses of their pods, give up
who dies, and take back who returns. One lab, told from top to bottom."""

import pytest
from lab import Lab
from layer2 import OPTIONS, PREFIX6, Layer2, addresses, advertisement, dual_stack, pool_of
from processes import Process, wait_for
from story import SOON

NUMBER, PORT = 111, 7946


class World(Layer2):
    def __init__(self, lab):
        lab.stentor.member_addresses = {node.name: f"{PREFIX6}{10 + node.index}" for node in lab.nodes.values()}
        super().__init__(lab)
        self.apply(pool_of("pool", 110, 119), advertisement("all", ["pool"]))
        lab.start_controller()
        lab.start_speakers()
        self.apply(dual_stack("web", NUMBER))
        self.address, self.address6 = addresses(NUMBER)

    def owned_by_one(self, without=()):
        """The node that alone answers for the IPv4 address, and for the IPv6 address too."""
        def one():
            node = self.lab.speaker_of(self.address)
            both = node and self.poller.who_has(self.address6) == [self.lab.nodes[node].mac]
            return node if both and node not in without else None
        return wait_for(one, SOON, f"one answers, and it is none of {without}")

    def told(self, event, about):
        """The nodes whose speakers have told this of the one of `about`; each as often as it did."""
        return [node for node in self.lab.nodes for line in self.lab.stentor.log(f"speaker-{node}").lines()
                if line.get("event") == event and line.get("node") == about]


@pytest.fixture(scope="module")
def world(stentor_machine):
    with Lab(options=OPTIONS) as lab:
        yield World(lab)


def test_all_find_each_other_and_one_announces(world):
    names = set(world.lab.nodes)
    for name in names:
        wait_for(lambda name=name: set(world.told("memberJoined", name)) == names - {name}, SOON, f"all others met {name}")
    world.owned_by_one()


def test_all_of_it_goes_by_ipv6(world):
    node = next(iter(world.lab.nodes.values()))
    log = world.lab.logs / "datagrams.txt"
    process = Process("tcpdump", node.namespace, ["tcpdump", "--immediate-mode", "-l", "-n", "-i", "eth0",
                                                  f"udp port {PORT}"], log)
    wait_for(lambda: process.log_text().count("UDP, length") >= 40, SOON, "datagrams were seen")
    process.terminate()
    seen = [line for line in process.log_text().splitlines() if "UDP, length" in line]
    assert all(" IP6 " in line and PREFIX6 in line for line in seen), seen


@pytest.mark.parametrize("way", ["its speaker is killed", "it dies"])
def test_a_node_is_given_up_and_comes_back(world, way):
    lab, owner = world.lab, world.owned_by_one()
    lost = world.told("memberLost", owner)
    if way == "it dies":
        lab.kill_node(owner)
    else:
        lab.stentor.kill_speaker(owner)
    successor = world.owned_by_one(without=(owner,))
    assert world.told("memberLost", owner).count(successor) == lost.count(successor) + 1
    if way == "it dies":
        lab.revive_node(owner)
    else:
        lab.start_speaker(owner)
    wait_for(lambda: lab.speaker_of(world.address) == owner, SOON, "who came back has its address again")
    world.answers(world.address6, lab.nodes[owner].mac)
