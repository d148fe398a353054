"""The host that the packet pages tell about: its networks and containers, as facts that drivers derive."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from fairway.drivers import find
from fairway.drivers.bridge import endpoint_mac
from fairway.drivers.routes import outward
from fairway.firewall.links import opened
from fairway.model.address import Address, Cidr
from fairway.model.network import BridgeOptions, Endpoint, Network, Pool, PortMapping
from fairway.plan import HOST, Fact, Namespace, Route, Sysctl
from fairway.plan import Address as AddressFact

UPLINK = "eth0"
UPLINK_ADDRESSES = (Cidr("192.0.2.10/24"), Cidr("2001:db8::10/64"))
CALLER = {4: Address("198.51.100.1"), 6: Address("2001:db8:9::1")}
"""Somebody far away."""


@dataclass(frozen=True)
class Net:
    name: str
    number: int
    icc: bool = True
    internal: bool = False
    masquerade: bool = True
    ipv6: bool = True

    @property
    def bridge(self) -> str:
        return f"br-{self.name}"

    def addresses(self, member: int) -> tuple[Cidr, ...]:
        four = Cidr(f"172.{self.number}.0.{member}/16")
        return (four, Cidr(f"fd00:{self.number}::{member}/64")) if self.ipv6 else (four,)

    @property
    def model(self) -> Network:
        subnets = (f"172.{self.number}.0.0/16", f"fd00:{self.number}::/64")
        gateways = (address.partition("/")[0] for address in self.addresses(1))
        pools = tuple(
            Pool(subnet=Cidr(subnet), gateway=Address(gateway))
            for subnet, gateway in zip(subnets, gateways, strict=False)
        )
        return Network(
            id=_id(self.name),
            name=self.name,
            driver="bridge",
            created=0,
            ipv6=self.ipv6,
            internal=self.internal,
            pools=pools,
            bridge=BridgeOptions(bridge=self.bridge, icc=self.icc, masquerade=self.masquerade),
        )


@dataclass(frozen=True)
class Container:
    name: str
    net: Net
    number: int
    ports: tuple[PortMapping, ...] = ()

    def address(self, kind: int = 4) -> Address:
        found = (a.partition("/")[0] for a in self.net.addresses(self.number) if (":" in a) == (kind == 6))
        return Address(next(found))


def port(number: int, inside: int, *addresses: str) -> Iterator[PortMapping]:
    for address in addresses or ("0.0.0.0", "::"):
        yield PortMapping(container_port=inside, host_port=number, host_address=Address(address))


WEB, APP = Net("web", 18), Net("app", 19, masquerade=False)
BACK, SHUT, OLD = Net("back", 20, internal=True), Net("shut", 21, icc=False), Net("old", 22, ipv6=False)
SERVER = Container(
    "server", WEB, 2, (*port(8080, 80), *port(8443, 443, "192.0.2.10"), *port(9090, 80, "127.0.0.1"))
)
CLIENT, OTHER = Container("client", WEB, 3), Container("other", APP, 2)
HIDDEN, ROGUE, DATABASE = (
    Container("hidden", BACK, 2),
    Container("rogue", BACK, 3),
    Container("database", SHUT, 2),
)
STRANGER, FRIEND = Container("stranger", SHUT, 3), Container("friend", SHUT, 4)
LEGACY = Container("legacy", OLD, 2, tuple(port(8085, 80)))
NETS = (WEB, APP, BACK, SHUT, OLD)
CONTAINERS = (SERVER, CLIENT, OTHER, HIDDEN, ROGUE, DATABASE, STRANGER, FRIEND, LEGACY)


def facts(*, bridged: bool = False, published: bool = True) -> tuple[Fact, ...]:
    """``bridged``: br_netfilter passes frames of every bridge to the rules, not only where a network asks."""
    found: list[Fact] = [AddressFact(HOST, UPLINK, cidr) for cidr in UPLINK_ADDRESSES]
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        found.append(Sysctl(HOST, f"net/bridge/{name}", "1" if bridged else "0"))
    for net in NETS:
        found += find("bridge").network(net.model)
    for container in CONTAINERS:
        found += _container(container, container.ports if published else ())
    found.append(Route(ROGUE.name, Cidr("0.0.0.0/0"), Address("172.20.0.1"), "eth0"))
    found += opened(FRIEND.address(), DATABASE.address(), [("tcp", 5432)])
    return tuple(dict.fromkeys(found))


def _container(container: Container, ports: tuple[PortMapping, ...]) -> Iterator[Fact]:
    network = container.net.model
    gateways = () if network.internal else tuple(p.gateway for p in network.pools if p.gateway)
    endpoint = Endpoint(
        id=_id(container.name),
        network_id=network.id,
        container_id=_id(container.name),
        addresses=container.net.addresses(container.number),
        gateways=gateways,
        interface="eth0",
        host_interface=f"veth-{container.name}",
    )
    endpoint = msgspec.structs.replace(endpoint, mac=endpoint_mac(endpoint))
    yield Namespace(container.name)
    yield from find("bridge").endpoint(network, endpoint, container.name)
    yield from outward([(network, endpoint)], ports, container.name)


def _id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
