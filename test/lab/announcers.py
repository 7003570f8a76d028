# SPDX-License-Identifier: Apache-2.0
"""Who moves addresses from node to node: Stentor's speakers, and keepalived (VRRP) on the same nodes in their place.

Both share the addresses alike: each address is first of all at the node that comes first in MetalLB's election.
"""
import pathlib
import shutil

import netns
from election import candidates
from processes import Process

HERE = pathlib.Path(__file__).resolve().parent
KEEPALIVED = "keepalived"


def missing():
    """Reasons why keepalived cannot run."""
    return [] if shutil.which(KEEPALIVED) else [f"the program {KEEPALIVED} is not installed (./dev setup)"]


class Speakers:
    """Stentor's, under a profile of the membership."""

    def __init__(self, lab, profile="lan"):
        self._lab, self.name = lab, f"Stentor, {profile}"
        self._arguments = [f"--ml-profile={profile}"] if profile != "lan" else []

    def start(self, node):
        self._lab.start_speaker(node, *self._arguments)

    def stop(self, node):
        """SIGTERM; it has ended when this returns."""
        self._lab.stentor.stop_speaker(node)

    def kill(self, node):
        """SIGKILL; the node lives on."""
        self._lab.stentor.kill_speaker(node)

    def power_cut(self, node):
        """Ends with its node, and does not begin with it again by itself."""
        self._lab.stentor.speakers.pop(node)
        return self._lab.kill_node(node)

    def runs(self, node):
        return node in self._lab.stentor.speakers

    def dead(self):
        return self._lab.stentor.dead()


class Keepalived:
    """One VRRP instance for all addresses with the same first node. `advert` is the time between two
    advertisements in seconds; below 1 that takes VRRPv3 (RFC 5798), as it takes for 0.01."""

    def __init__(self, lab, addresses, advert=1):
        self._lab, self.name, self._advert = lab, f"{KEEPALIVED}, {advert:g} s", advert
        self._running, self._groups = {}, {}
        for address in addresses:
            # An instance for each address would be another program.
            first = candidates(list(lab.nodes), address)[0]
            self._groups.setdefault(first, []).append(address)
        self._folder = lab.folder / f"keepalived-{advert:g}"
        self._folder.mkdir(exist_ok=True)

    def _config(self, node):
        nodes = list(self._lab.nodes)
        lines = [f"global_defs {{\n  router_id {node}"]
        if self._advert < 1:
            lines.append("  vrrp_version 3")
        lines.append("}")
        for number, first in enumerate(nodes, 1):
            rank = (nodes.index(node) - nodes.index(first)) % len(nodes)
            addresses = "\n".join(f"    {address}/32" for address in self._groups.get(first, ()))
            lines.append(f"vrrp_instance of_{first} {{\n  state BACKUP\n  interface eth0\n"
                         f"  virtual_router_id {number}\n  priority {250 - 10 * rank}\n  advert_int {self._advert:g}\n"
                         f"  virtual_ipaddress {{\n{addresses}\n  }}\n}}")
        return "\n".join(lines) + "\n"

    def start(self, node):
        folder = self._folder / node
        folder.mkdir(exist_ok=True)
        (folder / "keepalived.conf").write_text(self._config(node))
        for left in folder.glob("*pid"):  # by one that was killed: it would wait for that one
            left.unlink()
        # The wrapper gives it a /run of its own.
        self._running[node] = Process(
            KEEPALIVED, self._lab.nodes[node].namespace,
            [KEEPALIVED, "--dont-fork", "--log-console", "--vrrp", f"--use-file={folder / 'keepalived.conf'}",
             f"--pid={folder / 'pid'}", f"--vrrp_pid={folder / 'vrrp-pid'}"],
            self._lab.logs / f"keepalived-{node}.log", wrapper=[HERE / "container.sh", folder, "root"])

    def stop(self, node):
        self._running.pop(node).terminate()

    def kill(self, node):
        """SIGKILL to both of its processes; the addresses stay on the interface, and the kernel answers for them."""
        self._running.pop(node).kill()

    def power_cut(self, node):
        self._running.pop(node)
        moment = self._lab.kill_node(node)
        # What a kernel that boots does not know any more.
        namespace = self._lab.nodes[node].namespace
        netns.batch([f"address del {address}/32 dev eth0" for address in self._held(namespace)], namespace)
        return moment

    def _held(self, namespace):
        mine = {address for group in self._groups.values() for address in group}
        shown = netns.ip("-o", "-4", "address", "show", "dev", "eth0", namespace=namespace)
        return [word.partition("/")[0] for line in shown.splitlines() for word in line.split()[3:4]
                if word.partition("/")[0] in mine]

    def runs(self, node):
        return node in self._running

    def dead(self):
        return {node: process.log_end() for node, process in self._running.items() if not process.alive()}
