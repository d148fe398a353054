"""rtnetlink messages that Fairway sends and reads: links, addresses, routes, namespace ids (rtnetlink(7)).

Builders return ``netlink.Message``; readers turn a message's body into a small frozen value. Nothing here
does I/O. Constants carry the kernel's names (linux/if_link.h, if_addr.h, rtnetlink.h, net_namespace.h).
"""

import ipaddress
import socket
import struct
from dataclasses import dataclass

from fairway.kernel.netlink import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Message,
    attribute,
    attributes,
    nested,
    text,
    u8,
    u32,
)
from fairway.model.address import Address, Cidr, Mac, family

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNETCONF = 80
RTM_GETNSID = 90

IFF_UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_TXQLEN, IFLA_LINKINFO = 13, 18
IFLA_IFALIAS, IFLA_GROUP, IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_LINK_NETNSID = 20, 27, 28, 29, 37
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BR_FORWARD_DELAY, IFLA_BR_STP_STATE = 1, 5
IFLA_BR_NF_CALL_IPTABLES, IFLA_BR_NF_CALL_IP6TABLES = 36, 37
IFLA_BR_MULTI_BOOLOPT = 46
BR_BOOLOPT_NO_LL_LEARN = 1
IFLA_BRPORT_MODE = 4
VETH_INFO_PEER = 1
RTEXT_FILTER_SKIP_STATS = 8

IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_FLAGS, IFA_PROTO = 1, 2, 3, 4, 8, 11
IFA_F_NODAD = 0x02
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_NOWHERE = 0, 253, 255

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_TABLE = 1, 4, 5, 15
RT_TABLE_MAIN, RT_TABLE_LOCAL = 254, 255
RTN_UNICAST = 1
RTPROT_BOOT = 3

KERNEL_ADDRESSES = (1, 2, 3)  # IFAPROT_KERNEL_LO, _RA, _LL
LEARNED_ROUTES = (1, 2, 9)  # RTPROT_REDIRECT, _KERNEL, _RA

NETCONFA_IFINDEX, NETCONFA_FORWARDING = 1, 2
NETCONFA_IFINDEX_ALL = -1

NETNSA_NSID, NETNSA_FD = 1, 3

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBi")
_RTMSG = struct.Struct("=BBBBBBBBI")


@dataclass(frozen=True, slots=True)
class Link:
    """An interface as the kernel reports it. ``peer`` is the other veth end's index, 0 if none.

    ``peer_namespace`` is the id (RTM_GETNSID) of the namespace that the peer is in, None for the same one.
    ``filtered`` and ``learns_locally`` are told of bridges, ``hairpin`` of their ports: see the facts
    ``Bridge`` and ``Hairpin``. A kernel that cannot be told not to learn (before 5.0) says nothing of it.
    """

    index: int
    name: str
    kind: str
    mac: Mac
    mtu: int
    up: bool
    master: int
    peer: int
    peer_namespace: int | None
    alias: str
    group: int
    filtered: bool = False
    learns_locally: bool = False
    hairpin: bool = False


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """An address on link ``index``. ``protocol`` tells who set it (IFAPROT_*), 0 for a program."""

    index: int
    address: Cidr
    protocol: int


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """A route. ``gateway`` is None for on-link routes, ``index`` 0 for multipath ones."""

    destination: Cidr
    gateway: Address | None
    index: int
    table: int
    kind: int
    protocol: int


def _link(kind: int, flags: int, body: bytes, *, index: int = 0, up: bool | None = None) -> Message:
    state, change = (IFF_UP if up else 0, IFF_UP if up is not None else 0)
    return Message(kind, flags, _IFINFO.pack(0, 0, index, state, change) + body)


def _mac(value: str) -> bytes:
    return bytes.fromhex(value.replace(":", ""))


def get_link(name: str) -> Message:
    return _link(RTM_GETLINK, 0, text(IFLA_IFNAME, name) + u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS))


def get_link_at(index: int) -> Message:
    return _link(RTM_GETLINK, 0, u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS), index=index)


def dump_links() -> Message:
    return _link(RTM_GETLINK, NLM_F_DUMP, u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS))


_NOT_LOCALLY = attribute(
    IFLA_BR_MULTI_BOOLOPT, struct.pack("=II", BR_BOOLOPT_NO_LL_LEARN, BR_BOOLOPT_NO_LL_LEARN)
)
"""struct br_boolopt_multi: value and mask."""


def new_bridge(name: str, mac: Mac, group: int, *, filtered: bool = False) -> Message:
    """An up bridge that forwards at once: no spanning tree, no forward delay.

    The MTU is not set here: only a later change makes the bridge keep it when its ports change.
    """
    body = text(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, _mac(mac)) + u32(IFLA_GROUP, group)
    body += u32(IFLA_TXQLEN, 0)
    body += _bridge(
        u32(IFLA_BR_FORWARD_DELAY, 0), u32(IFLA_BR_STP_STATE, 0), _NOT_LOCALLY, *_filtering(filtered)
    )
    return _link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, up=True)


def set_bridge(index: int, *, filtered: bool) -> Message:
    """Whether frames between a bridge's ports meet the firewall, whatever the host-wide sysctls say; and that
    it does not learn from frames to link-local groups."""
    return _link(RTM_NEWLINK, 0, _bridge(_NOT_LOCALLY, *_filtering(filtered)), index=index)


def _bridge(*data: bytes) -> bytes:
    return nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"), nested(IFLA_INFO_DATA, *data))


def _filtering(on: bool) -> tuple[bytes, bytes]:
    return u8(IFLA_BR_NF_CALL_IPTABLES, on), u8(IFLA_BR_NF_CALL_IP6TABLES, on)


def set_hairpin(index: int, on: bool) -> Message:
    """Whether a bridge sends frames back out of the port that they came in by."""
    data = nested(IFLA_INFO_SLAVE_DATA, u8(IFLA_BRPORT_MODE, on))
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_SLAVE_KIND, "bridge"), data)
    return _link(RTM_NEWLINK, 0, info, index=index)


def new_veth(
    name: str,
    mac: Mac,
    mtu: int,
    *,
    master: int,
    group: int,
    peer: str,
    peer_mac: Mac,
    namespace: int,
) -> Message:
    """A veth pair, the near end up and a port of bridge index ``master``, the far one in namespace fd.

    The far end cannot be brought up here: the kernel opens it before it knows its peer (ENOTCONN).
    """
    far = _IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, peer) + attribute(IFLA_ADDRESS, _mac(peer_mac))
    far += u32(IFLA_MTU, mtu) + u32(IFLA_TXQLEN, 0) + u32(IFLA_NET_NS_FD, namespace)
    data = nested(IFLA_INFO_DATA, attribute(VETH_INFO_PEER | 0x8000, far))
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), data)
    near = text(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, _mac(mac)) + u32(IFLA_MTU, mtu)
    near += u32(IFLA_TXQLEN, 0) + u32(IFLA_MASTER, master) + u32(IFLA_GROUP, group)
    return _link(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, near + info, up=True)


def set_link(
    *,
    index: int = 0,
    name: str = "",
    rename: str = "",
    up: bool | None = None,
    alias: str | None = None,
    mac: Mac | None = None,
    mtu: int | None = None,
    master: int | None = None,
    group: int | None = None,
) -> Message:
    """Change a link, found by index or else by name; what is None stays."""
    body = text(IFLA_IFNAME, rename or name) if rename or name else b""
    if alias is not None:
        body += attribute(IFLA_IFALIAS, alias.encode())
    if mac is not None:
        body += attribute(IFLA_ADDRESS, _mac(mac))
    for kind, value in ((IFLA_MTU, mtu), (IFLA_MASTER, master), (IFLA_GROUP, group)):
        if value is not None:
            body += u32(kind, value)
    return _link(RTM_SETLINK, 0, body, index=index, up=up)


def delete_link(index: int) -> Message:
    return _link(RTM_DELLINK, 0, b"", index=index)


def delete_group(group: int) -> Message:
    """Delete every link of a group, in one go."""
    return _link(RTM_DELLINK, 0, u32(IFLA_GROUP, group))


def _family(value: str) -> int:
    return socket.AF_INET6 if family(value) == 6 else socket.AF_INET


def _address(kind: int, flags: int, cidr: Cidr, index: int, extra: bytes = b"") -> Message:
    value = ipaddress.ip_interface(cidr)
    scope = RT_SCOPE_LINK if value.is_link_local else RT_SCOPE_UNIVERSE
    head = _IFADDR.pack(_family(cidr), value.network.prefixlen, 0, scope, index)
    local = attribute(IFA_LOCAL, value.packed) + attribute(IFA_ADDRESS, value.packed)
    return Message(kind, flags, head + local + extra)


def new_address(cidr: Cidr, index: int, link: str) -> Message:
    """IPv4 gets a broadcast address (unless /31, /32: RFC 3021) and its label; IPv6 is used without DAD."""
    value = ipaddress.ip_interface(cidr)
    if isinstance(value, ipaddress.IPv6Interface):
        extra = u32(IFA_FLAGS, IFA_F_NODAD)
    else:
        extra = text(IFA_LABEL, link)
        if value.network.prefixlen < 31:
            extra += attribute(IFA_BROADCAST, value.network.broadcast_address.packed)
    return _address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, cidr, index, extra)


def delete_address(cidr: Cidr, index: int) -> Message:
    return _address(RTM_DELADDR, 0, cidr, index)


def dump_addresses() -> Message:
    return Message(RTM_GETADDR, NLM_F_DUMP, _IFADDR.pack(0, 0, 0, 0, 0))


def _route(
    kind: int, flags: int, destination: Cidr, gateway: Address, index: int, scope: int, protocol: int
) -> Message:
    network = ipaddress.ip_network(destination)
    head = _RTMSG.pack(
        _family(destination), network.prefixlen, 0, 0, RT_TABLE_MAIN, protocol, scope, RTN_UNICAST, 0
    )
    body = attribute(RTA_DST, network.network_address.packed) if network.prefixlen else b""
    body += attribute(RTA_GATEWAY, ipaddress.ip_address(gateway).packed) + u32(RTA_OIF, index)
    return Message(kind, flags, head + body)


def new_route(destination: Cidr, gateway: Address, index: int) -> Message:
    """Protocol boot, as Docker's own routes have: ``ip route`` prints nothing after the device."""
    flags = NLM_F_CREATE | NLM_F_EXCL
    return _route(RTM_NEWROUTE, flags, destination, gateway, index, RT_SCOPE_UNIVERSE, RTPROT_BOOT)


def delete_route(destination: Cidr, gateway: Address, index: int) -> Message:
    return _route(RTM_DELROUTE, 0, destination, gateway, index, RT_SCOPE_NOWHERE, 0)


def dump_routes(of: int) -> Message:
    """All routes of a family, 4 or 6."""
    number = socket.AF_INET6 if of == 6 else socket.AF_INET
    return Message(RTM_GETROUTE, NLM_F_DUMP, _RTMSG.pack(number, 0, 0, 0, 0, 0, 0, 0, 0))


def get_namespace_id(fd: int) -> Message:
    return Message(RTM_GETNSID, 0, bytes(4) + u32(NETNSA_FD, fd))


def _number(found: dict[int, bytes], kind: int) -> int:
    value = found.get(kind)
    return int(struct.unpack_from("=i", value)[0]) if value is not None else 0


def _string(found: dict[int, bytes], kind: int) -> str:
    return found.get(kind, b"").rstrip(b"\0").decode(errors="replace")


def index_of(body: bytes) -> int:
    """The link that a message about a link or an address is about."""
    return int(struct.unpack_from("=i", body, 4)[0])


def read_link(body: bytes) -> Link:
    _, _, index, flags, _ = _IFINFO.unpack_from(body)
    found = attributes(body[16:])
    info = attributes(found.get(IFLA_LINKINFO, b""))
    bridge = attributes(info.get(IFLA_INFO_DATA, b"")) if _string(info, IFLA_INFO_KIND) == "bridge" else {}
    switches = _number(bridge, IFLA_BR_MULTI_BOOLOPT) if IFLA_BR_MULTI_BOOLOPT in bridge else None
    port = attributes(info.get(IFLA_INFO_SLAVE_DATA, b""))
    return Link(
        index=index,
        name=_string(found, IFLA_IFNAME),
        kind=_string(info, IFLA_INFO_KIND),
        mac=Mac(found.get(IFLA_ADDRESS, b"").hex(":")),
        mtu=_number(found, IFLA_MTU),
        up=bool(flags & IFF_UP),
        master=_number(found, IFLA_MASTER),
        peer=_number(found, IFLA_LINK),
        peer_namespace=_number(found, IFLA_LINK_NETNSID) if IFLA_LINK_NETNSID in found else None,
        alias=_string(found, IFLA_IFALIAS),
        group=_number(found, IFLA_GROUP),
        filtered=all(bridge.get(k) == b"\1" for k in (IFLA_BR_NF_CALL_IPTABLES, IFLA_BR_NF_CALL_IP6TABLES)),
        learns_locally=switches is not None and not switches & BR_BOOLOPT_NO_LL_LEARN,
        hairpin=_string(info, IFLA_INFO_SLAVE_KIND) == "bridge" and port.get(IFLA_BRPORT_MODE) == b"\1",
    )


def read_address(body: bytes) -> LinkAddress:
    _, prefix, _, _, index = _IFADDR.unpack_from(body)
    found = attributes(body[8:])
    packed = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
    protocol = found.get(IFA_PROTO, b"\0")[0]
    return LinkAddress(index, Cidr(f"{ipaddress.ip_address(packed)}/{prefix}"), protocol)


def protocol_of(body: bytes) -> int:
    """Who made a route (RTPROT_*)."""
    return body[5]


def read_route(body: bytes) -> RouteEntry:
    number, prefix, _, _, table, protocol, _, kind, _ = _RTMSG.unpack_from(body)
    found = attributes(body[12:])
    anywhere = bytes(16 if number == socket.AF_INET6 else 4)
    gateway = found.get(RTA_GATEWAY)
    return RouteEntry(
        destination=Cidr(f"{ipaddress.ip_address(found.get(RTA_DST, anywhere))}/{prefix}"),
        gateway=Address(str(ipaddress.ip_address(gateway))) if gateway else None,
        index=_number(found, RTA_OIF),
        table=_number(found, RTA_TABLE) or table,
        kind=kind,
        protocol=protocol,
    )


def read_forwarding(body: bytes) -> bool | None:
    """Whether a message about the configuration of all interfaces says that packets are forwarded.

    None for that of a single interface.
    """
    found = attributes(body[4:])
    if NETCONFA_FORWARDING not in found or _number(found, NETCONFA_IFINDEX) != NETCONFA_IFINDEX_ALL:
        return None
    return bool(_number(found, NETCONFA_FORWARDING))


def read_namespace_id(body: bytes) -> int:
    """The id, or -1 if that namespace has none here (then no link of ours leads into it)."""
    return _number(attributes(body[4:]), NETNSA_NSID)
