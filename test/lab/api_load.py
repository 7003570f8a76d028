# SPDX-License-Identifier: Apache-2.0
"""Load for the controller's benchmarks, and the yardstick beside it: api-bench of test/bench/api, run in a lab."""
import contextlib
import json
import subprocess
import time

from processes import wait_for
from stentor import bin_folder
from story import pool

PROGRAM = "api-bench"
CONNECTIONS = 64  # as many writes as the controller has under way at most
POOL = "198.19.0.0/16"
IN_POD = "/run/secrets/kubernetes.io/serviceaccount"


def missing():
    """Reasons why it cannot run."""
    return [] if (bin_folder() / PROGRAM).exists() else [f"{PROGRAM} is not built (./dev build)"]


class ApiLoad:
    """Services in a namespace of their own, made by the admin, whom nobody audits or throttles."""

    def __init__(self, lab, namespace="bench"):
        self._lab, self.namespace = lab, namespace
        if namespace != "default":
            lab.kubectl("create", "namespace", namespace)
        lab.apply(json.dumps(pool("bench", POOL)))

    def _words(self, *arguments, connections):
        plane = self._lab.control_plane
        authority, certificate, key = plane.admin_files
        return ["ip", "netns", "exec", self._lab.network.control, str(bin_folder() / PROGRAM),
                f"--server={plane.address}", f"--port={plane.port}", f"--ca={authority}", f"--cert={certificate}",
                f"--key={key}", f"--connections={connections}", *map(str, arguments)]

    def _run(self, *arguments, connections, timeout):
        done = subprocess.run(self._words(*arguments, connections=connections), capture_output=True, text=True,
                              timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"{PROGRAM} {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def create(self, count, prefix="bench", *flags, connections=32, deadline=300):
        """Creates Services and waits until each has an address. Returns [(sent, created, addressed)], in seconds of
        the monotonic clock."""
        out = self._run("load", f"--namespace={self.namespace}", f"--prefix={prefix}", f"--count={count}",
                        f"--deadline={deadline}", *flags, connections=connections, timeout=deadline + 10)
        return json.loads(out)["services"]

    def delete(self):
        """Deletes all that it made."""
        self._run("delete", self.namespace, connections=32, timeout=600)

    @contextlib.contextmanager
    def awaiting(self):
        """Inside, a watch is open; `addressed()` of what is given is the moment when the last Service that had no
        address got one."""
        words = self._words("await", self.namespace, connections=1)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            try:
                if json.loads(process.stdout.readline())["without"] == 0:
                    raise RuntimeError("all Services have addresses already")
                yield Awaited(process)
            finally:
                process.kill()

    def start_yardstick(self, first=1, connections=CONNECTIONS):
        """A program that gives each Service an address, and does nothing else. It runs as the controller would."""
        plane, before = self._lab.control_plane, len(self._lab.stentor.log("yardstick").text())
        return Yardstick(before, self._lab.stentor.start_beside(
            "yardstick", PROGRAM, f"--server={plane.address}", f"--port={plane.port}", f"--ca={IN_POD}/ca.crt",
            f"--token={IN_POD}/token", f"--connections={connections}", "assign", f"--first={first}"))


class Awaited:
    def __init__(self, process):
        self._process = process

    def addressed(self, timeout=300):
        try:
            out, _ = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"Services are without an address after {timeout} s") from None
        return json.loads(out)["addressed"]


class Yardstick:
    def __init__(self, before, process):
        self.process, self._before = process, before  # the log goes on from start to start

    def said(self, word):
        """What it printed with this word in it since its start; None when it has not yet."""
        for line in self.process.log_text()[self._before:].splitlines():
            if word in line:
                return json.loads(line)
        if not self.process.alive():
            raise RuntimeError(f"{PROGRAM} ended: {self.process.log_end()}")
        return None

    def wait(self, word, deadline=60):
        return wait_for(lambda: self.said(word), deadline, f"the yardstick says {word}", every=0.01)


def quiet(lab, since, seconds=1.0, deadline=120):
    """Waits until nobody who is audited has asked for anything for a while; returns what was asked since."""
    plane, seen, changed, end = lab.control_plane, -1, time.monotonic(), time.monotonic() + deadline
    while time.monotonic() < end:
        size = plane.audited_so_far()
        if size != seen:
            seen, changed = size, time.monotonic()
        elif time.monotonic() - changed >= seconds:
            return plane.audit(since=since)
        time.sleep(0.05)
    raise RuntimeError(f"requests go on after {deadline} s")


def start_controller(lab):
    """Starts Stentor's controller; it has read pools and Services when this returns."""
    log = lab.stentor.log("controller")
    before = len(log.containing("ready"))
    process = lab.start_controller()
    wait_for(lambda: _ready(process, log, before), 60, "the controller is ready", every=0.02)
    return process


def _ready(process, log, before):
    if not process.alive():
        raise SystemExit(f"the controller ended:\n{process.log_end()}")
    return len([line for line in log.containing("ready") if line.get("event") == "ready"]) > before

