# SPDX-License-Identifier: Apache-2.0
"""A stand-in for MetalLB's speaker: what others on the segment and at the API server see of one, written by its
specification. For tests in which both makes run beside each other.

    metallb_speaker.py NODE INTERFACE SERVER PORT AUTHORITY CERTIFICATE KEY STATUSES NODE=ADDRESS...

It announces the addresses of each load balanced Service whose election it wins among the members it knows: by ARP and
NDP answers, and by bursts for five seconds whenever it looks at a Service again, which it does at each change of a
Service or of the members. Members are who was heard on UDP 7946 within five seconds, as memberlist takes it to give up
one that was killed; SIGTERM says goodbye first. STATUSES: `statuses` for a version that keeps ServiceL2Status objects
(0.14 and later), `none` for one before. Not looked at: endpoints, pools, advertisements, nodes' labels.
It says "watching" when it does.
"""
import ipaddress
import os
import pathlib
import select
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kubernetes"))

import questions  # noqa: E402
from api import MERGE, ApiClient, ApiError  # noqa: E402
from election import candidates  # noqa: E402
from questions import ARP, ICMPV6, IPV6  # noqa: E402
from watching import BALANCERS, Watch, addresses_of  # noqa: E402

MEMBERLIST, DEAD_AFTER, HEARTBEAT = 7946, 5.0, 0.2
BURSTS_FOR, BURST_EVERY = 5.0, 1.1
STATUSES = "/apis/metallb.io/v1beta1/namespaces/metallb-system/servicel2statuses"
# As encrypted messages of memberlist begin: with its version, and random octets.
_HEAD, _NONCE, _GOODBYE = b"\x01", 12, b"\0leave"


class Members:
    def __init__(self, node, addresses):
        self._node, self._addresses, self._heard = node, addresses, {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((addresses[node], MEMBERLIST))
        self._socket.setblocking(False)
        self._due = 0.0

    def fileno(self):
        return self._socket.fileno()

    def say(self, what=b""):
        for node, address in self._addresses.items():
            if node != self._node:
                try:
                    self._socket.sendto(_HEAD + os.urandom(_NONCE) + self._node.encode() + what, (address, MEMBERLIST))
                except OSError:
                    pass  # nobody listens there

    def poll(self, now):
        if now >= self._due:
            self._due = now + HEARTBEAT
            self.say()

    def receive(self, now):
        while True:
            try:
                message = self._socket.recv(2048)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of an earlier datagram
            name = message[1 + _NONCE:].decode(errors="replace")
            node = name.removesuffix(_GOODBYE.decode())
            if message[:1] != _HEAD or node not in self._addresses:
                continue  # another make's
            self._heard[node] = -DEAD_AFTER if node != name else now

    def alive(self, now):
        return sorted({self._node, *(node for node, at in self._heard.items() if now - at < DEAD_AFTER)})


class Segment:
    """Both families on one interface."""

    def __init__(self, interface):
        self._ports = {protocol: self._open(interface, protocol) for protocol in (ARP, IPV6)}
        self._own = self._ports[ARP].getsockname()[4]
        self.announced = {}  # address, packed → end of its bursts

    @staticmethod
    def _open(interface, protocol):
        port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        port.bind((interface, protocol))
        port.setblocking(False)
        return port

    def ports(self):
        return list(self._ports.values())

    def _send(self, protocol, frame):
        try:
            self._ports[protocol].send(frame)
        except OSError:
            pass  # no carrier

    def _arp(self, to, operation, address, target):
        return (to + self._own + struct.pack("!HHHBBH", ARP, 1, 0x0800, 6, 4, operation) + self._own + address + target)

    def _advertise(self, to, destination, address, flags):
        self._send(IPV6, questions.advertisement(self._own, to, destination, address, flags))

    def burst(self, address):
        if len(address) == 4:
            for operation in (1, 2):
                self._send(ARP, self._arp(b"\xff" * 6, operation, address, b"\xff" * 6 + address))
        else:
            self._advertise(b"\x33\x33\0\0\0\x01", bytes.fromhex("ff02" + 27 * "0" + "1"), address, 0x20000000)

    def answer(self, port):
        while True:
            try:
                frame = port.recv(256)
            except BlockingIOError:
                return
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x01" and frame[38:42] in self.announced:
                self._send(ARP, self._arp(frame[22:28], 2, frame[38:42], frame[22:32]))
            elif (frame[12:14] == b"\x86\xdd" and len(frame) >= 86 and frame[20] == ICMPV6 and frame[54] == 135
                  and frame[62:78] in self.announced and frame[78:80] == b"\x01\x01"):
                self._advertise(frame[80:86], frame[22:38], frame[62:78], 0x40000000)


class Statuses:
    """ServiceL2Status: the announcing node has the only one of a Service, and deletes those of others."""

    def __init__(self, node, credentials):
        self._node, self._api, self._own = node, ApiClient(*credentials), {}
        self.watch, self._seen = Watch(*credentials, STATUSES + "?limit=500"), {}
        for item in self.watch.items:
            self._seen[item["metadata"]["name"]] = item

    def take(self):
        for event in self.watch.events():
            name = event["object"]["metadata"]["name"]
            self._seen[name] = event["object"]
            if event["type"] == "DELETED":
                del self._seen[name]

    def keep(self, service, mine):
        namespace, name = service
        labels = {"metallb.io/node": self._node, "metallb.io/service-name": name,
                  "metallb.io/service-namespace": namespace}
        own = [one for one in self._of(service) if one["metadata"]["labels"]["metallb.io/node"] == self._node]
        if not mine:
            self._own.pop(service, None)
        others = [one for one in self._of(service) if one not in own] if mine else own
        try:
            for one in others:
                self._seen.pop(one["metadata"]["name"], None)
                self._api.request("DELETE", f"{STATUSES}/{one['metadata']['name']}")
            if mine and not own and self._own.get(service) not in self._seen:
                made = self._api.create(STATUSES, {
                    "apiVersion": "metallb.io/v1beta1", "kind": "ServiceL2Status",
                    "metadata": {"generateName": "l2-", "labels": labels}, "spec": {}})
                self._seen[made["metadata"]["name"]] = made
                self._own[service] = made["metadata"]["name"]
                self._api.patch(f"{STATUSES}/{made['metadata']['name']}/status", {"status": {
                    "node": self._node, "serviceName": name, "serviceNamespace": namespace}}, MERGE)
        except (ApiError, OSError):
            pass  # somebody else was quicker; the watch tells

    def _of(self, service):
        return [one for one in self._seen.values()
                if (one["metadata"].get("labels", {}).get("metallb.io/service-namespace"),
                    one["metadata"].get("labels", {}).get("metallb.io/service-name")) == service]


class Speaker:
    def __init__(self, node, interface, credentials, statuses, addresses):
        self._node, self._services, self._view = node, {}, None
        self._members, self._segment = Members(node, addresses), Segment(interface)
        self._statuses = Statuses(node, credentials) if statuses else None
        self._watch = Watch(*credentials, BALANCERS)
        self._next_burst, self._looked = 0.0, False
        for item in self._watch.items:
            self._store(item)

    def _store(self, item, deleted=False):
        key = (item["metadata"]["namespace"], item["metadata"]["name"])
        self._services[key] = [] if deleted else addresses_of(item)

    def _reprocess(self, now):
        """What is announced here is announced anew, whether anything changed or not."""
        announced = {}
        for service, found in self._services.items():
            mine = bool(found) and candidates(self._view, found[0])[0] == self._node
            for one in found if mine else ():
                announced[ipaddress.ip_address(one).packed] = now + BURSTS_FOR
            if self._statuses:
                self._statuses.keep(service, mine)
        self._segment.announced = announced
        self._bursts(now)

    def _bursts(self, now):
        self._next_burst = now + BURST_EVERY
        for address, until in self._segment.announced.items():
            if now < until:
                self._segment.burst(address)

    def run(self):
        watches = [self._watch] + ([self._statuses.watch] if self._statuses else [])
        # A moment to hear the others, as joining them takes one. They hear of it when it can announce.
        begin = time.monotonic() + 3 * HEARTBEAT
        print("watching", flush=True)
        while True:
            ready, _, _ = select.select([*watches, self._members, *self._segment.ports()], [], [], 0.05)
            now = time.monotonic()
            changed = False
            for port in ready:
                if port is self._members:
                    self._members.receive(now)
                elif port is self._watch:
                    for event in self._watch.events():
                        self._store(event["object"], event["type"] == "DELETED")
                        changed = True
                elif self._statuses and port is self._statuses.watch:
                    self._statuses.take()
                    changed = True
                else:
                    self._segment.answer(port)
            if self._view:  # who does not announce yet is not to be counted on
                self._members.poll(now)
            view = self._members.alive(now)
            if now >= begin and (changed or view != self._view):
                self._view = view
                self._reprocess(now)
            elif now >= self._next_burst:
                self._bursts(now)

    def leave(self):
        self._members.say(_GOODBYE)
        os._exit(0)


def main():
    node, interface, server, port, authority, certificate, key, statuses, *nodes = sys.argv[1:]
    speaker = Speaker(node, interface, (server, int(port), authority, certificate, key), statuses == "statuses",
                      dict(word.split("=") for word in nodes))
    signal.signal(signal.SIGTERM, lambda *_: speaker.leave())
    speaker.run()


if __name__ == "__main__":
    main()
