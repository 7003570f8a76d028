# SPDX-License-Identifier: Apache-2.0
"""Asks by ARP or NDP who has addresses, and tells what is said about them. Moments are of the monotonic clock.

    asker.py INTERFACE PERIOD first ADDRESS...   asks all, rests for PERIOD seconds, and asks again those that have no
                                                 answer yet; tells each answer at once, and ends with the last one
    asker.py INTERFACE PERIOD all ADDRESS...     asks each one every PERIOD seconds until SIGTERM, and tells then all
                                                 that it heard

It says "ready" and begins at the first line on stdin. What it tells: MOMENT KIND ADDRESS MAC, where KIND is "reply" (to
us) or "claim" (unasked, to all). It asks as the host that it is on: an ARP request without a sender's address would be
a probe (RFC 5227), by which a host tells that it is about to take the address itself.
"""
import fcntl
import ipaddress
import select
import signal
import socket
import struct
import sys
import time

import questions
from questions import ARP, ICMPV6, IPV6

_ADVERTISEMENT = 136
_GET_ADDRESS = 0x8915  # SIOCGIFADDR


def _address_of(interface):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(any_socket, _GET_ADDRESS, struct.pack("16s24x", interface.encode()))[20:24]


def _heard(frame, own):
    """(kind, address, MAC) of a frame, packed; None when it says nothing of an address."""
    if frame[12:14] == b"\x08\x06" and len(frame) >= 42:
        sender, target, answer = frame[28:32], frame[38:42], frame[20:22] == b"\x00\x02"
        if answer and frame[:6] == own:
            return "reply", sender, frame[22:28]
        return ("claim", sender, frame[22:28]) if sender == target or answer else None
    if frame[12:14] == b"\x86\xdd" and len(frame) >= 78 and frame[20] == ICMPV6 and frame[54] == _ADVERTISEMENT:
        return "reply" if frame[:6] == own else "claim", frame[62:78], frame[6:12]
    return None


class Asker:
    def __init__(self, interface, addresses):
        sender, self._sockets = _address_of(interface), {}
        self._requests = {}  # address, packed → (socket, frame)
        for address in map(ipaddress.ip_address, addresses):
            protocol = ARP if address.version == 4 else IPV6
            port = self._sockets.get(protocol) or self._open(interface, protocol)
            self._own = port.getsockname()[4]
            own = sender if address.version == 4 else questions.link_local(self._own)
            self._requests[address.packed] = (port, questions.question(self._own, own, address))

    def _open(self, interface, protocol):
        port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        port.bind((interface, protocol))
        port.setblocking(False)
        self._sockets[protocol] = port
        return port

    def ask(self, address):
        port, frame = self._requests[address]
        try:
            port.send(frame)
        except OSError:
            pass  # no carrier, or no room: there will be a next time

    def listen(self, seconds):
        """All that is heard about our addresses, after waiting for it for so long at most."""
        found = []
        for port in select.select(list(self._sockets.values()), [], [], max(0.0, seconds))[0]:
            try:
                while True:
                    frame = port.recv(256)
                    heard = _heard(frame, self._own)
                    if heard and heard[1] in self._requests:
                        found.append((time.monotonic(), *heard))
            except BlockingIOError:
                pass
        return found

    def addresses(self):
        return list(self._requests)


def _line(moment, kind, address, mac):
    return f"{moment:.6f} {kind} {ipaddress.ip_address(address)} {mac.hex(':')}"


def ask_until_answered(asker, period):
    left = dict.fromkeys(asker.addresses())
    while left:
        for number, address in enumerate(list(left)):
            asker.ask(address)
            if number % 100 == 99:  # what comes meanwhile is noted when it comes
                _tell_first(asker.listen(0), left)
        rest = time.monotonic() + period
        while left and (wait := rest - time.monotonic()) > 0:
            _tell_first(asker.listen(wait), left)


def _tell_first(heard, left):
    for one in heard:
        if one[1] == "reply" and one[2] in left:
            del left[one[2]]
            print(_line(*one), flush=True)


def ask_all_the_time(asker, period):
    ended, told, addresses = [], [], asker.addresses()
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    due, number = time.monotonic(), 0
    while not ended:
        now = time.monotonic()
        if now - due > period:  # this program was kept waiting: nothing is made up for
            due = now
        while due <= now:
            asker.ask(addresses[number % len(addresses)])
            number += 1
            due += period / len(addresses)
        told += asker.listen(due - time.monotonic())
    sys.stdout.write("".join(_line(*one) + "\n" for one in told))


def main():
    interface, period, mode = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    asker = Asker(interface, sys.argv[4:])
    print("ready", flush=True)
    sys.stdin.readline()
    asker.listen(0)  # what was said before counts for nothing
    (ask_until_answered if mode == "first" else ask_all_the_time)(asker, period)


if __name__ == "__main__":
    main()
