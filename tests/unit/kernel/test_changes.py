"""Which events tell that somebody else changed something of ours, and which are not even delivered."""

import socket
import struct

import pytest

from fairway.kernel import bpf
from fairway.kernel.changes import HELD_BACK, LinkChanges, TableChanges
from fairway.kernel.netlink import attribute, nested, text, u8, u32
from fairway.kernel.rtnetlink import (
    IFA_ADDRESS,
    IFA_PROTO,
    IFF_UP,
    IFLA_GROUP,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    NETCONFA_FORWARDING,
    NETCONFA_IFINDEX,
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNETCONF,
    RTM_NEWROUTE,
    Link,
)
from fairway.kernel.watch import FILTER

ALIAS = "fairway:test"
DOOMED = 1 << 30
OWN_SOCKET = 4711
VETH, FAR, BRIDGE = 7, 2, 5
SANDBOX = 1


def link(
    index: int = VETH,
    *,
    up: bool = True,
    alias: str = ALIAS,
    group: int = 4001,
    mtu: int = 1500,
    master: int = BRIDGE,
    family: int = 0,
) -> bytes:
    kind = "bridge" if index == BRIDGE else "veth"
    body = struct.pack("=BxHiII", family, 0, index, IFF_UP if up else 0, 0)
    body += text(IFLA_IFNAME, {VETH: "veth1", FAR: "eth0", BRIDGE: "br-1"}.get(index, "other"))
    body += u32(IFLA_MTU, mtu) + u32(IFLA_GROUP, group)
    body += nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, kind))
    if alias:
        body += text(IFLA_IFALIAS, alias)
    if index == VETH:
        body += u32(IFLA_LINK, FAR) + u32(IFLA_LINK_NETNSID, SANDBOX) + u32(IFLA_MASTER, master)
    return body


def address(index: int, protocol: int = 0) -> bytes:
    packed = socket.inet_aton("10.1.0.2")
    return (
        struct.pack("=BBBBi", 2, 24, 0, 0, index) + attribute(IFA_ADDRESS, packed) + u8(IFA_PROTO, protocol)
    )


def route(index: int, *, gateway: bool = True) -> bytes:
    body = struct.pack("=BBBBBBBBI", 2, 16, 0, 0, 254, 3, 0, 1, 0)
    body += attribute(RTA_DST, socket.inet_aton("10.9.0.0")) + u32(RTA_OIF, index)
    return body + (attribute(RTA_GATEWAY, socket.inet_aton("10.1.0.1")) if gateway else b"")


def configuration(index: int, forwarding: int) -> bytes:
    return (
        bytes((2, 0, 0, 0))
        + attribute(NETCONFA_IFINDEX, struct.pack("=i", index))
        + u32(NETCONFA_FORWARDING, forwarding)
    )


@pytest.fixture
def changes() -> LinkChanges:
    """A bridge and a veth of ours, which leads into the namespace with id 1."""
    made = LinkChanges(ALIAS, _doomed, {OWN_SOCKET})
    assert made.take(None, RTM_NEWLINK, 0, link(BRIDGE)) == ""
    assert made.take(None, RTM_NEWLINK, 0, link()) == ""
    return made


def _doomed(link: Link) -> bool:
    return link.group >= DOOMED


@pytest.mark.parametrize(
    ("namespace", "kind", "body", "told"),
    [
        (None, RTM_NEWLINK, link(up=False), "veth1 set down"),
        (None, RTM_NEWLINK, link(mtu=1400), "veth1 changed"),
        (None, RTM_NEWLINK, link(master=0), "veth1 changed"),
        (None, RTM_DELLINK, link(), "veth1 deleted"),
        (SANDBOX, RTM_NEWLINK, link(FAR, up=False, alias=""), "eth0, the far end of veth1, set down"),
        (SANDBOX, RTM_DELLINK, link(FAR, alias=""), "eth0, the far end of veth1, deleted"),
        (None, RTM_DELADDR, address(BRIDGE), "address 10.1.0.2/24 of br-1 removed"),
        (SANDBOX, RTM_DELADDR, address(FAR), "address 10.1.0.2/24 of veth1 removed"),
        (SANDBOX, RTM_DELROUTE, route(FAR), "route 10.9.0.0/16 of veth1 removed"),
        (None, RTM_NEWNETCONF, configuration(-1, 0), "forwarding turned off"),
    ],
)
def test_what_somebody_else_did(
    changes: LinkChanges, namespace: int | None, kind: int, body: bytes, told: str
) -> None:
    assert changes.take(namespace, kind, 0, body) == told


@pytest.mark.parametrize(
    ("namespace", "kind", "body"),
    [
        (None, RTM_NEWLINK, link()),
        (None, RTM_NEWLINK, link(9, up=False, alias="")),
        (None, RTM_NEWLINK, link(9, up=False, alias="fairway:another")),
        (None, RTM_DELLINK, link(9)),
        (2, RTM_DELLINK, link(FAR)),
        (SANDBOX, RTM_NEWLINK, link(FAR, alias="")),
        (SANDBOX, RTM_NEWLINK, link(3, up=False, alias="")),
        (None, RTM_DELADDR, address(9)),
        (None, RTM_DELADDR, address(FAR)),
        (SANDBOX, RTM_DELADDR, address(FAR, protocol=3)),
        (SANDBOX, RTM_DELROUTE, route(3)),
        (SANDBOX, RTM_DELROUTE, route(FAR, gateway=False)),
        (None, RTM_NEWNETCONF, configuration(-1, 1)),
        (None, RTM_NEWNETCONF, configuration(BRIDGE, 0)),
        (SANDBOX, RTM_NEWNETCONF, configuration(-1, 0)),
    ],
)
def test_what_is_of_no_interest(changes: LinkChanges, namespace: int | None, kind: int, body: bytes) -> None:
    assert changes.take(namespace, kind, 0, body) == ""


def test_own_requests_do_not_count(changes: LinkChanges) -> None:
    assert changes.take(SANDBOX, RTM_DELROUTE, OWN_SOCKET, route(FAR)) == ""
    assert changes.take(SANDBOX, RTM_DELROUTE, OWN_SOCKET + 1, route(FAR)) != ""


def test_links_that_we_delete_tell_nothing_any_more(changes: LinkChanges) -> None:
    doomed = link(up=False, group=DOOMED)
    for namespace, kind, body in (
        (None, RTM_NEWLINK, doomed),
        (SANDBOX, RTM_NEWLINK, link(FAR, up=False, alias="")),
        (SANDBOX, RTM_DELROUTE, route(FAR)),
        (SANDBOX, RTM_DELADDR, address(FAR)),
        (None, RTM_DELLINK, doomed),
        (SANDBOX, RTM_DELLINK, link(FAR, alias="")),
    ):
        assert changes.take(namespace, kind, 0, body) == ""
    assert changes.take(None, RTM_NEWLINK, 0, link()) == ""
    assert changes.take(SANDBOX, RTM_DELADDR, 0, address(FAR)) != "", "another that got the same numbers"


def kept(kind: int, body: bytes) -> bool:
    """Whether the filter lets a message through; any datagram socket runs it."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        bpf.attach(far, FILTER)
        near.send(struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body)
        far.setblocking(False)
        try:
            return bool(far.recv(4096))
        except BlockingIOError:
            return False


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (RTM_NEWLINK, link(), True),
        (RTM_NEWLINK, link(up=False), True),
        (RTM_NEWLINK, link(9, up=False, alias=""), True),
        (RTM_NEWLINK, link(9, alias=""), False),
        (RTM_NEWLINK, link(family=7), False),
        (RTM_DELLINK, link(), True),
        (RTM_DELLINK, link(family=7), False),
        (RTM_DELADDR, address(2), True),
        (RTM_DELROUTE, route(2), True),
        (RTM_DELROUTE, route(2, gateway=False), False),
        (RTM_NEWNETCONF, configuration(-1, 0), True),
        (RTM_NEWNETCONF, configuration(3, 0), False),
        (RTM_NEWADDR, address(2), False),
        (RTM_NEWROUTE, route(2), False),
    ],
)
def test_what_the_filter_keeps(kind: int, body: bytes, expected: bool) -> None:
    assert kept(kind, body) == expected


# nftables

WORKER = 1234


def message(kind: int, body: bytes) -> bytes:
    body = bytes((1, 0, 0, 0)) + body
    return struct.pack("=IHHII", 16 + len(body), 10 << 8 | kind, 0, 0, 0) + body + bytes(-len(body) % 4)


def about(kind: int, table: str, name: str = "", at: int = 2) -> bytes:
    return message(kind, text(1, table) + (text(at, name) if name else b""))


def ended(thread: int) -> bytes:
    return message(15, attribute(1, bytes(4)) + attribute(2, struct.pack(">I", thread)))


@pytest.fixture
def tables() -> TableChanges:
    return TableChanges(["fairway"], {"forward", "publish"}.__contains__, WORKER)


@pytest.mark.parametrize(
    ("datagram", "told"),
    [
        (about(8, "fairway", "forward"), {"rule of chain forward deleted"}),
        (about(5, "fairway", "forward", at=3), {"chain forward deleted"}),
        (about(14, "fairway", "publish"), {"element of publish deleted"}),
        (about(8, "other", "x") + about(8, "fairway", "forward"), {"rule of chain forward deleted"}),
        (about(8, "fairway", "forward") + about(2, "fairway"), {"table fairway deleted"}),
        (about(6, "fairway", "user_forward"), set()),
        (about(12, "fairway", "mine"), set()),
        (about(8, "fairway_nat", "forward"), set()),
        (about(8, "other", "forward"), set()),
        (about(2, "other"), set()),
    ],
)
def test_transactions_of_others(tables: TableChanges, datagram: bytes, told: set[str]) -> None:
    assert tables.take(datagram) == set(), "not before it has ended"
    assert tables.take(ended(WORKER + 1)) == told
    assert tables.take(ended(WORKER + 1)) == set(), "told once"


def test_own_transactions_do_not_count(tables: TableChanges) -> None:
    tables.take(about(2, "fairway"))
    assert tables.take(ended(WORKER)) == set()
    assert tables.take(ended(WORKER + 1)) == set()


def test_a_transaction_beyond_all_limits_is_told(tables: TableChanges) -> None:
    large = bytes(HELD_BACK // 4)
    for _ in range(5):
        tables.take(large)
    assert len(tables.take(ended(WORKER + 1))) == 1
