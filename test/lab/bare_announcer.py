# SPDX-License-Identifier: Apache-2.0
"""The yardstick for a speaker: watches Services and EndpointSlices, and answers ARP for every address of a Service that
has a slice. Nothing else: no election, no pools, no look at the endpoints. It says "watching" when it does.

    bare_announcer.py INTERFACE SERVER PORT AUTHORITY CERTIFICATE KEY
"""
import ipaddress
import select
import socket
import sys

from watching import BALANCERS, SLICES, Watch, addresses_of, service_of

_ARP = 0x0806
_REQUEST, _REPLY = b"\x00\x01", b"\x00\x02"


def answer(port, known, own):
    """Answers what has been asked, and returns when nothing more is waiting."""
    while True:
        try:
            frame = port.recv(128)
        except BlockingIOError:
            return
        if len(frame) >= 42 and frame[20:22] == _REQUEST and frame[38:42] in known:
            asker = frame[22:28]
            port.send(asker + own + frame[12:20] + _REPLY + own + frame[38:42] + asker + frame[28:32])


def main():
    interface, server, number, *files = sys.argv[1:]
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP))
    port.bind((interface, _ARP))
    port.setblocking(False)
    own = port.getsockname()[4]
    services, slices = (Watch(server, int(number), *files, path) for path in (BALANCERS, SLICES))
    addresses, served, known = {}, set(), set()

    def take_service(item):
        name = item["metadata"]["namespace"], item["metadata"]["name"]
        addresses[name] = [ipaddress.ip_address(one).packed for one in addresses_of(item)]
        if name in served:
            known.update(addresses[name])

    def take_slice(item):
        served.add(service_of(item))
        known.update(addresses.get(service_of(item), ()))

    for watch, take in ((services, take_service), (slices, take_slice)):
        for item in watch.items:
            take(item)
    print("watching", flush=True)
    while True:
        ready, _, _ = select.select([services, slices, port], [], [])
        for watch, take in ((services, take_service), (slices, take_slice)):
            for event in watch.events() if watch in ready else ():
                take(event["object"])
        if port in ready:
            answer(port, known, own)


if __name__ == "__main__":
    main()
