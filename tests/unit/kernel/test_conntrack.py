"""Messages about tracked connections as pyroute2 reads them, and which connections a fact means."""

import ipaddress
from typing import Any

import pytest
from pyroute2.netlink.nfnetlink.nfctsocket import nfct_msg

from fairway.kernel import ctnetlink, netlink
from fairway.kernel.conntrack import matching
from fairway.kernel.ctnetlink import ANY, Connection, Direction
from fairway.kernel.netlink import Message
from fairway.model.address import Address
from fairway.plan import Flows

TCP, UDP = 6, 17


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def decode(message: Message) -> Any:
    decoded = nfct_msg(message.encode(7))
    decoded.decode()
    return decoded


def nla(message: Any, *path: str) -> Any:
    for name in path:
        message = message.get_attr(name)
    return message


def test_a_pattern_of_an_address() -> None:
    decoded = decode(ctnetlink.delete_matching(ANY, Direction(source=packed("10.1.0.2"))))
    assert decoded["header"]["type"] == 0x102
    assert decoded["header"]["flags"] == netlink.NLM_F_REQUEST | netlink.NLM_F_ACK
    assert decoded["nfgen_family"] == 2
    assert nla(decoded, "CTA_TUPLE_ORIG") is None
    assert nla(decoded, "CTA_TUPLE_REPLY", "CTA_TUPLE_IP", "CTA_IP_V4_SRC") == "10.1.0.2"
    assert nla(decoded, "CTA_FILTER", "CTA_FILTER_ORIG_FLAGS") == 0
    assert nla(decoded, "CTA_FILTER", "CTA_FILTER_REPLY_FLAGS") == 1


def test_a_pattern_of_a_published_port() -> None:
    came = Direction(destination=packed("192.0.2.1"), protocol=UDP, destination_port=5353)
    decoded = decode(ctnetlink.delete_matching(came, Direction(packed("10.1.0.2"), b"", UDP, 53)))
    ports = nla(decoded, "CTA_TUPLE_ORIG", "CTA_TUPLE_PROTO")
    assert nla(decoded, "CTA_TUPLE_ORIG", "CTA_TUPLE_IP", "CTA_IP_V4_DST") == "192.0.2.1"
    assert (nla(ports, "CTA_PROTO_NUM"), nla(ports, "CTA_PROTO_DST_PORT")) == (UDP, 5353)
    assert nla(decoded, "CTA_TUPLE_REPLY", "CTA_TUPLE_PROTO", "CTA_PROTO_SRC_PORT") == 53
    assert nla(decoded, "CTA_FILTER", "CTA_FILTER_ORIG_FLAGS") == 2 | 8 | 32
    assert nla(decoded, "CTA_FILTER", "CTA_FILTER_REPLY_FLAGS") == 1 | 8 | 16


def test_connections_are_read_as_pyroute2_writes_them() -> None:
    def written(source: str, destination: str, source_port: int, destination_port: int) -> Any:
        ports = [("CTA_PROTO_SRC_PORT", source_port), ("CTA_PROTO_DST_PORT", destination_port)]
        addresses = [("CTA_IP_V4_SRC", source), ("CTA_IP_V4_DST", destination)]
        return {
            "attrs": [
                ("CTA_TUPLE_IP", {"attrs": addresses}),
                ("CTA_TUPLE_PROTO", {"attrs": [("CTA_PROTO_NUM", TCP), *ports]}),
            ]
        }

    message = nfct_msg()
    message["nfgen_family"] = 2
    message["attrs"] = [
        ("CTA_TUPLE_ORIG", written("192.0.2.9", "192.0.2.1", 40000, 8080)),
        ("CTA_TUPLE_REPLY", written("10.1.0.2", "192.0.2.9", 80, 40000)),
        ("CTA_ID", 77),
    ]
    message.encode()
    read = ctnetlink.read_connection(bytes(message.data[16:]))
    assert read.original == Direction(packed("192.0.2.9"), packed("192.0.2.1"), TCP, 40000, 8080)
    assert read.reply == Direction(packed("10.1.0.2"), packed("192.0.2.9"), TCP, 80, 40000)
    deleted = decode(ctnetlink.delete_connection(read))
    assert nla(deleted, "CTA_ID") == 77
    assert nla(deleted, "CTA_TUPLE_ORIG", "CTA_TUPLE_IP", "CTA_IP_V4_SRC") == "192.0.2.9"


def connection(protocol: int, came_to: tuple[str, int], answers: tuple[str, int]) -> Connection:
    client = packed("192.0.2.9")
    original = Direction(client, packed(came_to[0]), protocol, 40000, came_to[1])
    return Connection(original, Direction(packed(answers[0]), client, protocol, answers[1], 40000), b"")


HOST, OTHER = "192.0.2.1", "198.51.100.1"
CONNECTIONS = {
    "published": connection(TCP, (HOST, 8080), ("10.1.0.2", 80)),
    "elsewhere": connection(TCP, (OTHER, 8080), ("10.1.0.2", 80)),
    "udp": connection(UDP, (HOST, 8080), ("10.1.0.2", 80)),
    "port": connection(TCP, (HOST, 8081), ("10.1.0.2", 80)),
    "direct": connection(TCP, ("10.1.0.2", 80), ("10.1.0.2", 80)),
    "neighbour": connection(TCP, (HOST, 8080), ("10.1.0.3", 80)),
    "own": Connection(
        Direction(packed("10.1.0.2"), packed("192.0.2.9"), TCP, 50000, 443),
        Direction(packed("192.0.2.9"), packed(HOST), TCP, 443, 50000),
        b"",
    ),
}


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (Flows(Address("10.1.0.2")), {"published", "elsewhere", "udp", "port", "direct", "own"}),
        (Flows(Address("10.1.0.2"), "tcp", 80, "", 8080), {"published", "elsewhere"}),
        (Flows(Address("10.1.0.2"), "tcp", 80, HOST, 8080), {"published"}),
        (Flows(Address("10.1.0.2"), "udp", 80, "", 8080), {"udp"}),
        (Flows(Address("10.1.0.2"), "tcp", 81, "", 8080), set()),
        (Flows(Address("10.1.0.9")), set()),
        (Flows(Address("fd00::2")), set()),
    ],
    ids=str,
)
def test_what_a_fact_means(flow: Flows, expected: set[str]) -> None:
    found = list(matching([flow], iter(CONNECTIONS.values())))
    assert {name for name, c in CONNECTIONS.items() if c in found} == expected
