# SPDX-License-Identifier: Apache-2.0
"""Processes in namespaces, and waiting for conditions. Nothing here sleeps for a guessed time."""
import os
import pathlib
import signal
import subprocess
import time

import netns


class Timeout(AssertionError):
    """A condition did not come true in time. An assertion, so that pytest shows it as the failure that it is."""


def wait_for(condition, deadline, what, every=0.05):
    """Calls `condition` until it returns something true, which is returned. An exception counts as "not yet" and is
    told when time is up. `what` is a phrase: "the Service has an address"; a function gives it when time is up."""
    end, error, value = time.monotonic() + deadline, None, None
    while True:
        try:
            value, error = condition(), None
            if value:
                return value
        except Exception as caught:  # whatever went wrong, it may go right the next time
            error = caught
        if time.monotonic() >= end:
            break
        time.sleep(every)
    told = what() if callable(what) else what
    raise Timeout(f"not within {deadline:g} s: {told} (last: {error if error is not None else value!r})")


def start_time(pid):
    """The start time of a process in clock ticks, or None when it is gone. With the id it names a process for good."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


class Process:
    """A program that runs in a namespace until it is told otherwise. `ip netns exec` becomes the program, so the id
    is the program's; it also gives it a private mount namespace with the namespace's own /sys. `keep_mounts` does
    without that: whoever makes mount namespaces itself needs the control groups, which that /sys hides."""

    def __init__(self, name, namespace, argv, log, env=None, wrapper=(), keep_mounts=False):
        self.name, self.namespace, self.log = name, namespace, pathlib.Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        enter = ["nsenter", f"--net={netns.FOLDER / namespace}"] if keep_mounts else ["ip", "netns", "exec", namespace]
        command = [*enter, *map(str, wrapper), *map(str, argv)]
        with open(self.log, "ab") as output:
            # A session of its own: the terminal's Ctrl-C is for the lab, which then ends its programs in order.
            self._popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                           env=env, start_new_session=True)
        self.pid = self._popen.pid

    def alive(self):
        return self._popen.poll() is None

    @property
    def exit_code(self):
        return self._popen.poll()

    def kill(self):
        """SIGKILL, and it is gone when this returns."""
        self._signal_group(signal.SIGKILL)
        self._popen.wait()

    def terminate(self, timeout=10):
        """SIGTERM; SIGKILL if that was not enough. Returns the exit code."""
        self._signal_group(signal.SIGTERM)
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Timeout(f"{self.name} did not end within {timeout} s of SIGTERM") from None

    def signal(self, which):
        """To it and all that it has started."""
        self._signal_group(which)

    def _signal_group(self, which):
        if self.alive():
            try:
                os.killpg(self.pid, which)
            except ProcessLookupError:
                pass
            except PermissionError:  # the group is not its own yet: the child is between fork and setsid
                self._popen.send_signal(which)

    def _status(self, *keys):
        """Numbers of /proc/PID/status: the kernel's own account of the process."""
        lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        found = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines) if key in keys}
        if len(found) != len(keys):
            raise RuntimeError(f"{self.name} has no {' or '.join(keys)}: it ended")
        return [found[key] for key in keys]

    def memory_kib(self):
        """Resident memory in KiB: (all of it, what is its own and not a file's)."""
        return tuple(self._status("VmRSS", "RssAnon"))

    def wakeups(self):
        """How often its main thread went to sleep so far, and so woke up."""
        return self._status("voluntary_ctxt_switches")[0]

    def cpu_seconds(self):
        """Processor time that it has used so far, all threads, user and system."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run_seconds(self):
        """The same as the scheduler counts it, in nanoseconds: for a program that wakes up for some 50 µs at a time, where
        the ticks of cpu_seconds() count what happens to run when one comes. Of threads that live; with interrupts."""
        tasks = pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_end(self, lines=15):
        return "\n".join(self.log_text().splitlines()[-lines:])
