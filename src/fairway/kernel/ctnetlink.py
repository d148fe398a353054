"""Messages about tracked connections (linux/netfilter/nfnetlink_conntrack.h): delete by pattern, list.

A connection has two directions, ``original`` as it began and ``reply`` as its answers look. Address
translation shows in their difference: a connection to 192.0.2.1:8080 that was translated to 10.1.0.2:80 has
the original destination 192.0.2.1:8080 and the reply source 10.1.0.2:80. Nothing here does I/O.
"""

import socket
import struct
from dataclasses import dataclass

from fairway.kernel.netlink import NLA_F_NESTED, NLM_F_DUMP, Message, attribute, attributes, nested, u8, u32
from fairway.model.address import Family

_CTNETLINK = 1 << 8  # NFNL_SUBSYS_CTNETLINK
_GET, _DELETE, _STATISTICS = _CTNETLINK | 1, _CTNETLINK | 2, _CTNETLINK | 5
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_ID, CTA_FILTER = 1, 2, 3, 12, 25
IPS_SEEN_REPLY = 2
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_IP_SRC, CTA_IP_DST = {4: 1, 6: 3}, {4: 2, 6: 4}  # by address family
CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT = 1, 2, 3
CTA_FILTER_ORIG_FLAGS, CTA_FILTER_REPLY_FLAGS = 1, 2
CTA_STATS_GLOBAL_ENTRIES = 1
_HAS_SOURCE, _HAS_DESTINATION, _HAS_PROTOCOL, _HAS_SOURCE_PORT, _HAS_DESTINATION_PORT = 1, 2, 8, 16, 32

_HEADER = struct.Struct(">BBH")  # family, version, resource id
_PORT = struct.Struct(">H")
_AF = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction of a connection, addresses in network order. In a pattern, what is empty matches all."""

    source: bytes = b""
    destination: bytes = b""
    protocol: int = 0
    source_port: int = 0
    destination_port: int = 0


ANY = Direction()


@dataclass(frozen=True, slots=True)
class Connection:
    """A tracked connection; ``key`` is what tells the kernel which one."""

    original: Direction
    reply: Direction
    key: bytes
    answered: bool = True


def statistics() -> Message:
    """Asks for the number of connections; fails where the kernel cannot be asked about connections."""
    return Message(_STATISTICS, 0, _HEADER.pack(0, 0, 0))


def dump_connections(family: Family) -> Message:
    return Message(_GET, NLM_F_DUMP, _HEADER.pack(_AF[family], 0, 0))


def delete_connection(connection: Connection) -> Message:
    """Delete this one, but not another that took its place."""
    return Message(_DELETE, 0, connection.key)


def delete_matching(original: Direction, reply: Direction) -> Message:
    """Delete all IPv4 connections that match both patterns. EINVAL before Linux 6.8; nothing happens then.

    Not for IPv6: Linux 6.18 takes patterns with an IPv6 address for the opposite, and deletes all others.
    """
    flags = u32(CTA_FILTER_ORIG_FLAGS, _flags(original)), u32(CTA_FILTER_REPLY_FLAGS, _flags(reply))
    body = nested(CTA_FILTER, *flags)
    for kind, pattern in ((CTA_TUPLE_ORIG, original), (CTA_TUPLE_REPLY, reply)):
        if pattern != ANY:
            body += _tuple(kind, pattern)
    return Message(_DELETE, 0, _HEADER.pack(socket.AF_INET, 0, 0) + body)


def read_statistics(body: bytes) -> int:
    """The number of connections in the namespace."""
    return int.from_bytes(attributes(body[_HEADER.size :])[CTA_STATS_GLOBAL_ENTRIES], "big")


def read_connection(body: bytes) -> Connection:
    found = attributes(body[_HEADER.size :])
    key = body[: _HEADER.size] + attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, found[CTA_TUPLE_ORIG])
    key += attribute(CTA_ID, found[CTA_ID])
    answered = bool(int.from_bytes(found.get(CTA_STATUS, b""), "big") & IPS_SEEN_REPLY)
    return Connection(_direction(found[CTA_TUPLE_ORIG]), _direction(found[CTA_TUPLE_REPLY]), key, answered)


def _tuple(kind: int, pattern: Direction) -> bytes:
    addresses, ports = b"", b""
    if pattern.source:
        addresses += attribute(CTA_IP_SRC[4], pattern.source)
    if pattern.destination:
        addresses += attribute(CTA_IP_DST[4], pattern.destination)
    if pattern.protocol:
        ports += u8(CTA_PROTO_NUM, pattern.protocol)
        ports += attribute(CTA_PROTO_SRC_PORT, _PORT.pack(pattern.source_port))
        ports += attribute(CTA_PROTO_DST_PORT, _PORT.pack(pattern.destination_port))
    return nested(kind, nested(CTA_TUPLE_IP, addresses), nested(CTA_TUPLE_PROTO, ports))


def _flags(pattern: Direction) -> int:
    return (
        (_HAS_SOURCE if pattern.source else 0)
        | (_HAS_DESTINATION if pattern.destination else 0)
        | (_HAS_PROTOCOL if pattern.protocol else 0)
        | (_HAS_SOURCE_PORT if pattern.source_port else 0)
        | (_HAS_DESTINATION_PORT if pattern.destination_port else 0)
    )


def _direction(data: bytes) -> Direction:
    parts = attributes(data)
    addresses = attributes(parts[CTA_TUPLE_IP])
    ports = attributes(parts[CTA_TUPLE_PROTO])
    return Direction(
        source=addresses.get(CTA_IP_SRC[4]) or addresses[CTA_IP_SRC[6]],
        destination=addresses.get(CTA_IP_DST[4]) or addresses[CTA_IP_DST[6]],
        protocol=ports[CTA_PROTO_NUM][0],
        source_port=_port(ports.get(CTA_PROTO_SRC_PORT)),
        destination_port=_port(ports.get(CTA_PROTO_DST_PORT)),
    )


def _port(data: bytes | None) -> int:
    """0 for protocols without ports."""
    return int(_PORT.unpack(data)[0]) if data else 0
