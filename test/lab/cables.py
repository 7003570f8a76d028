# SPDX-License-Identifier: Apache-2.0
"""Cables pulled and plugged at the switch, to the millisecond: a program would need longer than what is measured."""
import fcntl
import socket
import struct
import time

import netns

_GET_FLAGS, _SET_FLAGS, _ADD_PORT, _REMOVE_PORT = 0x8913, 0x8914, 0x89A2, 0x89A3  # SIOC… of <linux/sockios.h>
_UP = 1


def unplug(namespace, port):
    """The other end loses its carrier. Returns the moment (monotonic) from which on nothing gets through."""
    with netns.entered(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        shown = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16s24x", port.encode()))
        flags, = struct.unpack_from("h", shown, 16)
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh22x", port.encode(), flags & ~_UP))
        return time.monotonic()


def replug(namespace, port, bridge, other):
    """From one bridge into another one; the other end keeps its carrier. Returns the moment when it is plugged."""
    with netns.entered(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for request, name in ((_REMOVE_PORT, bridge), (_ADD_PORT, other)):
            fcntl.ioctl(any_socket, request, struct.pack("16si20x", name.encode(), socket.if_nametoindex(port)))
        return time.monotonic()
