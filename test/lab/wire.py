# SPDX-License-Identifier: Apache-2.0
"""What goes over a wire, as tcpdump tells it, and when a node's kernel spoke of its links."""
import dataclasses
import datetime
import re
import time

from processes import Process, wait_for

_LINE = re.compile(r"^(?P<time>\d+\.\d+) (?P<source>[0-9a-f:]{17}) > (?P<destination>[0-9a-f:]{17}), "
                   r"ethertype .*?, length \d+: (?P<text>.*)$")
_TEXTS = (  # tcpdump's words → what it is, whom it is about
    ("request", re.compile(r"Request who-has (?P<about>\S+?)(?: \(\S+\))? tell (?P<sender>\S+),")),
    ("reply", re.compile(r"Reply (?P<about>\S+) is-at (?P<mac>\S+?),")),
    ("solicitation", re.compile(r"^(?P<sender>\S+) > \S+ ICMP6, neighbor solicitation, .*?who has (?P<about>\S+?),")),
    ("advertisement", re.compile(r"^(?P<sender>\S+) > \S+ ICMP6, neighbor advertisement, .*?tgt is (?P<about>\S+?),")),
)
CLAIMS = ("reply", "advertisement")


@dataclasses.dataclass(frozen=True)
class Frame:
    time: float  # seconds since the epoch
    source: str
    destination: str
    kind: str  # request, reply, solicitation, advertisement, other
    about: str
    sender: str
    text: str

    @property
    def multicast(self):
        return int(self.destination[:2], 16) % 2 == 1

    @property
    def gratuitous(self):
        """Says where an address is without having been asked."""
        return ((self.kind == "request" and self.sender == self.about)
                or (self.kind in CLAIMS and self.multicast))


def parse(line):
    found = _LINE.match(line)
    if not found:
        return None
    text = re.sub(r"^(ARP, )?(Ethernet \(len 6\), IPv4 \(len 4\), )?", "", found["text"])
    for kind, pattern in _TEXTS:
        if said := pattern.search(text):
            groups = said.groupdict()
            return Frame(float(found["time"]), found["source"], found["destination"], kind, groups["about"],
                         groups.get("sender") or "", text)
    return Frame(float(found["time"]), found["source"], found["destination"], "other", "", "", text)


class Wire:
    """tcpdump on one interface for as long as it is entered."""

    def __init__(self, namespace, interface, log, expression="arp or icmp6"):
        self._arguments = (namespace, interface, log, expression)

    def __enter__(self):
        namespace, interface, log, expression = self._arguments
        log.unlink(missing_ok=True)
        self._process = Process("tcpdump", namespace, ["tcpdump", "--immediate-mode", "-l", "-n", "-e", "-tt", "-i",
                                                       interface, expression], log)
        wait_for(lambda: "listening on" in self._process.log_text(), 10, f"tcpdump listens on {interface}")
        return self

    def __exit__(self, *_):
        self._process.terminate()

    def frames(self, *kinds, about=None, source=None):
        """All so far, or those of these kinds, about this address, from this MAC."""
        found = [parse(line) for line in self._process.log_text().splitlines()]
        return [frame for frame in found if frame and (not kinds or frame.kind in kinds)
                and about in (None, frame.about) and source in (None, frame.source)]

    def wait(self, condition, what, deadline=20):
        """Until a frame is as `condition` wants it; returns the first one."""
        return wait_for(lambda: next(filter(condition, self.frames()), None), deadline,
                        lambda: f"{what}; there were {[frame.text for frame in self.frames()][-10:]}")


    def wait_quiet(self, *addresses, seconds=2):
        """Until nobody has spoken of these addresses unasked for so long: repeats of an announcement are over."""
        started = time.time()
        wait_for(lambda: time.time() - max([started] + [frame.time for frame in self.frames()
                                                        if frame.gratuitous and frame.about in addresses]) > seconds,
                 60, f"the announcements of {', '.join(addresses)} are over", every=0.2)


class LinkNotices:
    """`ip monitor link` in a namespace: when its kernel told of which change, for as long as it is entered."""

    def __init__(self, namespace, log):
        self._namespace, self._log = namespace, log

    def __enter__(self):
        self._log.unlink(missing_ok=True)
        self._process = Process("ip-monitor", self._namespace, ["ip", "-ts", "-o", "monitor", "link"], self._log)
        return self

    def __exit__(self, *_):
        self._process.kill()

    def last(self, before, *words):
        """The moment of the latest notice before `before` (both in seconds since the epoch) that contains all words;
        None without one."""
        moment = None
        for line in self._process.log_text().splitlines():
            stamp = re.match(r"\[(\S+)\] ", line)
            if stamp and all(word in line for word in words):
                told = datetime.datetime.fromisoformat(stamp[1]).timestamp()
                moment = told if told <= before else moment
        return moment
