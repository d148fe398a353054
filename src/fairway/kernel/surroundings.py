"""What the host uses: subnets of others and ours, and the way outside.

It is asked for at each creation of a network and each look at one, on a host with any number of containers.
Each of those adds a veth with a link-local address and four routes, so what is about them is not looked at:
of routes and addresses those that every link has are passed over, and links are read one by one where
something is on them. Measured with 100 containers, in CPU: making a network and removing it takes 16 ms
instead of 40 (8 ms with none), looking at one 2 ms instead of 18.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterator

from fairway.kernel.netlink import Channel, attributes
from fairway.kernel.rtnetlink import (
    RT_SCOPE_LINK,
    RT_TABLE_LOCAL,
    RT_TABLE_MAIN,
    RTA_DST,
    RTN_UNICAST,
    Link,
    RouteEntry,
    dump_addresses,
    dump_routes,
    get_link_at,
    read_address,
    read_link,
    read_route,
)
from fairway.model.address import Cidr, Family, family

_EVERYWHERE_V6 = (b"\xfe\x80", b"\xff")
"""How link-local and multicast destinations begin: every link has its own."""


def occupied(channel: Channel, alias: str) -> list[Cidr]:
    """Subnets of others' routes and interfaces; no default route, loopback, link-local or multicast.

    Links with the ``alias`` are ours. Raises OSError.
    """
    found = {
        (route.destination, route.index)
        for route in _routes(channel, lambda body: body[1] > 0 and not _on_each_link(body))
        if route.kind == RTN_UNICAST and route.table in (RT_TABLE_MAIN, RT_TABLE_LOCAL)
    }
    found |= set(_subnets(channel))
    known = _links(channel, {index for _, index in found})
    others = {cidr for cidr, index in found if index not in known or known[index].alias != alias}
    return sorted((cidr for cidr in others if not _everywhere(cidr)), key=_order)


def subnets(channel: Channel, alias: str) -> list[Cidr]:
    """Subnets of the addresses on our interfaces, in order. Raises OSError."""
    found = set(_subnets(channel))
    known = _links(channel, {index for _, index in found})
    ours = {cidr for cidr, index in found if index in known and known[index].alias == alias}
    return sorted(ours, key=_order)


def uplinks(channel: Channel) -> dict[Family, str]:
    """The interface of the default route, by address family: the first one, which has the best metric.

    Raises OSError.
    """
    found: dict[Family, int] = {}
    for route in _routes(channel, lambda body: body[1] == 0):
        if route.table == RT_TABLE_MAIN and route.kind == RTN_UNICAST and route.index:
            found.setdefault(family(route.destination), route.index)
    known = _links(channel, set(found.values()))
    return {kind: known[index].name for kind, index in found.items() if index in known}


def _subnets(channel: Channel) -> Iterator[tuple[Cidr, int]]:
    """Of all addresses, each with its link, but not the link-local one of each link."""
    for body in channel.dump(dump_addresses()):
        if not (body[0] == socket.AF_INET6 and body[3] == RT_SCOPE_LINK):
            entry = read_address(body)
            yield Cidr(str(ipaddress.ip_interface(entry.address).network)), entry.index


def _routes(channel: Channel, wanted: Callable[[bytes], bool]) -> Iterator[RouteEntry]:
    """Those of which the message (``struct rtmsg``, rtnetlink(7)) is wanted."""
    for number in (4, 6):
        yield from (read_route(body) for body in channel.dump(dump_routes(number)) if wanted(body))


def _on_each_link(route: bytes) -> bool:
    if route[0] != socket.AF_INET6:
        return False
    return attributes(route[12:]).get(RTA_DST, b"").startswith(_EVERYWHERE_V6)


def _links(channel: Channel, indices: set[int]) -> dict[int, Link]:
    """Those that are there, by index."""
    answers = channel.exchange([get_link_at(index) for index in sorted(indices) if index])
    links = [read_link(body) for answer in answers if not answer.code for body in answer.objects]
    return {link.index: link for link in links}


def _everywhere(cidr: Cidr) -> bool:
    """Subnets that are on every host and so are no one's."""
    network = ipaddress.ip_network(cidr)
    return (
        network.prefixlen == 0
        or network.is_loopback
        or network.is_multicast
        or (network.version == 6 and network.is_link_local)
    )


def _order(cidr: Cidr) -> tuple[int, bytes, int]:
    network = ipaddress.ip_network(cidr)
    return network.version, network.network_address.packed, network.prefixlen
