"""DNS messages as bytes: reading a question, writing an answer (RFC 1035 section 4, RFC 6891).

Only what a stub-facing server needs is understood: one question, and the OPT record. Answers point at the
question's name with one compression pointer, so an encoded answer section does not depend on the case in
which the question was asked and can be reused.

Reading never raises on any bytes: it returns a ``Query``, the error reply to send, or None for what must not
be answered at all (a response, or too short to carry an id). A compression pointer in a question has nothing
before it to point at, so it is a format error. Rejected: dnslib here; it builds an object per record and
reaches a tenth of the rate.
"""

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

A, PTR, AAAA, OPT, IXFR, AXFR, ANY = 1, 12, 28, 41, 251, 252, 255
IN = 1

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16

TTL = 600
"""Seconds; what Docker gives out."""

HEADER = 12
PLAIN_LIMIT = 512
"""Largest UDP answer to a client that sends no OPT (RFC 1035 section 4.2.1)."""
OUR_LIMIT = 1232
"""The size we announce in our OPT: never fragments on any IPv6 path."""
STREAM_LIMIT = 65535
STREAM_PREFIX = struct.Struct("!H")
"""Length before each message over TCP (RFC 1035 section 4.2.2)."""

QR, TC, RD, RA, CD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0010
_OPCODE = 0x7800
_POINTER = b"\xc0\x0c"
"""Compressed name: offset 12, where the question's name starts."""

_header = struct.Struct("!HHHHHH")
_record = struct.Struct("!HHIH")
_opt_reply = struct.Struct("!BHHIH")


class Query(NamedTuple):
    """One question, read."""

    id: int
    flags: int
    """Those of the query that its answer repeats: opcode, RD, CD."""
    question: bytes
    """The question section as sent, name in the client's case."""
    name: str
    """Lower case, without trailing dot; labels joined by dots."""
    qtype: int
    qclass: int
    limit: int
    """Bytes of UDP answer that the client takes."""
    edns: bool


def parse(message: bytes) -> Query | bytes | None:
    """The query in ``message``; or the error reply to it; or None when it must be ignored."""
    if len(message) < HEADER:
        return None
    ident, flags, questions, answers, authorities, additional = _header.unpack_from(message)
    if flags & QR:
        return None
    if flags & _OPCODE:
        return _bare(ident, flags, NOTIMP)
    if questions != 1 or answers or authorities:
        return _bare(ident, flags, FORMERR)
    labels, end = _name(message, HEADER)
    if labels is None or end + 4 > len(message):
        return _bare(ident, flags, FORMERR)
    qtype, qclass = struct.unpack_from("!HH", message, end)
    end += 4
    question = message[HEADER:end]
    limit, version = PLAIN_LIMIT, -1
    if additional:
        found = _options(message, end, additional)
        if found is None:
            return _bare(ident, flags, FORMERR)
        limit, version = found
    name = b".".join(labels).lower().decode("utf-8", "surrogateescape")
    query = Query(ident, flags & (RD | CD), question, name, qtype, qclass, limit, version >= 0)
    return reply(query, BADVERS) if version > 0 else query


def _name(message: bytes, at: int) -> tuple[list[bytes] | None, int]:
    """Labels of the uncompressed name at ``at`` and the offset behind it; None if it is malformed."""
    labels: list[bytes] = []
    start = at
    while at < len(message):
        length = message[at]
        at += 1
        if not length:
            return labels, at
        if length > 63 or at + length - start > 254:
            break
        labels.append(message[at : at + length])
        at += length
    return None, at


def _options(message: bytes, at: int, count: int) -> tuple[int, int] | None:
    """UDP size and EDNS version from the OPT among ``count`` additional records; version -1 without OPT.

    None if a record is malformed or there are two OPTs (RFC 6891 section 6.1.1).
    """
    limit, version = PLAIN_LIMIT, -1
    for _ in range(count):
        root = message[at : at + 1] == b"\0"
        at = _skip_name(message, at)
        if at + _record.size > len(message):
            return None
        kind, size, ttl, length = _record.unpack_from(message, at)
        at += _record.size + length
        if at > len(message):
            return None
        if kind == OPT:
            if version >= 0 or not root:
                return None
            limit, version = max(size, PLAIN_LIMIT), ttl >> 16 & 0xFF
    return limit, version


def _skip_name(message: bytes, at: int) -> int:
    """Offset behind a possibly compressed name; beyond the message if the name is malformed."""
    while at < len(message):
        length = message[at]
        if length == 0:
            return at + 1
        if length >= 0xC0:
            return at + 2
        if length > 63:
            break
        at += 1 + length
    return len(message) + 1


def _bare(ident: int, flags: int, rcode: int) -> bytes:
    """An error reply to a message whose question cannot be echoed."""
    return _header.pack(ident, QR | RA | flags & (_OPCODE | RD) | rcode, 0, 0, 0, 0)


def reply(query: Query, rcode: int, records: Sequence[bytes] = (), limit: int = STREAM_LIMIT) -> bytes:
    """A whole answer of at most ``limit`` bytes; records that do not fit are left out and TC is set."""
    tail = b""
    if query.edns:
        tail = _opt_reply.pack(0, OPT, OUR_LIMIT, (rcode >> 4) << 24, 0)
    room = limit - HEADER - len(query.question) - len(tail)
    flags = QR | RA | query.flags | rcode & 0xF
    fitting = 0
    for record in records:
        room -= len(record)
        if room < 0:
            flags |= TC
            break
        fitting += 1
    head = _header.pack(query.id, flags, 1, fitting, 0, query.edns)
    return b"".join((head, query.question, *records[:fitting], tail))


def cut(query: Query) -> bytes:
    """The reply "too long for a datagram, ask over TCP"."""
    message = bytearray(reply(query, NOERROR))
    message[2] |= TC >> 8
    return bytes(message)


def address_record(address: str) -> bytes:
    """An A or AAAA record of the question's name. Raises OSError if the text is no address."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    kind = AAAA if len(packed) == 16 else A
    return _POINTER + _record.pack(kind, IN, TTL, len(packed)) + packed


def pointer_record(name: str) -> bytes:
    """A PTR record of the question's name. Raises ValueError if ``name`` has an impossible label."""
    target = encode_name(name)
    return _POINTER + _record.pack(PTR, IN, TTL, len(target)) + target


def encode_name(name: str) -> bytes:
    """``web.net1`` as length-prefixed labels. Raises ValueError if a label is empty or over 63 bytes."""
    labels = name.encode("utf-8", "surrogateescape").split(b".") if name else []
    if any(not 1 <= len(label) <= 63 for label in labels) or len(name) > 253:
        raise ValueError(f"{name!r} is not a domain name")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def reverse_address(name: str) -> str | None:
    """The address asked for by ``2.0.17.172.in-addr.arpa`` or its ip6.arpa kin; None for any other name."""
    if name.endswith(".in-addr.arpa"):
        octets = name.removesuffix(".in-addr.arpa").split(".")
        if len(octets) != 4:
            return None
        return _canonical(socket.AF_INET, ".".join(reversed(octets)))
    if name.endswith(".ip6.arpa"):
        nibbles = name.removesuffix(".ip6.arpa").split(".")
        if len(nibbles) != 32 or any(len(nibble) != 1 for nibble in nibbles):
            return None
        digits = "".join(reversed(nibbles))
        return _canonical(socket.AF_INET6, ":".join(digits[i : i + 4] for i in range(0, 32, 4)))
    return None


def _canonical(family: int, text: str) -> str | None:
    if not text.isascii() or "\0" in text:
        return None
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, text))
    except OSError:
        return None


def rcode_of(message: bytes) -> int:
    """The response code in the header of a message of at least 12 bytes."""
    return message[3] & 0xF


def truncated(message: bytes) -> bool:
    """Whether TC is set in the header of a message of at least 12 bytes."""
    return bool(message[2] & TC >> 8)


def answers(message: bytes, ident: int, question: bytes) -> bool:
    """Whether ``message`` is a response to the query with that id and question, the name in any case.

    A failure without a question section also counts: some servers send such for what they cannot parse.
    """
    if len(message) < HEADER:
        return False
    got, flags, questions, *_ = _header.unpack_from(message)
    if got != ident or not flags & QR or flags & _OPCODE:
        return False
    if questions == 0:
        return flags & 0xF not in (NOERROR, NXDOMAIN)
    end = HEADER + len(question)
    echoed = message[HEADER:end]
    same_type = echoed[-4:] == question[-4:]
    return bool(questions == 1) and same_type and echoed.lower() == question.lower()
