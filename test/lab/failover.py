# SPDX-License-Identifier: Apache-2.0
"""Trials of addresses that move: one node less, one more, or two halves that meet again; each returns what it measured.

A client opens connections, open loop, to one address of the node in question, and believes its own kernel about who
has the address. Another host asks for all addresses of that node by ARP. Pods are on nodes that no trial takes away:
what is measured is the address, not how soon Kubernetes notices dead pods.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import netns
from asker import Asker
from asking import Record, move
from cables import replug, unplug
from clients import Beliefs, OpenLoopClient, open_at_one_of
from election import candidates
from layer2 import advertisement
from processes import Process, wait_for
from story import APP, pool, service

HERE = pathlib.Path(__file__).resolve().parent
RATE = 100  # requests a second, by HTTP to one address and by ARP to each
PATIENCE = 3.0  # of the client: a lost SYN is sent again after one second
SLACK = 0.005  # between what two programs heard of one frame
LATE = 0.5  # an answer after that many seconds is good, but somebody waited
SETTLED = 60  # seconds within which everything has to be as it should be
SLOW_PORT, SLOW_SECONDS, SLOW_BYTES, SLOW_COUNT = 81, 4.0, 200_000, 20


class World:
    """A lab with addresses that are all given, and nobody yet who announces them."""

    def __init__(self, lab, count):
        self.lab = lab
        lab.install()
        names = list(lab.nodes)
        self.victims, with_pods = names[:-2], names[-2:]
        for pod in lab.add_pods(APP, with_pods):
            words = [sys.executable, HERE / "slow_pod.py", SLOW_PORT, SLOW_SECONDS, SLOW_BYTES]
            Process(f"slow-{pod.name}", pod.namespace, words, lab.logs / f"slow-{pod.name}.log")
        lab.start_controller()
        self.addresses = [f"192.168.122.{110 + number}" for number in range(count)]
        items = [pool("moving", f"{self.addresses[0]}-{self.addresses[-1]}"),
                 advertisement("moving", ["moving"], ["eth0"])]
        items += [self._service(number, address) for number, address in enumerate(self.addresses)]
        lab.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        wait_for(lambda: self._given() == set(self.addresses), 120, "all Services have their addresses", every=0.5)
        with netns.entered(lab.clients["client-2"].namespace):
            self._asker = Asker("eth0", self.addresses)
        self._beliefs = Beliefs(lab.clients["client"], lab.logs / "neighbours.log")
        netns.batch(["link add island type bridge stp_state 0 forward_delay 0 mcast_snooping 0", "link set island up"],
                    lab.network.switch)

    @staticmethod
    def _service(number, address):
        body = service(f"moving-{number}", address)
        body["spec"]["ports"].append({"name": "slow", "port": SLOW_PORT, "protocol": "TCP"})
        return body

    def _given(self):
        return {entry["ip"] for item in self.lab.get("services")["items"]
                for entry in item["status"]["loadBalancer"].get("ingress", ())}

    def of(self, node):
        """The addresses that this node has when all are well."""
        return [address for address in self.addresses if candidates(list(self.lab.nodes), address)[0] == node]

    # -- who has what -------------------------------------------------------------------------------------------------

    def owners(self, seconds=0.1):
        """address → names of those who answer for it."""
        self._asker.listen(0)
        for address in self._asker.addresses():
            self._asker.ask(address)
        found, end = {}, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for _, kind, address, mac in self._asker.listen(left):
                if kind == "reply":
                    found.setdefault(".".join(map(str, address)), set()).add(self.lab.network.mac_owner(mac.hex(":")))
        return found

    def wait_owned(self, announcer, without=()):
        """Until every address is answered by exactly one, and by whom it should be; `without` these nodes it is
        another one, which one is the announcer's affair."""
        def wrong():
            if dead := announcer.dead():
                raise RuntimeError(f"not running any more: {dead}")
            found = self.owners()
            return {address: sorted(found.get(address, ())) for address in self.addresses
                    if not self._as_it_should_be(address, found.get(address, set()), without)}
        wait_for(lambda: not wrong(), SETTLED,
                 lambda: f"every address has its owner, without {without}; not so: {wrong()}")

    def _as_it_should_be(self, address, owners, without):
        first = candidates(list(self.lab.nodes), address)[0]
        return len(owners) == 1 and (owners == {first} if first not in without else not owners & set(without))

    def start_all(self, announcer):
        for node in self.lab.nodes:
            announcer.start(node)
        self.wait_owned(announcer)

    def stop_all(self, announcer):
        for node in self.lab.nodes:
            announcer.stop(node)
        wait_for(lambda: not self.owners(), SETTLED, "nobody answers any more")

    def mend(self, announcer):
        """After a trial that failed: all run, and all is as it should be."""
        for node in self.lab.nodes:
            if not announcer.runs(node):
                announcer.start(node)
        self.wait_owned(announcer)

    # -- who asks -----------------------------------------------------------------------------------------------------

    def client(self, address, rate=RATE):
        return OpenLoopClient(self.lab.clients["client"], address, self.lab.logs / f"open-loop-{address}.log",
                              rate=rate, timeout=PATIENCE)

    def record(self, addresses):
        return Record(self.lab.clients["client-2"], addresses, 1 / RATE)

    @contextlib.contextmanager
    def asked(self, node, dice):
        """(client, its address, record): all is steady, and the moment is a random one: failure detectors have a
        rhythm."""
        mine = self.of(node)
        with self.client(mine[0]) as client, self.record(mine) as record:
            client.wait_steady(seconds=1)
            time.sleep(dice.uniform(0, 1))
            yield client, mine[0], record

    # -- trials: a node less ------------------------------------------------------------------------------------------

    def node_dies(self, announcer, node, dice):
        with self.asked(node, dice) as (client, address, record):
            moment = unplug(self.lab.network.switch, f"s-{node}")
            announcer.power_cut(node)
            try:
                outage, gap, _ = client.gap(moment)
                self.wait_owned(announcer, without=[node])
                moves = moved(record.end(), moment)
            finally:
                self.lab.revive_node(node)
        announcer.start(node)
        self.wait_owned(announcer)
        last = max(moves.values(), key=lambda one: one.taken)
        return {"served_s": outage, "between_answers_s": gap, "one_taken_s": moves[address].taken,
                "all_taken_s": last.taken, "last_taken_by": self.lab.network.mac_owner(last.new),
                "addresses": len(moves)}

    def killed(self, announcer, node, dice):
        """SIGKILL on a node that lives on, as its NAT rules do: connections go on, but nobody answers ARP."""
        with self.asked(node, dice) as (client, address, record):
            moment = time.monotonic()
            announcer.kill(node)
            self.wait_owned_or_held(announcer, node)
            answers, heard = ended(client, moment), record.end()
            moves = moved(heard, moment, self.lab.nodes[node].mac)
        announcer.start(node)
        self.wait_owned(announcer)
        return {"one_taken_s": moves[address].taken, **owned(moves), **self._counted(answers, address, heard)}

    def wait_owned_or_held(self, announcer, node):
        """After SIGKILL. keepalived leaves its addresses on the interface, so that the node's kernel goes on answering
        beside the new owner; it is not alone there when all have taken over."""
        def so():
            found = self.owners()
            return all(found.get(address, set()) - {node} for address in self.addresses)
        wait_for(so, SETTLED, f"all addresses are answered by others than {node}")

    def stopped_and_back(self, announcer, node, dice):
        """SIGTERM, and later a start: two results."""
        with self.asked(node, dice) as (client, address, record):
            moment = time.monotonic()
            announcer.stop(node)
            took = time.monotonic() - moment
            self.wait_owned(announcer, without=[node])
            stopped = {**self._all_served(client, address, record, moment), "ended_s": took}
        with self.asked(node, dice) as (client, address, record):
            moment = time.monotonic()
            announcer.start(node)
            self.wait_owned(announcer)
            back = self._all_served(client, address, record, moment)
        return stopped, back

    def _all_served(self, client, address, record, moment):
        answers, heard = ended(client, moment), record.end()
        return {**owned(moved(heard, moment)), **self._counted(answers, address, heard)}

    def _counted(self, answers, address, heard):
        """What became of the client's connections to an address; `heard` is what another host heard meanwhile. Those that
        were open when the address moved are counted by themselves: the new node knows nothing of them. It has moved for
        this client when its kernel believes it, which may ignore for a second that it moved once more (arp_locktime)."""
        said = heard[address]
        changes = [after.moment for before, after in zip(said, said[1:]) if before.mac != after.mac]
        changes += self._beliefs.changes(address)
        bad = [(start, end) for start, end, ok, _ in answers if not ok]
        cut = sum(open_at_one_of(changes, start, end, SLACK) for start, end in bad)
        return {"connections": len(answers), "cut": cut, "failed": len(bad) - cut,
                "late": sum(ok and end - start > LATE for start, end, ok, _ in answers),
                "slowest_s": max((end - start for start, end, _, _ in answers), default=0)}

    def rolled(self, announcer):
        """All are restarted, one after the other, each when the one before has its addresses again."""
        asked, rate = [self.of(node)[0] for node in self.lab.nodes], RATE // len(self.lab.nodes)
        with contextlib.ExitStack() as stack:
            clients = {address: stack.enter_context(self.client(address, rate)) for address in asked}
            record = stack.enter_context(self.record(asked))
            for client in clients.values():
                client.wait_steady(seconds=1)
            moment = time.monotonic()
            for node in self.lab.nodes:
                announcer.stop(node)
                announcer.start(node)
                self.wait_owned(announcer)
            took = time.monotonic() - moment
            answers = {address: ended(client, moment, rate) for address, client in clients.items()}
            heard = record.end()
        counts = [self._counted(answers[address], address, heard) for address in asked]
        return {**{key: sum(one[key] for one in counts) for key in counts[0]}, "took_s": took,
                "slowest_s": max(one["slowest_s"] for one in counts),
                "silence_s": max(one.silence for one in moved(heard, moment).values())}

    # -- trials: two halves -------------------------------------------------------------------------------------------

    def heals(self, announcer, node, dice, seconds=2.0):
        """A node is alone with its carrier for a while, long enough to take all addresses; then the halves meet."""
        mine = self.of(node)
        sample = mine[:10] + [address for address in self.addresses if address not in mine][:10]
        switch = self.lab.network.switch
        with self.client(mine[0]) as client, self.record(sample) as record:
            client.wait_steady(seconds=1)
            replug(switch, f"s-{node}", "segment", "island")
            try:
                self.wait_owned(announcer, without=[node])
                time.sleep(seconds + dice.uniform(0, 1))
                client.wait_steady(seconds=1)
            finally:
                moment = replug(switch, f"s-{node}", "island", "segment")
            self.wait_owned(announcer)
            answers, heard = ended(client, moment), record.end()
            moves = moved(heard, moment)
        return {**self._counted(answers, mine[0], heard), "one_owner_s": max(one.left for one in moves.values()),
                "silence_s": max(one.silence for one in moves.values())}

    # -- trials: connections that last, and a machine that is busy ----------------------------------------------------

    def lasting(self, announcer, node):
        """Connections that are open while their address moves: kind of the move → kind of connection → good ends."""
        found = {}
        for what, act in (("nothing moves", None), ("SIGTERM", announcer.stop), ("back after SIGTERM", announcer.start),
                          ("SIGKILL", announcer.kill), ("back after SIGKILL", announcer.start)):
            with self._opened(node) as process:
                if act:
                    act(node)
                found[what] = json.loads(process.communicate(timeout=60)[0])
            if act in (announcer.stop, announcer.kill):
                self.wait_owned_or_held(announcer, node)
            else:
                self.wait_owned(announcer)
        return found

    @contextlib.contextmanager
    def _opened(self, node):
        """connections.py, with all its connections open."""
        words = [sys.executable, HERE / "connections.py", self.of(node)[0], SLOW_PORT, SLOW_COUNT, SLOW_SECONDS,
                 SLOW_BYTES]
        with subprocess.Popen(["ip", "netns", "exec", self.lab.clients["client"].namespace, *map(str, words)],
                              stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                if process.stdout.readline() != "open\n":
                    raise RuntimeError("connections.py could not open all")
                yield process
            finally:
                process.kill()

    def busy(self, announcer, seconds):
        """Every core has two programs that do nothing but run: how many addresses moved, which none should."""
        burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
                   for _ in range(2 * os.cpu_count())]
        try:
            with Record(self.lab.clients["client-2"], self.addresses, 0.2) as record:
                time.sleep(seconds)
                heard = record.end()
        finally:
            for burner in burners:
                burner.kill()
                burner.wait()
        self.wait_owned(announcer)
        return {"seconds": seconds, "moved": sum(len({one.mac for one in said}) > 1 for said in heard.values()),
                "heard": len(heard)}


def moved(heard, moment, former=None):
    return {address: move(said, moment, former) for address, said in heard.items()}


def owned(moves):
    """Of addresses that moved on purpose: the longest silence, and the longest time with two owners."""
    return {"silence_s": max(one.silence for one in moves.values()), "both_s": max(one.both for one in moves.values()),
            "all_taken_s": max(one.taken for one in moves.values())}


def ended(client, moment, rate=RATE):
    """The connections that were opened from shortly before `moment` until now, when all of them have ended."""
    begin, end = moment - 0.2, time.monotonic()

    def mine():
        return [one for one in client.answers() if begin <= one[0] <= end]
    with contextlib.suppress(AssertionError):  # on a busy machine the client may have sent fewer
        wait_for(lambda: len(mine()) >= (end - begin) * rate - 1, PATIENCE + 1, "all have ended", every=0.1)
    return mine()
