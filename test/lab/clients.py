# SPDX-License-Identifier: Apache-2.0
"""Hosts on the segment that are no nodes: what they ask, and what their kernel believes."""
import bisect
import contextlib
import datetime
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

import netns
from processes import Process, wait_for
from wire import Wire

HERE = pathlib.Path(__file__).resolve().parent


class Client:
    """Asks from a namespace with the tools that anybody has: curl, arping, and the kernel's neighbour table."""

    def __init__(self, host):
        self.host, self._namespace = host, host.namespace

    def _run(self, *command, timeout=15):
        return subprocess.run(["ip", "netns", "exec", self._namespace, *map(str, command)],
                              capture_output=True, text=True, timeout=timeout)

    def curl(self, address, port=80, timeout=2, path=""):
        """The page, or None when there was no good answer in time."""
        host = f"[{address}]" if ":" in str(address) else address
        done = self._run("curl", "-sS", "-f", "--max-time", timeout, f"http://{host}:{port}{path}")
        return done.stdout.strip() if done.returncode == 0 else None

    def arping(self, address, count=1, timeout=1):
        """The MACs that answered `count` broadcast requests, without repetition; none: nobody answers."""
        done = self._run("arping", "-b", "-c", count, "-w", timeout, "-I", "eth0", address)
        return sorted({mac.lower() for mac in re.findall(r"reply from \S+ \[([0-9A-Fa-f:]{17})\]", done.stdout)})

    def has_duplicate(self, address):
        """What `arping -D` says: somebody else has the address that this host is about to take."""
        return self._run("arping", "-D", "-c", 2, "-w", 2, "-I", "eth0", address).returncode == 1

    def ndisc(self, address, wait_ms=300):
        """The MACs that answer a neighbour solicitation to the address's group, without repetition. ndisc6 asks;
        tcpdump tells who answers, since ndisc6 takes no notice of answers from another address than the one asked for."""
        with tempfile.TemporaryDirectory() as folder, Wire(self._namespace, "eth0", pathlib.Path(folder) / "log",
                                                           "icmp6 and ip6[40] == 136") as wire:
            self._run("ndisc6", "-n", "-m", "-r", 1, "-w", wait_ms, address, "eth0")
            answers = [frame for frame in wire.frames("advertisement", about=address) if not frame.multicast]
        return sorted({frame.source for frame in answers})

    def who_has(self, address):
        """arping or ndisc6, by the family."""
        return self.ndisc(address) if ":" in address else self.arping(address)

    def all_who_have(self, address):
        """Likewise, with time for further ones to answer as well."""
        return self.ndisc(address) if ":" in address else self.arping(address, count=4, timeout=2)

    def echo(self, address):
        """Whether the address answers an echo request (RFC 792, RFC 4443) within a second."""
        return not self._run("ping", "-n", "-c", 1, "-W", 1, address).returncode

    def send(self, address, port=9):
        """One UDP datagram: something for the kernel to find a neighbour for. Nothing confirms that it arrived."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with netns.entered(self._namespace), socket.socket(family, socket.SOCK_DGRAM) as sender:
            with contextlib.suppress(OSError):  # an error of an earlier one
                sender.sendto(b"x", (address, port))

    def state(self, address):
        """(state of the kernel's entry for an address, its MAC): REACHABLE, STALE, DELAY, PROBE, FAILED, …"""
        for entry in json.loads(netns.ip("-j", "neighbour", "show", "to", address, namespace=self._namespace) or "[]"):
            return " ".join(entry.get("state", [])), entry.get("lladdr", "").lower()
        return "", ""

    def neighbour(self, address):
        """The MAC that this host's kernel has for an address, or None."""
        for entry in json.loads(netns.ip("-j", "neighbour", "show", "to", address, namespace=self._namespace) or "[]"):
            if "lladdr" in entry and not {"FAILED", "INCOMPLETE"} & set(entry.get("state", [])):
                return entry["lladdr"].lower()
        return None

    def forget(self, address):
        """Empties the kernel's entry, as if this host had never talked to the address."""
        netns.ip("neighbour", "flush", "to", address, "dev", "eth0", namespace=self._namespace)


class Beliefs:
    """Which MACs a host's kernel believed that its neighbours have, and since when, by the kernel's own notices."""

    def __init__(self, host, log):
        words = ["ip", "-ts", "-o", "monitor", "neigh", "dev", "eth0"]
        self._process = Process("neighbours", host.namespace, words, log)
        # The monitor tells of changes only.
        self._first = dict(re.findall(r"^(\S+) .*lladdr (\S+)", netns.ip("-o", "neigh", "show", "dev", "eth0",
                                                                        namespace=host.namespace), re.MULTILINE))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()

    def changes(self, address):
        """The moments (monotonic) at which the address got another MAC than it had."""
        if not self._process.alive():
            raise RuntimeError(f"ip monitor ended: {self._process.log_end()}")
        offset, found, known = time.time() - time.monotonic(), [], self._first.get(address)
        for stamp, about, mac in re.findall(r"^\[(\S+)\] (\S+) .*lladdr (\S+)", self._process.log_text(), re.MULTILINE):
            if about == address:
                if known not in (None, mac):
                    found.append(datetime.datetime.fromisoformat(stamp).timestamp() - offset)
                known = mac
        return found


def open_at_one_of(moments, start, end, slack):
    """Whether what lasted from start to end was open at one of the moments, give or take the slack, in seconds."""
    return any(start <= moment + slack and moment - slack <= end for moment in moments)


class OpenLoopClient:
    """Keeps asking `http://ADDRESS` at a fixed rate and remembers every answer; see open_loop.py."""

    def __init__(self, host, address, log, port=80, rate=50, timeout=1.0):
        self._arguments = (host.namespace, address, pathlib.Path(log), port, rate, timeout)
        self._process = None

    def __enter__(self):
        namespace, address, log, port, rate, timeout = self._arguments
        log.unlink(missing_ok=True)
        self._log = log
        self._process = Process("open-loop", namespace, [sys.executable, HERE / "open_loop.py", address, port, rate,
                                                         timeout], log)
        return self

    def __exit__(self, *_):
        self._process.kill()

    def answers(self):
        """All ended requests as (start, end, ok, text), by their end."""
        found = []
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        for line in text.splitlines(keepends=True):
            fields = line.split(" ", 3)
            if line.endswith("\n") and len(fields) == 4:
                found.append((float(fields[0]), float(fields[1]), fields[2] == "1", fields[3].strip()))
        return sorted(found, key=lambda answer: answer[1])

    def wait_steady(self, seconds=1.0, deadline=30):
        """Until every request of the last `seconds` had a good answer: then a fault is the only cause of a gap."""
        def steady():
            answers = self.answers()
            if not answers or answers[-1][1] - answers[0][1] < seconds:
                return False
            last = answers[bisect.bisect_left([end for _, end, _, _ in answers], answers[-1][1] - seconds):]
            return all(ok for _, _, ok, _ in last)
        wait_for(steady, deadline, "the client is served without a gap")

    def wait_good_after(self, moment, deadline=30):
        """The first good answer to a request that left after `moment`."""
        return wait_for(lambda: next((one for one in self.answers() if one[2] and one[0] >= moment), None),
                        deadline, "the client is served again")

    def gap(self, moment, deadline=30):
        """Around a fault at `moment`: (seconds from the fault to the next good answer, seconds from the last good
        answer before it to that one, the answer's text)."""
        start, end, _, text = self.wait_good_after(moment, deadline)
        before = max((one[1] for one in self.answers() if one[2] and one[1] <= moment), default=moment)
        return end - moment, end - before, text
