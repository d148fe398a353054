"""The matrix: from every place to every address, on every protocol and port that says something."""

from collections.abc import Iterator
from dataclasses import dataclass

from fairway.kernel.trace import Protocol
from fairway.model.address import Address
from reachability.world import ADDRESSES, FAMILIES, HOST, NEIGHBOUR, NONE, OUTSIDE, World

PUBLISHED = (8080, 8081, 8083, 8084, 8085, 9090)


@dataclass(frozen=True)
class Cell:
    source: str
    address: Address
    protocol: Protocol
    port: int

    def __str__(self) -> str:
        where = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.source} → {where}:{self.port}/{self.protocol}"


def cells(world: World) -> list[Cell]:
    sources = (HOST, OUTSIDE, *world.members)
    found = dict.fromkeys(cell for source in sources for cell in _from(world, source))
    return [*found, *_neighbour()]


def _from(world: World, source: str) -> Iterator[Cell]:
    for address in _container_addresses(world):
        yield from _asks(source, address, 80)
    for address in (*ADDRESSES["host"].values(), *ADDRESSES["host, second"].values()):
        yield from _asks(source, address, 7000, *PUBLISHED)
    for address in _gateways(world, source):
        yield from _asks(source, address, 7000, 8080, 8083)
    if source != OUTSIDE:  # its own loopback says nothing
        for address in ADDRESSES["loopback"].values():
            yield from _asks(source, address, 80, 7000, *PUBLISHED)
        for address in ADDRESSES[OUTSIDE].values():
            yield from _asks(source, address, 77)
    if source in (HOST, "client", "linked", OUTSIDE):  # a port that is neither published nor exposed
        for name, net in (("server", "web"), ("shut_a", "shut")):
            for kind in FAMILIES:
                address = world.nets[net].address(world.members[name][net], kind)
                yield from _asks(source, address, 81)


def _neighbour() -> Iterator[Cell]:
    """A host on the same wire that routes 127.0.0.0/8 here."""
    yield from _asks(NEIGHBOUR, ADDRESSES["loopback"][4], 7000, *PUBLISHED)


def _asks(source: str, address: Address, *ports: int) -> Iterator[Cell]:
    yield Cell(source, address, "icmp", 0)
    for port in ports:
        yield Cell(source, address, "tcp", port)
        yield Cell(source, address, "udp", port)


def _container_addresses(world: World) -> Iterator[Address]:
    for container, memberships in world.members.items():
        if container == NONE:
            continue
        for name, number in memberships.items():
            for kind in world.nets[name].families:
                yield world.nets[name].address(number, kind)


def _gateways(world: World, source: str) -> Iterator[Address]:
    """Of its own networks, and of one that is not."""
    for name in {*world.members.get(source, {}), "web", "back"}:
        for kind in world.nets[name].families:
            yield world.nets[name].gateway(kind)
