"""What the kernel holds, as facts: only what carries our mark, and what lies inside our sandboxes.

    links        those with our alias on the host; a veth's far end is found by namespace id and index;
                 a port's hairpin mode
    addresses    on those links and on their far ends; what the kernel itself configured is left out
    routes       through a gateway on those links, main table, not learned from the kernel or a router
    the rest     namespace files and overlay mounts in our directories, elements of our table, DNS listeners,
                 ports that the port holder holds

A link that is not up is reported with MTU 0, as is a bridge that learns from frames to link-local groups, and
one without its far end with an empty peer: not as desired, so it is surplus and is changed in place or
removed (see ``schedule``). Sysctls are never reported: one cannot list what was set, and setting it again
costs a read.
"""

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
from fairway.model.address import Cidr, Mac, link_local
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


def bridge_addresses(host: View, name: str) -> list[Cidr] | None:
    """Addresses of the bridge in the kernel's order; None if no bridge has the name."""
    bridge = next((link for link in host.links.values() if link.name == name and link.kind == "bridge"), None)
    if bridge is None:
        return None
    return [entry.address for entry in host.addresses if entry.index == bridge.index]


def _network(executor: Executor, alias: str, sandboxes: Sequence[str]) -> set[Fact]:
    host = view(executor.visits.host)
    ours = {i: link for i, link in host.links.items() if link.alias == alias}
    found: set[Fact] = set(_configured(HOST, host, ours))
    inside = {path: view(executor.visits.channel(path), every=False) for path in sandboxes}
    ends = _far_ends(executor, inside)
    for link in ours.values():
        if link.kind == "bridge":
            as_made = link.up and not link.learns_locally
            found.add(Bridge(link.name, link.mac, link.mtu if as_made else 0, link.filtered))
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
        return Veth(link.name, link.mac, bridge, HOST, "", Mac(""), 0, link.group)
    mtu = link.mtu if link.up and far.up and link.mtu == far.mtu else 0
    return Veth(link.name, link.mac, bridge, path, far.name, far.mac, mtu, link.group)


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
    return entry.protocol in KERNEL_ADDRESSES or entry.address == f"{link_local(link.mac)}/64"
