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

MACS = [bytes((0x02, 0x57, 0x48, 0, 0, number)) for number in range(256)]  # 02:57:48:00:00:NN
ASKERS = "02:57:48:00:00:"


def arp_request(mac, sender, target):
    return (b"\xff" * 6 + mac + b"\x08\x06" + bytes.fromhex("0001080006040001") + mac + sender.packed + bytes(6)
            + target.packed)


def checksum(data):
    total = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return (~total & 0xffff).to_bytes(2, "big")


def solicitation(mac, sender, target):
    group = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13] + target.packed[13:]
    body = bytes(4) + target.packed + b"\x01\x01" + mac
    pseudo = sender.packed + group + (len(body) + 4).to_bytes(4, "big") + bytes(3) + b"\x3a"
    message = b"\x87\x00" + checksum(pseudo + b"\x87\x00\x00\x00" + body) + body
    header = b"\x60\x00\x00\x00" + len(message).to_bytes(2, "big") + b"\x3a\xff" + sender.packed + group
    return b"\x33\x33" + group[12:] + mac + b"\x86\xdd" + header + message


def main():
    interface, sender, address, rate = sys.argv[1], *map(ipaddress.ip_address, sys.argv[2:4]), float(sys.argv[4])
    question = arp_request if address.version == 4 else solicitation
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, 0))
    due, number = time.monotonic(), 0
    while True:
        out.send(question(MACS[number % len(MACS)], sender, address))
        number, due = number + 1, due + 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
