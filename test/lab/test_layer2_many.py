# SPDX-License-Identifier: Apache-2.0
"""A node with a hundred interfaces that announces a thousand addresses on each of them, and whose interfaces change."""
import json
import re
import subprocess

import netns
import pytest
from api_load import ApiLoad, missing
from bench_memory import OPTIONS
from lab import Lab
from layer2 import APP
from prerequisites import need
from processes import wait_for
from stentor import NAMESPACE

LINKS, SERVICES = 100, 1000
WIRES = (1, 37, LINKS)  # those that are asked on


class World:
    def __init__(self, lab):
        self.lab, self.node, self.switch = lab, lab.nodes["node-1"], lab.network.switch
        lab.install()
        self.plug(range(1, LINKS + 1))
        lab.apply(json.dumps({"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement",
                              "metadata": {"name": "all", "namespace": NAMESPACE}, "spec": {}}))
        lab.add_pods(APP, [self.node.name])
        lab.start_controller()
        load = ApiLoad(lab, namespace="default")
        load.create(SERVICES - 20, "many", f"--app={APP}", deadline=120)
        lab.start_speaker(self.node.name)
        load.create(20, "more", f"--app={APP}", deadline=120)
        found = sorted((entry["ip"] for item in lab.get("services")["items"]
                        for entry in item["status"].get("loadBalancer", {}).get("ingress", ())),
                       key=lambda text: [int(part) for part in text.split(".")])
        assert len(found) == SERVICES
        self.addresses = (found[0], found[SERVICES // 2], found[-1])

    @staticmethod
    def mac(number):
        return f"52:54:00:00:02:{number:02x}"

    def plug(self, numbers):
        """Interfaces many1, many2, … of the node, each on a wire of its own, from whose other end the test asks."""
        netns.batch([line for i in numbers for line in (
            f"link add ask{i} type veth peer name many{i} address {self.mac(i)} netns {self.node.namespace}",
            f"link set ask{i} up")], self.switch)
        self.ip(*(f"link set many{i} up" for i in numbers))

    def ip(self, *lines):
        netns.batch(lines, self.node.namespace)

    def answered_from(self, number, address):
        """The MACs that answer on that wire. As a host asks that has no address yet."""
        done = subprocess.run(["ip", "netns", "exec", self.switch, "arping", "-D", "-c", "1", "-w", "1", "-I",
                               f"ask{number}", address], capture_output=True, text=True)
        return [mac.lower() for mac in re.findall(r"reply from \S+ \[([0-9A-Fa-f:]{17})\]", done.stdout)]

    def is_served(self, changed=()):
        """All that are asked for on all wires that are asked on; `changed`: wire → MAC where it is another one now."""
        for number in {*WIRES, *changed}:
            mac = dict(changed).get(number, self.mac(number))
            for address in self.addresses:
                wait_for(lambda n=number, a=address, m=mac: self.answered_from(n, a) == [m], 60,
                         lambda n=number, a=address, m=mac: f"{a} is answered from {m} on wire {n}; it is from "
                         f"{self.answered_from(n, a)}")
        assert self.lab.stentor.dead() == {}


@pytest.fixture(scope="module")
def world(stentor_machine):
    need(missing())
    with Lab(nodes=1, options=OPTIONS) as lab:
        yield World(lab)


def test_every_interface_answers_for_every_address(world):
    world.is_served()


def test_another_mac(world):
    other = "52:54:00:00:03:25"
    world.ip(f"link set many37 address {other}")
    world.is_served({37: other})
    world.ip(f"link set many37 address {world.mac(37)}")
    world.is_served()


def test_deleted_and_made_again(world):
    world.ip("link del many1", f"link del many{LINKS}")
    world.plug([1, LINKS])
    world.is_served()


def test_flaps(world):
    for _ in range(3):
        world.ip(*(f"link set many{i} {state}" for i in range(30, 40) for state in ("down", "up")))
    world.is_served()


def test_it_lived_through_all_of_it(world):
    log = world.lab.stentor.log(f"speaker-{world.node.name}")
    assert len([line for line in log.lines() if line.get("event") == "starting"]) == 1
    failed = [line for line in log.lines() if line.get("event") == "interfaceFailed"]
    assert not [line for line in failed if "memory" in line["msg"].lower()], failed
