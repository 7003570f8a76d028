# SPDX-License-Identifier: Apache-2.0
"""Sends datagrams to a speaker as an attacker would who has everything but the key, as fast as it can.

    datagram_flood.py ADDRESS PORT SECONDS SEED

On stdin one recorded datagram a line, in hexadecimal. Of each, it sends: itself; itself cut short or made longer; itself
with a bit turned over; its clear part with noise behind; and noise alone. At the end it says how many it sent.
"""
import random
import socket
import sys
import time


def variants(recorded, generator):
    size = len(recorded)
    turned = bytearray(recorded)
    turned[generator.randrange(size)] ^= 1 << generator.randrange(8)
    yield recorded
    yield recorded[:generator.randrange(size)]
    yield recorded + generator.randbytes(generator.randrange(1, 64))
    yield bytes(turned)
    yield recorded[:32] + generator.randbytes(size - 32)
    yield generator.randbytes(generator.randrange(1, 1500))


def main():
    address, port, seconds, seed = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    generator = random.Random(seed)
    datagrams = [one for line in sys.stdin for one in variants(bytes.fromhex(line.strip()), generator)]
    generator.shuffle(datagrams)
    sent, end = 0, time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect((address, port))
        while time.monotonic() < end:
            for one in datagrams:
                try:
                    out.send(one)
                    sent += 1
                except OSError:
                    pass  # the host refused an earlier one, or a queue is full
    print(sent)


if __name__ == "__main__":
    main()
