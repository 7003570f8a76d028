#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A router that does proxy ARP for everything, probes too, as some do (Linux leaves probes unanswered).

    proxy_arp.py INTERFACE
"""
import socket
import struct
import sys

ARP = 0x0806


def main():
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP))
    listener.bind((sys.argv[1], ARP))
    mac = listener.getsockname()[4]
    print("answers", flush=True)
    while True:
        frame, address = listener.recvfrom(128)
        if address[2] == socket.PACKET_OUTGOING or len(frame) < 42:
            continue
        operation, asker_mac, asker, wanted = struct.unpack("!H6s4s6x4s", frame[20:42])
        if operation == 1 and asker != wanted and asker_mac != mac:
            listener.send(asker_mac + mac + struct.pack("!HHHBBH6s4s6s4s", ARP, 1, 0x0800, 6, 4, 2, mac, wanted,
                                                        asker_mac, asker))


if __name__ == "__main__":
    main()
