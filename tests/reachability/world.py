"""Networks, containers, published ports and links as data, and the facts that the drivers derive from them.

outside    192.0.2.9 ─┐
neighbour  192.0.2.8 ─┼─ up0 192.0.2.1, 203.0.113.2 ─ host ─┬─ web   server client both
                      ┘   2001:db8::1, 2001:db8:5::2        ├─ app   other both             not masqueraded
                                                            ├─ shut  shut_a shut_b linked   icc off
                                                            ├─ back  inner inner_b routed   internal
                                                            ├─ old   old                    IPv4 only
                                                            └─       none
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec

from fairway.drivers import find
from fairway.drivers.bridge import endpoint_mac
from fairway.drivers.routes import outward, published_at
from fairway.firewall.links import opened
from fairway.firewall.publish import flows
from fairway.kernel.trace import Scene
from fairway.model.address import Address, Cidr, Family
from fairway.model.network import BridgeOptions, Endpoint, Network, Pool, PortMapping
from fairway.plan import HOST as HOST_NAMESPACE
from fairway.plan import Address as AddressFact
from fairway.plan import Element, Fact, Namespace, Plan, Route, Sysctl, establish

HOST, OUTSIDE, NEIGHBOUR, NONE = "host", "outside", "neighbour", "none"
UPLINK = "up0"
FAMILIES: tuple[Family, ...] = (4, 6)
ADDRESSES: Mapping[str, Mapping[Family, Address]] = {
    "host": {4: Address("192.0.2.1"), 6: Address("2001:db8::1")},
    "host, second": {4: Address("203.0.113.2"), 6: Address("2001:db8:5::2")},
    "loopback": {4: Address("127.0.0.1"), 6: Address("::1")},
    OUTSIDE: {4: Address("192.0.2.9"), 6: Address("2001:db8::9")},
    NEIGHBOUR: {4: Address("192.0.2.8"), 6: Address("2001:db8::8")},
}
UPLINK_ADDRESSES = (
    *(Cidr(f"{ADDRESSES['host'][4]}/24"), Cidr(f"{ADDRESSES['host'][6]}/64")),
    *(Cidr(f"{ADDRESSES['host, second'][4]}/32"), Cidr(f"{ADDRESSES['host, second'][6]}/128")),
)
"""The second is in a subnet of its own, or Linux would choose between the two as a source."""
ROUTED = "routed"
"""A container of an internal network that gave itself a default route."""


@dataclass(frozen=True)
class Net:
    """A network; its subnets follow from its number."""

    number: int
    icc: bool = True
    internal: bool = False
    masquerade: bool = True
    ipv6: bool = True

    @property
    def bridge(self) -> str:
        return f"br-{self.number}"

    @property
    def families(self) -> tuple[Family, ...]:
        return FAMILIES if self.ipv6 else (4,)

    def subnet(self, kind: Family) -> Cidr:
        return Cidr(f"{self.address(0, 4)}/24" if kind == 4 else f"fd00:{self.number}::/64")

    def address(self, member: int, kind: Family) -> Address:
        if kind == 6:
            return Address(f"fd00:{self.number}::{member:x}")
        return Address(f"10.{self.number % 250}.{self.number // 250}.{member}")

    def gateway(self, kind: Family) -> Address:
        return self.address(1, kind)


@dataclass(frozen=True)
class Published:
    """``port`` of the host leads to port 80; ``address`` as Docker shows it: one, ``0.0.0.0`` or ``::``."""

    port: int
    address: str
    protocol: str = "tcp"


def everywhere(port: int) -> tuple[Published, ...]:
    """As ``-p PORT:80 -p PORT:80/udp`` on a host with both families."""
    return tuple(Published(port, a, p) for a in ("0.0.0.0", "::") for p in ("tcp", "udp"))


def at(port: int, *addresses: str) -> tuple[Published, ...]:
    return tuple(Published(port, a, p) for a in addresses for p in ("tcp", "udp"))


@dataclass(frozen=True)
class World:
    nets: Mapping[str, Net]
    members: Mapping[str, Mapping[str, int]]
    """Networks of each container, with its number there."""
    ports: Mapping[str, tuple[Published, ...]]
    links: frozenset[tuple[str, str]] = frozenset()
    """(from, to): links in the one network that both share; what is exposed is 80/tcp."""
    bridged_frames_filtered: bool = True
    """``net.bridge.bridge-nf-call-iptables`` and its twin: the kernel translates in bridges, too."""
    others: int = 0
    """How many more networks there are, each with ten published ports."""

    def disconnected(self, container: str, net: str) -> "World":
        kept = {n: number for n, number in self.members[container].items() if n != net}
        return replace(self, members={**self.members, container: kept})

    def unpublished(self, container: str, *ports: int) -> "World":
        kept = tuple(p for p in self.ports[container] if p.port not in ports)
        return replace(self, ports={**self.ports, container: kept})


WORLD = World(
    nets={
        "web": Net(1),
        "app": Net(2, masquerade=False),
        "shut": Net(3, icc=False),
        "back": Net(4, internal=True),
        "old": Net(5, ipv6=False),
    },
    members={
        "server": {"web": 2},
        "client": {"web": 3},
        "both": {"web": 5, "app": 5},
        "other": {"app": 4},
        "shut_a": {"shut": 2},
        "shut_b": {"shut": 3},
        "linked": {"shut": 4},
        "inner": {"back": 2},
        "inner_b": {"back": 3},
        ROUTED: {"back": 4},
        "old": {"old": 2},
        NONE: {},
    },
    ports={
        "server": (
            *everywhere(8080),
            *at(8081, *ADDRESSES["host, second"].values()),
            *at(9090, *ADDRESSES["loopback"].values()),
        ),
        "shut_a": everywhere(8083),
        "inner": everywhere(8084),
        "old": everywhere(8085),
    },
    links=frozenset({("linked", "shut_a")}),
)


def facts(world: World, sandbox: Callable[[str], str]) -> tuple[Fact, ...]:
    """What shall hold; ``sandbox`` names the namespace file of a container."""
    found: list[Fact] = [*_bridged_frames(world)]
    networks = {name: _network(name, net) for name, net in world.nets.items()}
    for network in networks.values():
        found += find("bridge").network(network)
    for name, memberships in world.members.items():
        path = sandbox(name)
        pairs = [
            (networks[net], _endpoint(world.nets[net], networks[net], number))
            for net, number in memberships.items()
        ]
        found.append(Namespace(path))
        for index, (network, endpoint) in enumerate(pairs):
            pairs[index] = network, msgspec.structs.replace(endpoint, interface=f"eth{index}")
            found += find("bridge").endpoint(*pairs[index], path)
        mappings = [_mapping(port) for port in world.ports.get(name, ())]
        targets, _ = published_at(pairs)
        found += (flow for mapping in mappings for flow in flows(mapping, targets))
        found += outward(pairs, mappings, path)
    found += _links(world)
    found += _routed(world, sandbox(ROUTED))
    found += _others(world.others)
    return tuple(dict.fromkeys(found))


def plan(world: World, sandbox: Callable[[str], str]) -> Plan:
    return establish(facts(world, sandbox))


def scene(world: World, sandbox: Callable[[str], str]) -> Scene:
    """The same without any kernel; with what others set up on the host."""
    uplink = (AddressFact(HOST_NAMESPACE, UPLINK, cidr) for cidr in UPLINK_ADDRESSES)
    return Scene((*facts(world, sandbox), *uplink))


def _bridged_frames(world: World) -> Iterator[Sysctl]:
    value = "1" if world.bridged_frames_filtered else "0"
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        yield Sysctl(HOST_NAMESPACE, f"net/bridge/{name}", value)


def _network(name: str, net: Net) -> Network:
    return Network(
        id=hashlib.sha256(name.encode()).hexdigest(),
        name=name,
        driver="bridge",
        created=0,
        ipv6=net.ipv6,
        internal=net.internal,
        pools=tuple(Pool(subnet=net.subnet(kind), gateway=net.gateway(kind)) for kind in net.families),
        bridge=BridgeOptions(bridge=net.bridge, icc=net.icc, masquerade=net.masquerade),
    )


def _endpoint(net: Net, network: Network, number: int) -> Endpoint:
    lengths = {4: 24, 6: 64}
    endpoint = Endpoint(
        id=hashlib.sha256(f"{net.number}.{number}".encode()).hexdigest(),
        network_id=network.id,
        container_id="c" * 64,
        addresses=tuple(Cidr(f"{net.address(number, kind)}/{lengths[kind]}") for kind in net.families),
        # Docker gives endpoints of internal networks no gateway to route through.
        gateways=() if net.internal else tuple(net.gateway(kind) for kind in net.families),
        host_interface=f"veth{net.number}c{number}",
    )
    return msgspec.structs.replace(endpoint, mac=endpoint_mac(endpoint))


def _mapping(port: Published) -> PortMapping:
    return msgspec.convert(
        {
            "protocol": port.protocol,
            "container_port": 80,
            "host_address": port.address,
            "host_port": port.port,
        },
        PortMapping,
    )


def _links(world: World) -> Iterator[Fact]:
    for source, target in sorted(world.links):
        shared = next(n for n in world.members[source] if n in world.members[target])
        net = world.nets[shared]
        for kind in net.families:
            here, there = (net.address(world.members[who][shared], kind) for who in (source, target))
            yield from opened(here, there, [("tcp", 80)])


def _routed(world: World, path: str) -> Iterable[Route]:
    net = world.nets["back"]
    return [
        Route(path, Cidr("0.0.0.0/0"), net.gateway(4), "eth0"),
        Route(path, Cidr("::/0"), net.gateway(6), "eth0"),
    ]


def _others(count: int) -> Iterator[Fact]:
    """Networks without containers, and elements as ten published ports each would make them."""
    for number in range(100, 100 + count):
        net = Net(number)
        yield from find("bridge").network(_network(f"other{number}", net))
        for port in range(10):
            key = ("tcp", str(20000 + number * 10 + port))
            yield Element("publish", key, f"{net.address(2, 4)} . 80")
            yield Element("publish6", key, f"{net.address(2, 6)} . 80")
