"""What is promised about a packet, written from Docker's documentation and the requirements, not from rules.

Sources: SEEDS R69-R71 (isolation, internal), R99-R121 (published ports), R119 (the client's address), R130
and R147 (links, icc), R144-R152 (forwarding, masquerading), S03-S05, S38-S40; Docker's "Packet filtering and
firewalls" and "Port publishing and mapping"; design.md §5.
"""

from dataclasses import dataclass

from fairway.model.address import Address, Family, family
from reachability.world import ADDRESSES, HOST, NEIGHBOUR, OUTSIDE, ROUTED, Published, World

CONTAINER_PORTS = (80, 81)
"""Where every container listens, TCP and UDP; 80 is what is published."""
HOST_PORTS = (7000,)
"""Services of the host itself, on all its addresses."""
OUTSIDE_PORTS = (77,)


@dataclass(frozen=True)
class Answer:
    """Who answers, and from which address it is asked: one of these."""

    by: str
    seen: frozenset[Address]


def answer(by: str, *seen: Address) -> Answer:
    return Answer(by, frozenset(seen))


def places(world: World) -> dict[str, tuple[int, ...]]:
    """Where something listens, and on which ports."""
    containers = dict.fromkeys(world.members, CONTAINER_PORTS)
    return containers | {HOST: HOST_PORTS, OUTSIDE: OUTSIDE_PORTS, NEIGHBOUR: OUTSIDE_PORTS}


def listens(place: str, port: int) -> bool:
    """Whether anything listens on that port of the place, ping included (port 0)."""
    ports = {HOST: HOST_PORTS, OUTSIDE: OUTSIDE_PORTS, NEIGHBOUR: OUTSIDE_PORTS}
    return port == 0 or port in ports.get(place, CONTAINER_PORTS)  # a kernel answers pings


def expected(world: World, source: str, address: Address, protocol: str, port: int) -> Answer | None:
    """Who answers ``source``'s packet to the address; None if nobody does. ICMP has port 0."""
    asked = _Question(world, source, address, family(address), protocol, port)
    if (owner := _container_at(world, address)) is not None:
        return asked.container(*owner)
    if address in ADDRESSES["loopback"].values() and source != HOST:
        return asked.own_loopback()
    if address in (ADDRESSES[OUTSIDE][4], ADDRESSES[OUTSIDE][6]):
        return asked.outside()
    return asked.host()


@dataclass(frozen=True)
class _Question:
    world: World
    source: str
    address: Address
    kind: Family
    protocol: str
    port: int

    def container(self, name: str, net_name: str) -> Answer | None:
        """To a container's own address."""
        net = self.world.nets[net_name]
        if not listens(name, self.port):
            return None
        if self.source == name:
            return answer(name, self.address)
        if self.source == HOST:
            return answer(name, net.gateway(self.kind))  # the host reaches every container on every port
        mine = self._member(net_name)
        if mine is None:
            return None  # another network, or outside: isolated, published or not
        if net.icc or ((self.source, name) in self.world.links and (self.protocol, self.port) == ("tcp", 80)):
            return answer(name, mine)
        return None

    def own_loopback(self) -> Answer | None:
        """A container's loopback is its own; nobody's packet to a loopback address travels."""
        if self.source in (OUTSIDE, NEIGHBOUR) or not listens(self.source, self.port):
            return None
        return answer(self.source, self.address)

    def outside(self) -> Answer | None:
        if not listens(OUTSIDE, self.port):
            return None
        if self.source == HOST:
            return answer(OUTSIDE, ADDRESSES["host"][self.kind])
        exit_ = self._exit()
        if exit_ is None or self.world.nets[exit_].internal:
            return None
        if self.world.nets[exit_].masquerade:
            return answer(OUTSIDE, ADDRESSES["host"][self.kind])
        return answer(OUTSIDE, self._member(exit_) or self.address)

    def host(self) -> Answer | None:
        """To an address of the host: what is published there, else the host itself."""
        caller = self._caller()
        if caller is None:
            return None
        if found := self._published():
            return self._through_published(*found, caller)
        if listens(HOST, self.port):
            return answer(HOST, caller)
        return None

    def _through_published(self, container: str, net_name: str, caller: Address) -> Answer | None:
        net = self.world.nets[net_name]
        if self._internal():
            return None  # what is internal reaches the host, but nothing beyond
        if self.kind == 6 and (not net.ipv6 or self.address == ADDRESSES["loopback"][6]):
            # What the kernel cannot forward, a process of the host passes on, over the family it likes.
            return answer(container, *(net.gateway(kind) for kind in net.families))
        if self.address in ADDRESSES["loopback"].values() or self.source == container:
            return answer(container, net.gateway(self.kind))
        neighbours = self._member(net_name) is not None and self._leaves_by() == net_name
        if neighbours and not (self.world.bridged_frames_filtered or not net.icc):
            return answer(container, net.gateway(self.kind))  # the answer must come back through the host
        return answer(container, caller)

    def _published(self) -> tuple[str, str] | None:
        """The container that publishes the port there, and the network by which it is reached."""
        for container, ports in self.world.ports.items():
            reached = self._exit_of(container)
            if reached is None or self.world.nets[reached].internal:
                continue
            if any(self._fits(port) for port in ports):
                return container, reached
        return None

    def _fits(self, port: Published) -> bool:
        return (port.protocol, port.port) == (self.protocol, self.port) and port.address in (
            self.address,
            "0.0.0.0" if self.kind == 4 else "::",
        )

    def _caller(self) -> Address | None:
        """The source's address when it addresses the host; None if it has no way to."""
        if self.source == HOST:
            return self.address
        if self.source in (OUTSIDE, NEIGHBOUR):
            return ADDRESSES[self.source][self.kind]
        leaves_by = self._leaves_by()
        return self._member(leaves_by) if leaves_by else None

    def _leaves_by(self) -> str | None:
        """The network whose gateway is addressed if the source is in it, else its default route."""
        for name in self.world.members.get(self.source, {}):
            if self.address == self.world.nets[name].gateway(self.kind):
                return name
        return self._exit()

    def _exit(self) -> str | None:
        found = self._exit_of(self.source)
        if found is None:
            return None
        net = self.world.nets[found]
        return found if self.kind in net.families and (not net.internal or self.source == ROUTED) else None

    def _exit_of(self, container: str) -> str | None:
        """The network by which a container is reached from outside and leaves: the first by name that can."""
        own = self.world.members.get(container, {})
        return min(own, key=lambda name: (self.world.nets[name].internal, name), default=None)

    def _internal(self) -> bool:
        own = self.world.members.get(self.source, {})
        return bool(own) and all(self.world.nets[name].internal for name in own)

    def _member(self, net: str) -> Address | None:
        number = self.world.members.get(self.source, {}).get(net)
        return None if number is None else self.world.nets[net].address(number, self.kind)


def _container_at(world: World, address: Address) -> tuple[str, str] | None:
    for container, memberships in world.members.items():
        for name, number in memberships.items():
            net = world.nets[name]
            if any(net.address(number, kind) == address for kind in net.families):
                return container, name
    return None
