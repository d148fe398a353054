"""Elements of sets and maps, read as the kernel keeps them: keys of fixed length, by their parts' types.

It knows the types that plain hash sets of ours have. Where another one is declared, ``objects`` says so, and
libnftables' listing has to do, which also tells what elements have counted. In a key of several parts, each
fills whole words of 32 bits.
"""

import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from fairway.kernel import nfnetlink as nf
from fairway.kernel.netlink import Channel, attribute_list, attributes
from fairway.plan import Element

_TABLE = re.compile(r"^\s*table\s+(\w+)\s+(\w+)\s*\{", re.MULTILINE)
_OBJECT = re.compile(r"^\s*(?:set|map)\s+(\w+)\s*\{([^}]*)\}", re.MULTILINE)
_TYPE = re.compile(r"\s*type(?:of)?\s+([^;:]+?)\s*(?::\s*([^;]+?)\s*)?;(?!.*\bflags\b)", re.DOTALL)
_PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", socket.IPPROTO_SCTP: "sctp"}

Part = Callable[[bytes], str]


def _name(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")


def _mac(data: bytes) -> str:
    return data[:6].hex(":")


def _group(data: bytes) -> str:
    return str(int.from_bytes(data, sys.byteorder))


def _number(data: bytes) -> str:
    """As libnftables' JSON writes it: in hex if it is long."""
    number = int.from_bytes(data, "big")
    return hex(number) if number >> 64 else str(number)


@lru_cache(4096)
def _ipv6(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, data)


_TYPES: dict[str, tuple[int, Part]] = {
    "ifname": (16, _name),
    "iifname": (16, _name),
    "ipv4_addr": (4, socket.inet_ntoa),
    "ipv6_addr": (16, _ipv6),
    "ether_addr": (8, _mac),
    "ether saddr": (8, _mac),
    "devgroup": (4, _group),
    "meta iifgroup": (4, _group),
    "@nh,64,128": (16, _number),
    "inet_proto": (4, lambda data: _PROTOCOLS.get(data[0], str(data[0]))),
    "inet_service": (4, lambda data: str(int.from_bytes(data[:2], "big"))),
}
"""Bytes that a part takes in a key, and how it is written."""


class Object(NamedTuple):
    """A set or a map (whose values have parts): where it is, and what its elements are made of."""

    family: int
    table: str
    name: str
    key: Sequence[str]
    value: Sequence[str]


def objects(text: str) -> list[Object] | None:
    """The sets and maps that nft's text declares; None if one is not as described above."""
    found: list[Object] = []
    _, *tables = _TABLE.split(text)
    for family, table, within in zip(tables[::3], tables[1::3], tables[2::3], strict=True):
        for name, content in _OBJECT.findall(within):
            declared = _TYPE.match(content)
            if declared is None:
                return None
            key, value = declared[1].split(" . "), declared[2].split(" . ") if declared[2] else []
            if not _TYPES.keys() >= {*key, *value}:
                return None
            found.append(Object(nf.FAMILIES[family], table, name, key, value))
    return found


def read(channel: Channel, wanted: Object) -> Iterator[Element]:
    """The elements of one set or map; none if it is not there. Raises OSError."""
    try:
        bodies = channel.dump(nf.dump_elements(wanted.table, wanted.name, wanted.family))
    except FileNotFoundError:
        return
    for body in bodies:
        for _, element in attribute_list(nf.parts(body).get(nf.NFTA_SET_ELEM_LIST_ELEMENTS, b"")):
            found = attributes(element)
            key = _parts(found[nf.NFTA_SET_ELEM_KEY], wanted.key)
            value = _parts(found[nf.NFTA_SET_ELEM_DATA], wanted.value) if wanted.value else ()
            yield Element(wanted.name, key, " . ".join(value))


def _parts(data: bytes, types: Sequence[str]) -> tuple[str, ...]:
    """Of a key or a value: one attribute, whose header takes four bytes, with all parts in it."""
    at, parts = 4, []
    for name in types:
        length, written = _TYPES[name]
        parts.append(written(data[at : at + length]))
        at += length
    return tuple(parts)
