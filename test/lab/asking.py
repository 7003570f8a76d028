# SPDX-License-Identifier: Apache-2.0
"""Who answers for addresses, and since when: asker.py run on a host of the lab, and what its record tells."""
import dataclasses
import pathlib
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Heard:
    """One frame that says where an address is."""
    moment: float  # of the monotonic clock
    kind: str  # "reply" to who asked, "claim": unasked, to all
    address: str
    mac: str

    @classmethod
    def parse(cls, line):
        moment, kind, address, mac = line.split()
        return cls(float(moment), kind, address, mac)


class _Program:
    def __init__(self, host, addresses, period, mode):
        self._words = ["ip", "netns", "exec", host.namespace, sys.executable, str(HERE / "asker.py"), "eth0",
                       str(period), mode, *addresses]

    def __enter__(self):
        self._process = subprocess.Popen(self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         start_new_session=True)
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("asker.py did not start")
        return self

    def begin(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()


class FirstAnswers(_Program):
    """Asks for each address until it is answered for the first time."""

    def __init__(self, host, addresses, period):
        super().__init__(host, addresses, period, "first")

    def wait(self, timeout=60):
        """address → when its first answer came; all of them."""
        watchdog = threading.Timer(timeout, self._process.kill)
        watchdog.start()
        found = {one.address: one.moment for one in map(Heard.parse, self._process.stdout)}
        watchdog.cancel()
        if self._process.wait() != 0:
            raise RuntimeError(f"addresses without an answer after {timeout} s, beside {len(found)} with one")
        return found


class Record(_Program):
    """Asks for each address all the time, from begin() (done on entering) to end()."""

    def __init__(self, host, addresses, period=0.01):
        super().__init__(host, addresses, period, "all")

    def __enter__(self):
        super().__enter__()
        self.begin()
        return self

    def end(self):
        """address → all that was heard about it, in order."""
        self._process.terminate()
        out, _ = self._process.communicate(timeout=30)
        found = {}
        for one in map(Heard.parse, out.splitlines()):
            found.setdefault(one.address, []).append(one)
        return found


def answering(host, addresses, period=0.05):
    """address → the MACs that answer for it. Somebody has to, for each."""
    with Record(host, addresses, period) as record, FirstAnswers(host, addresses, period) as first:
        first.begin()
        first.wait()
        return {address: {one.mac for one in heard if one.kind == "reply"} for address, heard in record.end().items()}


def longest_silence(replies, begin, end):
    """The longest time without one of these replies between two moments, in seconds."""
    moments = [begin, *(one.moment for one in replies if begin < one.moment < end), end]
    return max(b - a for a, b in zip(moments, moments[1:]))


@dataclasses.dataclass(frozen=True)
class Move:
    """How one address moved after a moment. Seconds; `new` is who has it in the end."""
    new: str  # MAC
    taken: float  # from the moment to the first sign of the new owner: a claim or a reply
    left: float  # from the moment to the last reply of anybody else; 0: there was none after it
    silence: float  # the longest time without a reply, from the last one before the moment on
    both: float  # from the first sign of the new owner to the last reply of anybody else


def move(heard, moment, former=None):
    """What became of an address after `moment`; `heard` is what was heard about it, from before to long after. By
    default the new owner is who answers last; with the MAC of the `former` one it is the first other one."""
    replies = [one for one in heard if one.kind == "reply"]
    others = [one for one in heard if one.moment > moment and one.mac != former] if former else replies
    if not others or replies[-1].moment < moment:
        raise RuntimeError("nobody has it in the end")
    new = others[0].mac if former else replies[-1].mac
    before = [one.moment for one in replies if one.moment <= moment][-1:] or [moment]
    after = before + [one.moment for one in replies if one.moment > moment]
    taken = min(one.moment for one in heard if one.mac == new and one.moment > moment)
    left = max((one.moment for one in replies if one.mac != new and one.moment > moment), default=moment)
    return Move(new, taken - moment, left - moment, max(b - a for a, b in zip(after, after[1:])),
                max(0.0, left - taken))
