"""Frames as a container forges them, octet by octet."""

import ipaddress
import struct
from dataclasses import dataclass

BROADCAST = "ff:ff:ff:ff:ff:ff"
ARP, IP, IP6, VLAN, VLAN_AD = 0x0806, 0x0800, 0x86DD, 0x8100, 0x88A8
REQUEST, REPLY = 1, 2
SOLICITATION, ADVERTISEMENT, ROUTER = 135, 136, 134
UDP, ICMPV6 = 17, 58


@dataclass(frozen=True)
class Party:
    """Who is spoken for, or to."""

    mac: str
    ip: str = "0.0.0.0"
    ip6: str = "::"


def octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def frame(source: str, destination: str, kind: int, payload: bytes, *tags: int) -> bytes:
    """``tags`` are VLANs, the outermost first."""
    tagged = b"".join(struct.pack("!HH", VLAN, tag) for tag in tags)
    return octets(destination) + octets(source) + tagged + struct.pack("!H", kind) + payload


def arp(operation: int, sender: Party, target: Party, *, hardware: int = 1) -> bytes:
    """RFC 826; ``hardware`` 6 is IEEE 802, which Linux takes for Ethernet, too."""
    head = struct.pack("!HHBBH", hardware, IP, 6, 4, operation)
    return head + octets(sender.mac) + packed(sender.ip) + octets(target.mac) + packed(target.ip)


def udp(source: tuple[str, int], destination: tuple[str, int], data: bytes) -> bytes:
    """An IPv4 or IPv6 packet with a datagram."""
    length = 8 + len(data)
    head = struct.pack("!HHH", source[1], destination[1], length)
    pseudo = packed(source[0]) + packed(destination[0]) + struct.pack("!IxxxB", length, UDP)
    if ":" in source[0]:
        body = head + struct.pack("!H", _checksum(pseudo + head + b"\0\0" + data)) + data
        return _ip6(source[0], destination[0], UDP, body)
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 1, 0, 64, UDP)
    ends = packed(source[0]) + packed(destination[0])
    return start + struct.pack("!H", _checksum(start + b"\0\0" + ends)) + ends + head + b"\0\0" + data


def neighbour(kind: int, source: str, destination: str, target: str, mac: str = "") -> bytes:
    """RFC 4861: a solicitation, or an advertisement that overrides; empty: no link-layer address."""
    flags = 0x20000000 if kind == ADVERTISEMENT else 0
    option = struct.pack("!BB", 2 if kind == ADVERTISEMENT else 1, 1) + octets(mac) if mac else b""
    return icmp6(kind, source, destination, struct.pack("!I", flags) + packed(target) + option)


def router(source: str, *, hops: bool = False) -> bytes:
    """An advertisement to all nodes; with ``hops`` behind a header of hop-by-hop options."""
    body = struct.pack("!BBHII", 64, 0, 1800, 0, 0)
    return icmp6(ROUTER, source, "ff02::1", body, hops=hops)


def icmp6(kind: int, source: str, destination: str, body: bytes, *, hops: bool = False) -> bytes:
    length = 4 + len(body)
    pseudo = packed(source) + packed(destination) + struct.pack("!IxxxB", length, ICMPV6)
    checksum = _checksum(pseudo + struct.pack("!BBH", kind, 0, 0) + body)
    message = struct.pack("!BBH", kind, 0, checksum) + body
    if hops:  # a PadN option of six octets (RFC 8200, 4.2)
        return _ip6(source, destination, 0, struct.pack("!BBBBI", ICMPV6, 0, 1, 4, 0) + message)
    return _ip6(source, destination, ICMPV6, message)


def _ip6(source: str, destination: str, kind: int, body: bytes) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(body), kind, 255) + packed(source) + packed(destination) + body


def _checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF
