"""Where a packet goes, hop by hop and why, computed from facts alone. Pure.

The first packet of a connection, from any namespace, on its way:

    source namespace   its own address → delivered; else the most specific route, or unreachable
    wire               through the veth pair to its bridge; there the next hop is another port's far end
                       (delivered, unless the network is closed) or the bridge's own address
    host               its own address → delivered; forwarding off → dropped; else a route: to another
                       network of ours, or to the outside
    ruleset            the verdicts of ``inet fairway``'s forward chain, from the sets ``bridges``,
                       ``closed``, ``internal``, ``masqueraded``

It says what Fairway's own state decides. Other tables of the host, the administrator's ``user`` chains and
routes that Fairway did not make can still decide otherwise; the outside is one place that everything reaches.

Rejected: interpreting the ruleset's text. The set names are the contract; a test on the real kernel compares
this answer with what a packet meets.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from fairway.model.address import Address as AddressText
from fairway.model.address import contains, host, prefix_length
from fairway.plan import HOST, Address, Bridge, Element, Fact, Namespace, Route, Sysctl, Veth

Verdict = Literal["delivered", "leaves", "dropped", "unreachable"]
"""``leaves``: handed to the world outside Fairway's networks. ``unreachable``: no route or nobody there."""
_FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}


@dataclass(frozen=True, slots=True)
class Journey:
    """Interfaces passed in order (``host`` for the host's stack), how it ended, where, and why."""

    hops: tuple[str, ...]
    verdict: Verdict
    namespace: str
    reason: str

    @property
    def arrives(self) -> bool:
        return self.verdict in ("delivered", "leaves")


@dataclass(frozen=True, slots=True)
class _Packet:
    destination: AddressText
    hops: tuple[str, ...] = ()
    arrived_by: str = ""
    """The bridge through which the host received it; empty for its own packets."""

    def through(self, *hops: str) -> "_Packet":
        return replace(self, hops=self.hops + hops)

    def ends(self, verdict: Verdict, namespace: str, reason: str) -> Journey:
        return Journey(self.hops, verdict, namespace, reason)


def trace(facts: Iterable[Fact], source: str, destination: AddressText) -> Journey:
    """The way of a packet from namespace ``source`` (``HOST`` or a path) to an address."""
    scene = _Scene(facts)
    packet = _Packet(destination)
    if source == HOST:
        return scene.in_host(packet)
    return scene.in_sandbox(packet, source)


class _Scene:
    def __init__(self, facts: Iterable[Fact]) -> None:
        known = frozenset(facts)
        self._addresses = [f for f in known if isinstance(f, Address)]
        self._routes = [f for f in known if isinstance(f, Route)]
        self._veths = [f for f in known if isinstance(f, Veth) and f.mtu]
        self._bridges = {f.name for f in known if isinstance(f, Bridge) and f.mtu}
        self._namespaces = {f.path for f in known if isinstance(f, Namespace)}
        self._elements = {(f.table_object, f.key) for f in known if isinstance(f, Element)}
        self._sysctls = {(f.namespace, f.key): f.value for f in known if isinstance(f, Sysctl)}

    def in_sandbox(self, packet: _Packet, namespace: str) -> Journey:
        if namespace not in self._namespaces:
            return packet.ends("unreachable", namespace, f"there is no namespace {namespace}")
        if self._has(namespace, packet.destination):
            return packet.ends("delivered", namespace, "the sandbox's own address")
        route = self._route(namespace, packet.destination)
        if route is None:
            return packet.ends("unreachable", namespace, f"no route to {packet.destination}")
        link, next_hop = route
        veth = next((v for v in self._veths if (v.namespace, v.peer) == (namespace, link)), None)
        if veth is None:
            return packet.ends("unreachable", namespace, f"{link} leads nowhere")
        return self._on_bridge(packet.through(link, veth.name), veth, next_hop)

    def in_host(self, packet: _Packet) -> Journey:
        """In the host's stack, from outside a bridge or from the host itself."""
        if self._has(HOST, packet.destination):
            return packet.through("host").ends("delivered", HOST, "the host's own address")
        version = ipaddress.ip_address(packet.destination).version
        if packet.arrived_by and self._sysctls.get((HOST, _FORWARDING[version])) == "0":
            return packet.ends("dropped", HOST, f"the host does not forward: {_FORWARDING[version]} is 0")
        link, next_hop = self._route(HOST, packet.destination) or ("", packet.destination)
        if packet.arrived_by and (reason := self._refused(packet.arrived_by, link)):
            return packet.ends("dropped", HOST, reason)
        if link not in self._bridges:
            masqueraded = self._in("masqueraded", packet.arrived_by)
            source = "with the host's address" if masqueraded else "with its own address"
            return packet.through("host").ends("leaves", HOST, f"leaves the host {source}")
        return self._to_port(packet.through("host", link), link, next_hop)

    def _on_bridge(self, packet: _Packet, veth: Veth, next_hop: AddressText) -> Journey:
        if veth.bridge not in self._bridges:
            return packet.ends("unreachable", HOST, f"{veth.name} is not a port of an up bridge")
        packet = packet.through(veth.bridge)
        if any(a.link == veth.bridge and host(a.address) == next_hop for a in self._at(HOST)):
            return self.in_host(replace(packet, arrived_by=veth.bridge))
        if self._in("closed", veth.bridge):
            reason = f"containers of {veth.bridge} may not talk to each other (set closed)"
            return packet.ends("dropped", HOST, reason)
        return self._to_port(packet, veth.bridge, next_hop)

    def _to_port(self, packet: _Packet, bridge: str, next_hop: AddressText) -> Journey:
        """From a bridge to the far end that has the next hop's address."""
        for veth in (v for v in self._veths if v.bridge == bridge):
            owned = (a for a in self._at(veth.namespace) if a.link == veth.peer)
            if any(host(a.address) == next_hop for a in owned):
                packet = packet.through(veth.name, veth.peer)
                if next_hop == packet.destination:
                    return packet.ends("delivered", veth.namespace, f"{next_hop} is on {veth.peer}")
                return packet.ends("dropped", veth.namespace, "the sandbox does not forward")
        return packet.ends("unreachable", HOST, f"nobody on {bridge} has {next_hop}")

    def _refused(self, incoming: str, outgoing: str) -> str:
        """Why the forward chain drops, empty if it accepts."""
        if self._in("bridges", incoming):
            if incoming == outgoing:
                return f"{incoming} is closed (set closed)" if self._in("closed", incoming) else ""
            if self._in("bridges", outgoing):
                return f"networks are isolated: from {incoming} to {outgoing} (set bridges)"
            return f"{incoming} is internal (set internal)" if self._in("internal", incoming) else ""
        return f"{outgoing} is not reachable from outside" if self._in("bridges", outgoing) else ""

    def _in(self, name: str, link: str) -> bool:
        return (name, (link,)) in self._elements

    def _at(self, namespace: str) -> Iterator[Address]:
        return (a for a in self._addresses if a.namespace == namespace)

    def _has(self, namespace: str, address: AddressText) -> bool:
        loopback = ipaddress.ip_address(address).is_loopback
        return loopback or any(host(a.address) == address for a in self._at(namespace))

    def _route(self, namespace: str, destination: AddressText) -> tuple[str, AddressText] | None:
        """(link, next hop) of the longest matching prefix; connected subnets come from addresses."""
        connected = ((a.address, a.link, destination) for a in self._at(namespace))
        routed = ((r.destination, r.link, r.gateway) for r in self._routes if r.namespace == namespace)
        best: tuple[int, str, AddressText] | None = None
        for cidr, link, next_hop in (*connected, *routed):
            subnet = type(cidr)(str(ipaddress.ip_interface(cidr).network))
            if contains(subnet, destination) and (best is None or prefix_length(cidr) > best[0]):
                best = prefix_length(cidr), link, next_hop
        return best[1:] if best else None
