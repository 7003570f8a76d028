# SPDX-License-Identifier: Apache-2.0
"""What speakers tell each other: it can't be forged, replayed or drowned, and its key can be replaced. One lab, told from
top to bottom.

The attacker is client-2, a host on the segment that has recorded everything and has no key. Judges are who answers ARP
for the address, the kernel's count of the speaker's memory, and that nobody says that a speaker died.
"""
import os
import random
import re
import subprocess
import sys

import pytest
from asking import Record
from lab import HERE, Lab
from layer2 import OPTIONS, Layer2, addresses, advertisement, dual_stack, pool_of
from processes import Process, wait_for
from story import SOON

# `STENTOR_FLOOD=60` makes each attack as long as that.
FLOOD = float(os.environ.get("STENTOR_FLOOD") or 4)
PORT, NUMBER = 7946, 111
KEY = "secretkey"
# Of KiB: what an allocator may keep of a flood that has passed.
GROWTH = 2048


class World(Layer2):
    def __init__(self, lab):
        super().__init__(lab)
        self.keys = {name: lab.folder / "keys" / name for name in lab.nodes}
        for name in lab.nodes:
            self.write_key(name, "the first key")
        self.apply(pool_of("pool", 110, 119), advertisement("all", ["pool"]))
        lab.start_controller()
        for name in lab.nodes:
            self.start_speaker(name)
        self.apply(dual_stack("web", NUMBER))
        self.address = addresses(NUMBER)[0]
        wait_for(lambda: lab.speaker_of(self.address), SOON, "the address is announced")
        self.owner = lab.speaker_of(self.address)
        self.wait_members(3)

    def write_key(self, node, key, name=KEY):
        """As a kubelet does: the file is another one from one moment to the next."""
        self.keys[node].mkdir(parents=True, exist_ok=True)
        new = self.keys[node] / (name + ".new")
        new.write_text(key)
        new.rename(self.keys[node] / name)

    def start_speaker(self, node, *arguments):
        self.lab.start_speaker(node, "--port=7472", f"--ml-secret-key-path={self.keys[node]}", *arguments)

    def metrics(self, node):
        host = self.lab.nodes[node]
        return subprocess.run(["ip", "netns", "exec", host.namespace, "curl", "-s", "--max-time", "5",
                               f"http://{host.address}:7472/metrics"], capture_output=True, text=True).stdout

    def metric(self, node, series):
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.metrics(node), re.MULTILINE)
        return float(found[1])

    def dropped(self, node, reason):
        return self.metric(node, f'stentor_membership_dropped_datagrams_total{{reason="{reason}"}}')

    def wait_members(self, count):
        for node in self.lab.nodes:
            wait_for(lambda node=node: self.metric(node, "stentor_membership_alive_members") == count, SOON,
                     f"{node} sees {count} speakers")

    def events(self, *kinds):
        """(node, line) of all speakers."""
        return [(node, line) for node in self.lab.nodes
                for line in self.lab.stentor.log(f"speaker-{node}").lines() if line.get("event") in kinds]

    def record(self, node, seconds=1):
        """All datagrams that come to and from a node in that time, as hexadecimal text."""
        log = self.lab.logs / "datagrams.txt"
        log.unlink(missing_ok=True)
        process = Process("tcpdump", self.lab.nodes[node].namespace,
                          ["tcpdump", "--immediate-mode", "-l", "-n", "-x", "-i", "eth0", f"udp port {PORT}"], log)
        heads = re.compile(r"^\S+ IP .* UDP, length", re.MULTILINE)
        wait_for(lambda: len(heads.findall(process.log_text())) >= 40 * seconds, SOON, "datagrams were recorded")
        process.terminate()
        found = []
        for packet in heads.split(process.log_text())[1:-1]:
            octets = bytes.fromhex("".join(re.findall(r"^\s+0x[0-9a-f]+:\s+(.*)$", packet, re.MULTILINE)).replace(" ", ""))
            found.append(octets[(octets[0] & 15) * 4 + 8:].hex())  # behind the headers of IP and UDP
        assert all(one.startswith("5374") for one in found), found[0]
        return found

    def flood(self, node, datagrams, seconds=FLOOD):
        """How many were sent."""
        seed = random.randrange(1 << 32)
        done = subprocess.run(
            ["ip", "netns", "exec", self.poller.host.namespace, sys.executable, str(HERE / "datagram_flood.py"),
             self.lab.nodes[node].address, str(PORT), str(seconds), str(seed)],
            input="\n".join(datagrams), capture_output=True, text=True, timeout=seconds + 60)
        assert done.returncode == 0, done.stderr
        print(f"{int(done.stdout)} datagrams to {node} in {seconds:g} s, seed {seed}")
        return int(done.stdout)


@pytest.fixture(scope="module")
def world(stentor_machine):
    with Lab(options=OPTIONS) as lab:
        yield World(lab)


def undisturbed(world, act):
    """While `act` runs, and after it, the address is answered by its owner alone, and nobody loses anybody. On a busy
    machine a flood may take so much of its time from a speaker that it asks the others how it stands: that is told, but
    moves nothing."""
    before = world.events("memberLost", "memberLeft")
    with Record(world.client.host, [world.address], 0.01) as record:
        act()
        world.wait_members(3)
        heard = record.end()[world.address]
    answers = {one.mac for one in heard}
    assert answers == {world.lab.nodes[world.owner].mac}, answers
    moments = [one.moment for one in heard if one.kind == "reply"]
    print(f"longest time without an answer: {1000 * max(b - a for a, b in zip(moments, moments[1:])):.0f} ms")
    print(f"pauses so far: {len(world.events('membershipHolding'))}")
    assert world.events("memberLost", "memberLeft") == before


def test_recordings_and_forgeries_change_nothing(world):
    recorded = world.record(world.owner)
    process = world.lab.stentor.speakers[world.owner]
    world.flood(world.owner, recorded, 1)  # what a first flood makes it allocate, it keeps
    memory, heard = process.memory_kib()[0], sum(world.dropped(world.owner, reason) for reason in (
        "replay", "not_authentic", "truncated", "bad_magic", "unknown_sender"))
    undisturbed(world, lambda: world.flood(world.owner, recorded))
    assert process.memory_kib()[0] - memory < GROWTH
    dropped = {reason: world.dropped(world.owner, reason) for reason in ("replay", "not_authentic", "truncated",
                                                                         "bad_magic", "unknown_sender")}
    print(f"counted: {dropped}; memory grew by {process.memory_kib()[0] - memory} KiB")
    assert sum(dropped.values()) > heard + 1000
    assert dropped["not_authentic"] > 100 and dropped["bad_magic"] > 100


def test_what_an_earlier_boot_sealed_changes_nothing(world):
    other = next(name for name in world.lab.nodes if name != world.owner)
    recorded = world.record(other)
    world.lab.stentor.stop_speaker(other)
    world.start_speaker(other)
    world.wait_members(3)
    process = world.lab.stentor.speakers[world.owner]
    memory, before = process.memory_kib()[0], world.dropped(world.owner, "replay")
    undisturbed(world, lambda: world.flood(world.owner, recorded))
    assert world.dropped(world.owner, "replay") > before
    # Who was started after that boot can't know it; it asks for a fresh echo, and gets none.
    world.lab.stentor.stop_speaker(other)
    world.start_speaker(other)
    world.wait_members(3)
    undisturbed(world, lambda: world.flood(other, recorded))
    assert process.memory_kib()[0] - memory < GROWTH


def test_the_key_is_replaced_on_one_node_after_the_other(world):
    def replace():
        for number, node in enumerate(world.lab.nodes, 1):
            world.write_key(node, "the second key")
            wait_for(lambda number=number: len(world.events("membershipKeyChanged")) == number, SOON, f"{node} has it")
    undisturbed(world, replace)
    assert world.events("membershipKeyDiffers") == []
    # Who starts now has only the new one.
    other = next(name for name in world.lab.nodes if name != world.owner)
    world.lab.stentor.stop_speaker(other)
    world.start_speaker(other)
    world.wait_members(3)


def test_a_key_that_is_taken_away_stays_in_force_and_is_told(world):
    (world.keys[world.owner] / KEY).rename(world.keys[world.owner] / "elsewhere")
    wait_for(lambda: world.events("membershipKeyUnreadable"), SOON, "it is told")
    world.wait_members(3)
    world.write_key(world.owner, "the second key")


def test_a_speaker_with_another_key_is_left_out_and_named(world):
    other = next(name for name in world.lab.nodes if name != world.owner)
    world.lab.stentor.stop_speaker(other)
    world.write_key(other, "a slip")
    world.start_speaker(other)
    wait_for(lambda: [node for node, line in world.events("membershipKeyDiffers")
                      if node == world.owner and line["node"] == other], SOON, "its key is told to differ")
    assert world.metric(world.owner, "stentor_membership_alive_members") == 2
    world.write_key(other, "the second key")  # mended without a restart
    world.wait_members(3)


def test_a_configuration_of_the_memberlist_that_is_wrong_is_told(world):
    other = next(name for name in world.lab.nodes if name != world.owner)
    file = world.lab.folder / "config.json"
    file.write_text('{"ProbeInterval": "often"}')
    world.lab.stentor.stop_speaker(other)
    world.start_speaker(other, f"--ml-config-file={file}")
    wait_for(lambda: [line for node, line in world.events("membershipConfigRefused")
                      if node == other and "ProbeInterval" in line["msg"] and str(file) in line["msg"]], SOON, "it is told")
    world.wait_members(3)
