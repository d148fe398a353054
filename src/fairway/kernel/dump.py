"""What the kernel holds, as facts: only what carries our mark, and what lies inside our sandboxes.

    links        those with our alias on the host; a veth's far end is found by namespace id and index;
                 a port's hairpin mode
    addresses    on those links and on their far ends; what the kernel itself configured is left out
    routes       through a gateway on those links, main table, not learned from the kernel or a router
    the rest     namespace files and overlay mounts in our directories, elements of our table, DNS listeners,
                 ports that the port holder holds

A link that is not up is reported with MTU 0, one without its far end with an empty peer: not as desired, so
it is surplus and is changed in place or removed (see ``schedule``). Sysctls are never reported: one cannot
list what was set, and setting it again costs a read.
"""

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fairway.kernel import holding, listeners
from fairway.kernel.executor import Executor
from fairway.kernel.mounts import mounts, overlays
from fairway.kernel.namespaces import is_namespace
from fairway.kernel.netlink import Channel
from fairway.kernel.rtnetlink import (
    KERNEL_ADDRESSES,
    LEARNED_ROUTES,
    RT_TABLE_LOCAL,
    RT_TABLE_MAIN,
    RTN_UNICAST,
    Link,
    LinkAddress,
    RouteEntry,
    dump_addresses,
    dump_links,
    dump_routes,
    get_namespace_id,
    protocol_of,
    read_address,
    read_link,
    read_namespace_id,
    read_route,
)
from fairway.model.address import Cidr, Family, Mac, family
from fairway.plan import HOST, Address, Bridge, Fact, Hairpin, Namespace, Route, Veth


@dataclass(frozen=True, slots=True)
class View:
    """One namespace as dumped."""

    links: Mapping[int, Link]
    addresses: Sequence[LinkAddress]
    routes: Sequence[RouteEntry]


def view(channel: Channel, *, every: bool = True) -> View:
    """Links, addresses and routes of the namespace that the socket is in. Raises OSError.

    Without ``every``, only the routes that somebody configured: those of the kernel are most of them.
    """
    links = map(read_link, channel.dump(dump_links()))
    addresses = map(read_address, channel.dump(dump_addresses()))
    routes = [
        read_route(body)
        for number in (4, 6)
        for body in channel.dump(dump_routes(number))
        if every or protocol_of(body) not in LEARNED_ROUTES
    ]
    return View({link.index: link for link in links}, tuple(addresses), routes)


def facts(executor: Executor, alias: str, directory: str, mounted: tuple[str, ...]) -> frozenset[Fact]:
    """Everything of ours that holds. Raises System, OSError."""
    executor.reaper.settle()
    executor.conntrack.settle()
    sandboxes = tuple(namespace_files(directory))
    found: set[Fact] = {Namespace(path) for path in sandboxes}
    found |= _network(executor, alias, sandboxes)
    found |= executor.ruleset.elements()
    found |= set(overlays(mounted))
    found |= listeners.facts(executor.namespaces, executor.holder, executor.served, directory)
    found |= holding.facts(executor.ports)
    return frozenset(found)


def namespace_files(directory: str) -> Iterator[str]:
    """Paths of the namespaces kept in the directory, as plans spell them."""
    real = os.path.realpath(directory)
    for mount in mounts():
        folder, _, name = mount.target.rpartition("/")
        if mount.kind == "nsfs" and folder == real and is_namespace(mount.target):
            yield f"{directory}/{name}"


def occupied(host: View, alias: str) -> list[Cidr]:
    """Subnets of others' routes and interfaces; no default route, loopback, link-local or multicast."""
    ours = {link.index for link in host.links.values() if link.alias == alias}
    found = {
        route.destination
        for route in host.routes
        if route.kind == RTN_UNICAST
        and route.table in (RT_TABLE_MAIN, RT_TABLE_LOCAL)
        and route.index not in ours
    }
    found |= {_subnet(entry.address) for entry in host.addresses if entry.index not in ours}
    return sorted((cidr for cidr in found if not _everywhere(cidr)), key=_order)


def subnets(host: View, alias: str) -> list[Cidr]:
    """Subnets of the addresses on our interfaces, in order."""
    ours = {link.index for link in host.links.values() if link.alias == alias}
    return sorted({_subnet(entry.address) for entry in host.addresses if entry.index in ours}, key=_order)


def bridge_addresses(host: View, name: str) -> list[Cidr] | None:
    """Addresses of the bridge in the kernel's order; None if no bridge has the name."""
    bridge = next((link for link in host.links.values() if link.name == name and link.kind == "bridge"), None)
    if bridge is None:
        return None
    return [entry.address for entry in host.addresses if entry.index == bridge.index]


def uplinks(host: View) -> dict[Family, str]:
    """The interface of the default route, by address family: the first one, which has the best metric."""
    found: dict[Family, str] = {}
    for route in host.routes:
        default = route.table == RT_TABLE_MAIN and ipaddress.ip_network(route.destination).prefixlen == 0
        if default and route.kind == RTN_UNICAST and route.index in host.links:
            found.setdefault(family(route.destination), host.links[route.index].name)
    return found


def _network(executor: Executor, alias: str, sandboxes: Sequence[str]) -> set[Fact]:
    host = view(executor.visits.host)
    ours = {i: link for i, link in host.links.items() if link.alias == alias}
    found: set[Fact] = set(_configured(HOST, host, ours))
    inside = {path: view(executor.visits.channel(path), every=False) for path in sandboxes}
    ends = _far_ends(executor, inside)
    for link in ours.values():
        if link.kind == "bridge":
            found.add(Bridge(link.name, link.mac, link.mtu if link.up else 0, link.filtered))
        elif link.kind == "veth":
            path, far = ends.get((link.peer_namespace, link.peer), (HOST, None))
            found.add(_veth(link, host, path, far))
            found |= {Hairpin(link.name)} if link.hairpin else set()
    for path, seen in inside.items():
        far_links = {e.index: e for p, e in ends.values() if p == path and e.peer in ours}
        found |= set(_configured(path, seen, far_links))
    return found


def _far_ends(
    executor: Executor, inside: Mapping[str, View]
) -> dict[tuple[int | None, int], tuple[str, Link]]:
    """Veths in sandboxes by (id that the host gave to the namespace, index)."""
    files = [get_namespace_id(executor.visits.file(path)) for path in inside]
    answers = executor.visits.host.exchange(files)
    ends: dict[tuple[int | None, int], tuple[str, Link]] = {}
    for (path, seen), answer in zip(inside.items(), answers, strict=True):
        if answer.objects and (number := read_namespace_id(answer.objects[0])) >= 0:
            ends |= {(number, i): (path, link) for i, link in seen.links.items() if link.kind == "veth"}
    return ends


def _veth(link: Link, host: View, path: str, far: Link | None) -> Veth:
    bridge = host.links[link.master].name if link.master in host.links else ""
    if far is None:
        return Veth(link.name, link.mac, bridge, HOST, "", Mac(""), 0)
    mtu = link.mtu if link.up and far.up and link.mtu == far.mtu else 0
    return Veth(link.name, link.mac, bridge, path, far.name, far.mac, mtu)


def _configured(namespace: str, seen: View, links: Mapping[int, Link]) -> Iterator[Fact]:
    for entry in seen.addresses:
        if entry.index in links and not _automatic(entry, links[entry.index]):
            yield Address(namespace, links[entry.index].name, entry.address)
    for route in seen.routes:
        if (
            route.index in links
            and route.gateway is not None
            and route.table == RT_TABLE_MAIN
            and route.kind == RTN_UNICAST
            and route.protocol not in LEARNED_ROUTES
        ):
            yield Route(namespace, route.destination, route.gateway, links[route.index].name)


def _automatic(entry: LinkAddress, link: Link) -> bool:
    """Whether the kernel set the address: it says so since 5.18; before, by the link-local address's form."""
    return entry.protocol in KERNEL_ADDRESSES or entry.address == _eui64(link.mac)


def _eui64(mac: Mac) -> str:
    """fe80:: and the modified EUI-64 of the MAC (RFC 4291, appendix A), as the kernel makes it."""
    octets = bytes.fromhex(mac.replace(":", ""))
    if len(octets) != 6:
        return ""
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    packed = bytes.fromhex("fe80") + bytes(6) + identifier
    return f"{ipaddress.IPv6Address(packed)}/64"


def _subnet(cidr: Cidr) -> Cidr:
    return Cidr(str(ipaddress.ip_interface(cidr).network))


def _everywhere(cidr: Cidr) -> bool:
    """Subnets that are on every host and so are no one's."""
    network = ipaddress.ip_network(cidr)
    return (
        network.prefixlen == 0
        or network.is_loopback
        or network.is_multicast
        or (_v6(cidr) and network.is_link_local)
    )


def _v6(cidr: Cidr) -> bool:
    return family(cidr) == 6


def _order(cidr: Cidr) -> tuple[int, bytes, int]:
    network = ipaddress.ip_network(cidr)
    return network.version, network.network_address.packed, network.prefixlen
