# SPDX-License-Identifier: Apache-2.0
"""rtnetlink messages for record and compose: asked for, listened to, and built."""

import select
import socket
import struct
import time

NEWLINK, GETLINK, NEWADDR, GETADDR, DONE = 16, 18, 20, 22, 3
GROUPS = 0x1 | 0x10 | 0x100  # links, IPv4 addresses, IPv6 addresses


class Listener:
    """A routing socket that has joined the groups of links and addresses."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, GROUPS))

    def dump(self):
        """All links, then all addresses, as the kernel tells of them; without the ends of the dumps."""
        out = b""
        for sequence, (kind, body) in enumerate(((GETLINK, 16), (GETADDR, 8)), 1):
            request = bytes(body)
            if kind == GETLINK:
                request += attribute(29, number(8))  # without statistics, as the speaker asks
            self._socket.send(struct.pack("=IHHII", 16 + len(request), kind, 0x301, sequence, 0) + request)
            ended = False
            while not ended:
                for message in split(self._socket.recv(1 << 17)):
                    ended = ended or struct.unpack_from("=H", message, 4)[0] == DONE
                    if not ended:
                        out += message
        return out

    def until_quiet(self, seconds=0.3):
        """What was told since, until nothing more comes for a while."""
        out = b""
        while select.select([self._socket], [], [], seconds)[0]:
            out += self._socket.recv(1 << 17)
        return out

    def until(self, condition, seconds=10):
        """What was told since, until `condition()`."""
        out = b""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError
            out += self.until_quiet(0.05)
        return out + self.until_quiet()


def split(datagram):
    while datagram:
        length = struct.unpack_from("=I", datagram)[0]
        aligned = (length + 3) & ~3
        yield datagram[:length].ljust(aligned, b"\0")
        datagram = datagram[aligned:]


def attribute(kind, value):
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value.ljust((len(value) + 3) & ~3, b"\0")


def message(kind, body):
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


def number(value):
    return struct.pack("=I", value)


def text(value):
    return value.encode() + b"\0"
