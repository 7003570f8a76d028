# SPDX-License-Identifier: Apache-2.0
"""Frames that ask who has an address: ARP requests, and neighbour solicitations by multicast."""
import struct

ARP, IPV6, ICMPV6 = 0x0806, 0x86DD, 58
_SOLICITATION, _HOP_LIMIT = 135, 255


def question(mac, sender, address):
    """Asked from a MAC by a host with an address of the same family; `mac` and `sender` packed."""
    return (_arp_request if address.version == 4 else _solicitation)(mac, sender, address.packed)


def link_local(mac):
    """The address that a host makes of its MAC (RFC 4291, appendix A), packed."""
    return bytes.fromhex("fe80000000000000") + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]


def _arp_request(mac, sender, target):
    return b"\xff" * 6 + mac + struct.pack("!HHHBBH", ARP, 1, 0x0800, 6, 4, 1) + mac + sender + bytes(6) + target


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _solicitation(mac, sender, target):
    """RFC 4861, 4.3, to the group of the address (RFC 4291, 2.7.1), with the source link-layer option."""
    group = bytes.fromhex("ff0200000000000000000001ff") + target[13:]
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + target + b"\x01\x01" + mac
    pseudo = sender + group + struct.pack("!II", len(message), ICMPV6)
    message = message[:2] + struct.pack("!H", _checksum(pseudo + message)) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), ICMPV6, _HOP_LIMIT) + sender + group
    return b"\x33\x33" + group[12:] + mac + struct.pack("!H", IPV6) + header + message
