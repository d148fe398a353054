"""What the encoder writes, pyroute2 reads as meant; what the kernel would send, our readers read."""

import struct
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.nsidmsg import nsidmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from fairway.kernel import netlink, rtnetlink
from fairway.kernel.netlink import Answer, Message
from fairway.model.address import Address, Cidr, Mac

NEAR, FAR = Mac("06:42:0a:00:00:02"), Mac("02:42:0a:00:00:02")


def decode(kind: type, message: Message) -> Any:
    decoded = kind(message.encode(7))
    decoded.decode()
    return decoded


def nla(message: Any, *path: str) -> Any:
    for name in path:
        message = message.get_attr(name)
    return message


def test_header() -> None:
    decoded = decode(ifinfmsg, rtnetlink.delete_link(9))
    assert decoded["header"]["type"] == rtnetlink.RTM_DELLINK
    assert decoded["header"]["sequence_number"] == 7
    assert decoded["header"]["flags"] == netlink.NLM_F_REQUEST | netlink.NLM_F_ACK
    assert decoded["index"] == 9


def test_dumps_ask_for_no_acknowledgement() -> None:
    decoded = decode(ifinfmsg, rtnetlink.dump_links())
    assert decoded["header"]["flags"] == netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP


def test_bridge() -> None:
    decoded = decode(ifinfmsg, rtnetlink.new_bridge("br-1", NEAR, 0xFA1))
    assert decoded["flags"] & rtnetlink.IFF_UP
    assert decoded["change"] & rtnetlink.IFF_UP
    assert nla(decoded, "IFLA_IFNAME") == "br-1"
    assert nla(decoded, "IFLA_ADDRESS") == NEAR
    assert nla(decoded, "IFLA_GROUP") == 0xFA1
    assert nla(decoded, "IFLA_MTU") is None
    assert nla(decoded, "IFLA_LINKINFO", "IFLA_INFO_KIND") == "bridge"
    data = nla(decoded, "IFLA_LINKINFO", "IFLA_INFO_DATA")
    assert nla(data, "IFLA_BR_STP_STATE") == 0
    assert nla(data, "IFLA_BR_FORWARD_DELAY") == 0


def test_filtered_bridge() -> None:
    made = decode(ifinfmsg, rtnetlink.new_bridge("br-1", NEAR, 0xFA1, filtered=True))
    changed = decode(ifinfmsg, rtnetlink.set_bridge(7, filtered=False))
    assert (changed["index"], changed["change"]) == (7, 0)
    assert changed["header"]["flags"] == netlink.NLM_F_REQUEST | netlink.NLM_F_ACK
    for decoded, value in ((made, 1), (changed, 0)):
        data = nla(decoded, "IFLA_LINKINFO", "IFLA_INFO_DATA")
        assert nla(data, "IFLA_BR_NF_CALL_IPTABLES") == value
        assert nla(data, "IFLA_BR_NF_CALL_IP6TABLES") == value


def test_hairpin() -> None:
    decoded = decode(ifinfmsg, rtnetlink.set_hairpin(7, True))
    assert (decoded["index"], decoded["change"]) == (7, 0)
    assert nla(decoded, "IFLA_LINKINFO", "IFLA_INFO_SLAVE_KIND") == "bridge"
    assert nla(decoded, "IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA", "IFLA_BRPORT_MODE") == 1


def test_filtered_bridges_and_hairpin_ports_are_read_as_written() -> None:
    assert rtnetlink.read_link(rtnetlink.set_bridge(7, filtered=True).body).filtered
    assert not rtnetlink.read_link(rtnetlink.set_bridge(7, filtered=False).body).filtered
    assert rtnetlink.read_link(rtnetlink.set_hairpin(7, True).body).hairpin
    assert not rtnetlink.read_link(rtnetlink.set_hairpin(7, False).body).hairpin


def test_veth() -> None:
    message = rtnetlink.new_veth(
        "veth1", NEAR, 1450, master=4, group=5, peer="eth0", peer_mac=FAR, namespace=6
    )
    decoded = decode(ifinfmsg, message)
    assert decoded["flags"] & rtnetlink.IFF_UP
    assert nla(decoded, "IFLA_IFNAME") == "veth1"
    assert nla(decoded, "IFLA_ADDRESS") == NEAR
    assert (nla(decoded, "IFLA_MTU"), nla(decoded, "IFLA_MASTER"), nla(decoded, "IFLA_GROUP")) == (1450, 4, 5)
    assert nla(decoded, "IFLA_LINKINFO", "IFLA_INFO_KIND") == "veth"
    far = nla(decoded, "IFLA_LINKINFO", "IFLA_INFO_DATA", "VETH_INFO_PEER")
    assert far["flags"] == 0
    assert nla(far, "IFLA_IFNAME") == "eth0"
    assert nla(far, "IFLA_ADDRESS") == FAR
    assert nla(far, "IFLA_MTU") == 1450
    assert nla(far, "IFLA_NET_NS_FD") == 6


def test_set_link_by_name_leaves_the_rest_alone() -> None:
    decoded = decode(ifinfmsg, rtnetlink.set_link(name="veth1", alias="fairway:x"))
    assert decoded["change"] == 0
    assert {name for name, _ in decoded["attrs"]} == {"IFLA_IFNAME", "IFLA_IFALIAS"}
    assert nla(decoded, "IFLA_IFALIAS") == "fairway:x"


def test_set_link_down_and_renamed() -> None:
    decoded = decode(ifinfmsg, rtnetlink.set_link(index=3, rename="gone-3", up=False, group=9))
    assert (decoded["index"], decoded["flags"], decoded["change"]) == (3, 0, rtnetlink.IFF_UP)
    assert nla(decoded, "IFLA_IFNAME") == "gone-3"


def test_delete_group_names_no_link() -> None:
    decoded = decode(ifinfmsg, rtnetlink.delete_group(77))
    assert decoded["index"] == 0
    assert nla(decoded, "IFLA_GROUP") == 77
    assert nla(decoded, "IFLA_IFNAME") is None


@pytest.mark.parametrize(
    ("cidr", "broadcast", "scope"),
    [
        ("10.1.0.2/16", "10.1.255.255", 0),
        ("10.1.0.2/30", "10.1.0.3", 0),
        ("10.1.0.2/31", None, 0),
        ("10.1.0.2/32", None, 0),
        ("169.254.1.1/16", "169.254.255.255", 253),
        ("fd00::2/64", None, 0),
        ("fe80::2/64", None, 253),
    ],
)
def test_address(cidr: str, broadcast: str | None, scope: int) -> None:
    decoded = decode(ifaddrmsg, rtnetlink.new_address(Cidr(cidr), 4, "eth0"))
    host, _, prefix = cidr.partition("/")
    assert (decoded["index"], decoded["prefixlen"], decoded["scope"]) == (4, int(prefix), scope)
    assert nla(decoded, "IFA_LOCAL") == nla(decoded, "IFA_ADDRESS") == host
    assert nla(decoded, "IFA_BROADCAST") == broadcast
    if ":" in cidr:
        assert nla(decoded, "IFA_FLAGS") == rtnetlink.IFA_F_NODAD
    else:
        assert nla(decoded, "IFA_LABEL") == "eth0"


@pytest.mark.parametrize(
    ("destination", "gateway"),
    [("0.0.0.0/0", "10.1.0.1"), ("10.2.0.0/16", "10.1.0.1"), ("::/0", "fd00::1"), ("fd01::/64", "fd00::1")],
)
def test_route(destination: str, gateway: str) -> None:
    message = rtnetlink.new_route(Cidr(destination), Address(gateway), 4)
    decoded = decode(rtmsg, message)
    host, _, prefix = destination.partition("/")
    assert decoded["dst_len"] == int(prefix)
    assert nla(decoded, "RTA_DST") == (host if int(prefix) else None)
    assert nla(decoded, "RTA_GATEWAY") == gateway
    assert nla(decoded, "RTA_OIF") == 4
    assert (decoded["table"], decoded["proto"], decoded["type"]) == (254, 3, 1)
    read = rtnetlink.read_route(message.body)
    assert (read.destination, read.gateway, read.index, read.table) == (destination, gateway, 4, 254)


def test_deleting_a_route_matches_any_scope_and_protocol() -> None:
    decoded = decode(rtmsg, rtnetlink.delete_route(Cidr("0.0.0.0/0"), Address("10.1.0.1"), 4))
    assert (decoded["scope"], decoded["proto"]) == (255, 0)


def test_namespace_id_by_descriptor() -> None:
    assert nla(decode(nsidmsg, rtnetlink.get_namespace_id(12)), "NETNSA_FD") == 12


def test_links_are_read_as_pyroute2_writes_them() -> None:
    written = ifinfmsg()
    written["index"], written["flags"] = 5, 1
    written["attrs"] = [
        ("IFLA_IFNAME", "veth1"),
        ("IFLA_ADDRESS", str(NEAR)),
        ("IFLA_MTU", 1450),
        ("IFLA_MASTER", 4),
        ("IFLA_LINK", 2),
        ("IFLA_LINK_NETNSID", 3),
        ("IFLA_IFALIAS", "fairway:x"),
        ("IFLA_GROUP", 9),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "veth")]}),
    ]
    written.encode()
    link = rtnetlink.read_link(bytes(written.data[16:]))
    assert link == rtnetlink.Link(5, "veth1", "veth", NEAR, 1450, True, 4, 2, 3, "fairway:x", 9)


def test_addresses_are_read_as_written() -> None:
    message = rtnetlink.new_address(Cidr("10.1.0.2/16"), 4, "eth0")
    assert rtnetlink.read_address(message.body) == rtnetlink.LinkAddress(4, Cidr("10.1.0.2/16"), 0)


def acknowledgement(code: int, flags: int, payload: bytes, reason: str) -> tuple[int, bytes]:
    echoed = struct.pack("=IHHII", 16 + len(payload), 16, 5, 1, 0)
    if not flags & netlink.NLM_F_CAPPED:
        echoed += payload
    told = netlink.text(netlink.NLMSGERR_ATTR_MSG, reason) if reason else b""
    return flags | (netlink.NLM_F_ACK_TLVS if reason else 0), struct.pack("=i", -code) + echoed + told


@pytest.mark.parametrize("capped", [0, netlink.NLM_F_CAPPED])
def test_extended_acknowledgements_are_read(capped: int) -> None:
    answer = Answer()
    netlink.read_error(*acknowledgement(22, capped, b"12345678", "MTU too big"), answer)
    assert (answer.code, answer.reason) == (22, "MTU too big")
    assert str(answer) == "Invalid argument (MTU too big)"


def test_success_is_no_error() -> None:
    answer = Answer()
    netlink.read_error(*acknowledgement(0, netlink.NLM_F_CAPPED, b"", ""), answer)
    assert netlink.failed([answer]) is None


def test_attributes_are_padded_and_truncated_ones_end_the_list() -> None:
    data = netlink.text(3, "ab") + netlink.u32(4, 7)
    assert len(data) == 16
    assert netlink.attributes(data) == {3: b"ab\0", 4: b"\x07\0\0\0"}
    assert netlink.attributes(data + b"\x02\0\x05\0") == {3: b"ab\0", 4: b"\x07\0\0\0"}
