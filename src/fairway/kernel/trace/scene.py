"""The facts, indexed by the questions that a packet's way asks of them."""

import ipaddress
from collections.abc import Collection, Iterable, Iterator

from fairway.model.address import Address as AddressText
from fairway.model.address import Cidr, Family, family, host, link_local
from fairway.plan import (
    HOST,
    Address,
    Bridge,
    Element,
    Fact,
    Hairpin,
    HeldPort,
    Namespace,
    Route,
    Sysctl,
    Veth,
)

_FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
_CALLS = {4: "net/bridge/bridge-nf-call-iptables", 6: "net/bridge/bridge-nf-call-ip6tables"}
_ANY = {4: "0.0.0.0", 6: "::"}

_Entry = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str, AddressText | None]
"""A route: subnet, link, gateway or None for what is on the link itself."""


class Scene:
    """What is asked while a packet travels. Built once, good for any number of packets."""

    def __init__(self, facts: Iterable[Fact], *, ruled: Collection[Family] = (4, 6)) -> None:
        """``ruled`` are the families whose packets meet the rules (``--iptables``, ``--ip6tables``)."""
        known = {*facts}
        known |= set(_link_local(known))
        self.ruled = frozenset(ruled)
        self.namespaces = {f.path for f in known if isinstance(f, Namespace)}
        self._addresses: dict[str, list[Address]] = {}
        self._tables: dict[tuple[str, Family], list[_Entry]] = {}
        """Routes by namespace and family, longest prefix first."""
        self._ports: dict[str, list[Veth]] = {}
        self._sets: dict[str, dict[tuple[str, ...], str]] = {}
        self._bridges = {f.name: f for f in known if isinstance(f, Bridge)}
        self._hairpins = {f.link for f in known if isinstance(f, Hairpin)}
        self._held = {(f.protocol, f.address, f.port): f for f in known if isinstance(f, HeldPort)}
        self._sysctls = {(f.namespace, f.key): f.value for f in known if isinstance(f, Sysctl)}
        for fact in known:
            match fact:
                case Address(namespace=namespace):
                    self._addresses.setdefault(namespace, []).append(fact)
                    self._enter(namespace, fact.address, fact.link, None)
                case Route(namespace=namespace):
                    self._enter(namespace, fact.destination, fact.link, fact.gateway)
                case Veth(bridge=bridge) if fact.mtu:
                    self._ports.setdefault(bridge, []).append(fact)
                case Element(table_object=name, key=key, value=value):
                    self._sets.setdefault(name, {})[key] = value
                case _:
                    pass
        self._veths = {(v.namespace, v.peer): v for ports in self._ports.values() for v in ports}
        for table in self._tables.values():
            table.sort(key=lambda entry: (-entry[0].prefixlen, *map(str, entry)))

    # Interfaces.

    def veth(self, namespace: str, peer: str) -> Veth | None:
        """The pair whose far end is that interface of the namespace."""
        return self._veths.get((namespace, peer))

    def is_bridge(self, name: str) -> bool:
        """Whether it is an up bridge of a network; one that the administrator made is no fact of ours."""
        bridge = self._bridges.get(name)
        return bridge.mtu > 0 if bridge else self.lookup("bridges", (name,)) is not None

    def filtered(self, bridge: str, kind: Family) -> bool:
        """Whether frames between its ports meet the rules; br_netfilter's own default is that all do."""
        own = self._bridges.get(bridge)
        return (own is not None and own.filtered) or self._sysctls.get((HOST, _CALLS[kind])) != "0"

    def turns_back(self, port: str) -> bool:
        """Whether the bridge sends a frame back out of the port by which it came."""
        return port in self._hairpins

    def port_of(self, bridge: str, address: AddressText) -> Veth | None:
        """The port whose far end has the address."""
        for veth in self._ports.get(bridge, ()):
            if any(a.link == veth.peer and host(a.address) == address for a in self._at(veth.namespace)):
                return veth
        return None

    # Addresses and routes.

    def has(self, namespace: str, address: AddressText) -> bool:
        """Whether the address is the namespace's own, loopback included."""
        if ipaddress.ip_address(address).is_loopback:
            return True
        return any(host(a.address) == address for a in self._at(namespace))

    def on_link(self, namespace: str, link: str, address: AddressText) -> bool:
        return any(a.link == link and host(a.address) == address for a in self._at(namespace))

    def route(self, namespace: str, destination: AddressText) -> tuple[str, AddressText] | None:
        """(link, next hop) of the longest matching prefix; connected subnets come from addresses."""
        address = ipaddress.ip_address(destination)
        for subnet, link, gateway in self._tables.get((namespace, family(destination)), ()):
            if address in subnet:
                return link, gateway or destination
        return None

    def source(self, namespace: str, destination: AddressText) -> AddressText | None:
        """The source address that the kernel chooses; None if the facts do not tell."""
        if ipaddress.ip_address(destination).is_loopback:
            return AddressText("::1" if family(destination) == 6 else "127.0.0.1")
        if self.has(namespace, destination):
            return destination
        route = self.route(namespace, destination)
        return self.source_on(namespace, *route) if route else None

    def source_on(self, namespace: str, link: str, next_hop: AddressText) -> AddressText | None:
        """The link's address in the next hop's subnet, else its lowest that is not link-local."""
        own = [
            a.address for a in self._at(namespace) if a.link == link and family(a.address) == family(next_hop)
        ]

        def rank(cidr: Cidr) -> tuple[bool, bool, bytes]:
            address = ipaddress.ip_interface(cidr)
            elsewhere = ipaddress.ip_address(next_hop) not in address.network
            return elsewhere, address.is_link_local, address.packed

        return host(min(own, key=rank)) if own else None

    # The host.

    def does_not_forward(self, kind: Family) -> str:
        """The sysctl that keeps the host from forwarding, empty if it forwards or nobody knows."""
        return _FORWARDING[kind] if self._sysctls.get((HOST, _FORWARDING[kind])) == "0" else ""

    def routes_loopback(self, link: str) -> bool:
        """Whether packets from and to 127.0.0.0/8 may pass the interface."""
        keys = (f"net/ipv4/conf/{name}/route_localnet" for name in (link, "all"))
        return any(self._sysctls.get((HOST, key)) == "1" for key in keys)

    def held(self, protocol: str, address: AddressText, port: int) -> HeldPort | None:
        """The port of the host that the port holder listens on there, the most specific."""
        for where in (address, _ANY[family(address)], ""):
            if found := self._held.get((protocol, where, port)):
                return found
        return None

    def lookup(self, name: str, key: tuple[str, ...]) -> str | None:
        """The value of a map's element, empty for a set's, None if it has none such."""
        return self._sets.get(name, {}).get(key)

    def _enter(self, namespace: str, cidr: Cidr, link: str, gateway: AddressText | None) -> None:
        entry = ipaddress.ip_network(cidr, strict=False), link, gateway
        self._tables.setdefault((namespace, family(cidr)), []).append(entry)

    def _at(self, namespace: str) -> Iterator[Address]:
        return iter(self._addresses.get(namespace, ()))


def _link_local(facts: Collection[Fact]) -> Iterator[Address]:
    """What the kernel adds by itself: bridges, and far ends that have IPv6, are in fe80::/64 (RFC 4291)."""
    six = {(f.namespace, f.link) for f in facts if isinstance(f, Address) and family(f.address) == 6}
    for fact in facts:
        if isinstance(fact, Bridge):
            yield Address(HOST, fact.name, Cidr(f"{link_local(fact.mac)}/64"))
        elif isinstance(fact, Veth) and (fact.namespace, fact.peer) in six:
            yield Address(fact.namespace, fact.peer, Cidr(f"{link_local(fact.peer_mac)}/64"))
