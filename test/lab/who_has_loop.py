# SPDX-License-Identifier: Apache-2.0
"""Asks who has an address N times a second, by broadcast or multicast, and never waits for an answer: a host whose
neighbour table is always empty. It only sends; who looks at the wire sees the answers.

Each question comes from a MAC of its own (of 256, one after the other), which its answer is sent to: so it shows which
question was answered. Run as: who_has_loop.py INTERFACE SENDER ADDRESS PER_SECOND.
"""
import ipaddress
import socket
import sys
import time

from questions import question

MACS = [bytes((0x02, 0x57, 0x48, 0, 0, number)) for number in range(256)]  # 02:57:48:00:00:NN
ASKERS = "02:57:48:00:00:"


def main():
    interface, sender, address, rate = sys.argv[1], *map(ipaddress.ip_address, sys.argv[2:4]), float(sys.argv[4])
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    due, number = time.monotonic(), 0
    while True:
        out.send(question(MACS[number % len(MACS)], sender.packed, address))
        number, due = number + 1, due + 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
