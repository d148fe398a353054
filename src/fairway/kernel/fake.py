"""FakeKernel: the kernel in memory, with the same semantics and the same kinds of errors, evaluated.

It holds links, addresses, routes, elements and the rest as facts; what depends on something fails without it,
what lives on a link goes with it; and it can say where a packet would go (``reaches``). One contract suite
runs against this and against ``LinuxKernel``. Plans are scheduled by the same code.

Rejected: a mock that records calls. It proves that steps were asked for, not that they make sense in order.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from fairway.kernel import schedule
from fairway.kernel.features import Missing
from fairway.kernel.holding import hold_of
from fairway.kernel.ruleset import taken
from fairway.kernel.schedule import Outcome
from fairway.kernel.sysctls import file_of, place
from fairway.kernel.trace import Journey, Packet, Protocol, Scene, walk
from fairway.model.address import Address as AddressText
from fairway.model.address import Cidr, contains
from fairway.model.errors import Conflict, Fault, NotFound, System
from fairway.model.foreign import ForeignFilters
from fairway.model.hold import in_use
from fairway.model.network import ANY_ADDRESSES
from fairway.plan import (
    HOST,
    Address,
    Bridge,
    Counted,
    Element,
    Fact,
    Flows,
    Hairpin,
    HeldPort,
    Namespace,
    Overlay,
    Plan,
    Resolver,
    Route,
    Step,
    Sysctl,
    Veth,
    describe,
)

T = TypeVar("T")


class FakeKernel:
    """Implements the engine's ``Kernel`` protocol without a kernel."""

    def __init__(
        self,
        *,
        foreign: Mapping[str, Sequence[Cidr]] | None = None,
        fail: Callable[[Step], Fault | None] | None = None,
        objects: Iterable[str] | None = None,
    ) -> None:
        """``foreign`` are interfaces of others with their addresses; ``fail`` decides by step what fails.

        ``objects`` are the sets and maps that the ruleset has; None lets every name pass.
        """
        self._foreign = dict(foreign or {})
        self.fail = fail
        self._objects = None if objects is None else frozenset(objects)
        self._facts: dict[Fact, None] = {}
        self.filters = ForeignFilters()
        self._sysctls = {(HOST, "net/ipv4/ip_forward"): "0"}
        self.foreign_ports: set[tuple[str, int]] = set()
        """(protocol, port) on which processes of the host listen."""
        self._disturbances: dict[str, None] = {}
        self._disturbance: asyncio.Event | None = None
        self.rules = True
        """Whether the ruleset is as it was written."""

    async def apply(self, plan: Plan) -> None:
        schedule.apply(plan, self._take)

    async def withdraw(self, plan: Plan) -> Sequence[Fault]:
        return schedule.withdraw(plan, self._take)

    async def facts(self) -> frozenset[Fact]:
        return frozenset(self._facts)

    async def occupied(self) -> Sequence[Cidr]:
        nets = {ipaddress.ip_interface(c).network for cidrs in self._foreign.values() for c in cidrs}
        found = [n for n in nets if not n.is_loopback]
        return [Cidr(str(n)) for n in sorted(found, key=lambda n: (n.version, n.network_address.packed))]

    async def interfaces(self) -> Mapping[str, bool]:
        ours = {f.name: True for f in self._facts if isinstance(f, Bridge | Veth)}
        return {"lo": False} | dict.fromkeys(self._foreign, False) | ours

    async def bridge_addresses(self, name: str) -> Sequence[Cidr] | None:
        if name in self._foreign:
            return self._foreign[name]
        if not any(bridge.name == name for bridge in self._of(Bridge)):
            return None
        return [f.address for f in self._of(Address) if (f.namespace, f.link) == (HOST, name)]

    async def ports_free(self, ports: Sequence[tuple[str, AddressText, int]]) -> Sequence[bool]:
        return [(protocol, port) not in self.foreign_ports for protocol, _, port in ports]

    async def foreign_filters(self) -> ForeignFilters:
        return self.filters

    async def sysctl(self, namespace: str, key: str) -> str:
        file_of(key)
        try:
            return self._sysctls[namespace, key]
        except KeyError:
            raise NotFound(f"no such sysctl: {key}{place(namespace)}") from None

    async def counted(self) -> Counted:
        """Nothing is counted; the administrator's chains are empty."""
        return Counted(installed=True, elements=dict.fromkeys(self._of(Element)))

    async def held(self) -> Sequence[HeldPort]:
        return self._of(HeldPort)

    async def listing(self) -> str:
        """The elements, without the base ruleset."""
        lines = [f"\telement {e.table_object} {' . '.join(e.key)} {e.value}" for e in self._of(Element)]
        return "\n".join(("table inet fairway {", *lines, "}\n"))

    async def install(self) -> bool:
        """The ruleset is there from the beginning."""
        written, self.rules = not self.rules, True
        return written

    async def intact(self) -> bool:
        return self.rules

    async def adopt(self, path: str, pid: int) -> bool:
        """A namespace here is no more than its file: what was in it is gone with that."""
        return self._establish(Namespace(path))

    async def differing(self, wanted: Sequence[Sysctl]) -> Sequence[Sysctl]:
        held = [replace(w, value=self._sysctls.get((w.namespace, w.key), "")) for w in wanted]
        return [now for now, wish in zip(held, wanted, strict=True) if now != wish]

    async def disturbed(self) -> frozenset[str]:
        self._disturbance = asyncio.Event()
        while not self._disturbances:
            await self._disturbance.wait()
            self._disturbance.clear()
        found, self._disturbances = frozenset(self._disturbances), {}
        return found

    async def uninstall(self) -> None:
        self._drop(lambda f: isinstance(f, Element))

    async def features(self) -> tuple[Missing, ...]:
        return ()

    async def close(self) -> None:
        """Nothing is held."""

    def reaches(
        self, source: str, destination: AddressText, protocol: Protocol = "tcp", port: int = 0
    ) -> Journey:
        """Where a packet from ``source`` (``HOST``, a namespace, ``OUTSIDE``) to the address goes now."""
        return walk(self.scene(), Packet(source, destination, protocol, port))

    def scene(self) -> Scene:
        """What packets meet now."""
        sysctls = (Sysctl(namespace, key, value) for (namespace, key), value in self._sysctls.items())
        foreign = (Address(HOST, link, cidr) for link, cidrs in self._foreign.items() for cidr in cidrs)
        return Scene((*self._facts, *sysctls, *foreign))

    def lose(self, fact: Fact) -> None:
        """Somebody else takes this away behind our back, with everything that lives on it."""
        self._remove(fact)
        self.disturb(f"{describe(fact)} was removed")

    def disturb(self, what: str) -> None:
        """Somebody else has changed something."""
        self._disturbances[what] = None
        if self._disturbance is not None:
            self._disturbance.set()

    def _take(self, steps: Sequence[Step]) -> Sequence[Outcome]:
        before = dict(self._facts)
        outcomes = [self._step(step) for step in steps]
        fault = next((o for o in outcomes if isinstance(o, Fault)), None)
        if fault is not None and isinstance(steps[0].fact, Element):
            self._facts = before  # one transaction: nothing of it was done
            return [fault, *[False] * (len(steps) - 1)]
        return outcomes

    def _step(self, step: Step) -> Outcome:
        if self.fail is not None and (fault := self.fail(step)):
            return fault
        try:
            return self._establish(step.fact) if step.present else self._remove(step.fact)
        except Fault as fault:
            return fault

    def _establish(self, fact: Fact) -> bool:
        if isinstance(fact, Sysctl):
            return self._set(fact)
        if isinstance(fact, Flows):
            return False  # never reported, see the fact
        if fact in self._facts:
            return False
        changed = self._check(fact)
        self._facts[fact] = None
        return changed

    def _check(self, fact: Fact) -> bool:
        """Raise what the kernel would; False if the fact replaces one that is changed in place."""
        match fact:
            case Bridge() | Veth():
                return self._check_link(fact)
            case Address():
                self._check_on_link(fact, f"address {fact.address}")
            case Route():
                self._check_route(fact)
            case Hairpin(link=link):
                if not self._has_link(HOST, link):
                    raise System(f"cannot set hairpin mode of {link}: no such interface")
            case Element(table_object=name, key=key):
                if self._objects is not None and name not in self._objects:
                    raise System(f"no set or map {name} in table inet fairway")
                for other in self._of(Element):
                    if (other.table_object, other.key) == (name, key):
                        raise taken(fact, other)
            case HeldPort():
                self._check_port(fact)
            case Resolver(namespace=namespace):
                if Namespace(namespace) not in self._facts:
                    raise System(f"cannot listen in {namespace}: no such network namespace")
                if any(r.namespace == namespace for r in self._of(Resolver)):
                    raise Conflict(f"cannot listen in {namespace}: Address already in use")
            case Overlay(target=target):
                if any(o.target == target for o in self._of(Overlay)):
                    raise Conflict(f"cannot mount {target}: something else is mounted there")
            case _:
                pass
        return True

    def _check_link(self, link: Bridge | Veth) -> bool:
        there = next((f for f in self._links() if f.name == link.name), None)
        if link.name in self._foreign or (there is not None and not _same_link(there, link)):
            raise Conflict(f"interface {link.name} exists already and is not the one that is asked for")
        if isinstance(link, Veth):
            if Namespace(link.namespace) not in self._facts:
                raise System(f"cannot create veth {link.name}: no such network namespace: {link.namespace}")
            if link.bridge not in self._foreign and not any(b.name == link.bridge for b in self._of(Bridge)):
                raise System(f"cannot create veth {link.name}: there is no bridge {link.bridge}")
            ends = {(v.namespace, v.peer) for v in self._of(Veth) if v.name != link.name}
            if (link.namespace, link.peer) in ends:
                raise Conflict(f"interface {link.peer} in {link.namespace} exists already")
        if there is not None:
            del self._facts[there]
        return there is None

    def _check_on_link(self, fact: Address | Route, what: str) -> None:
        if not self._has_link(fact.namespace, fact.link):
            raise System(f"cannot add {what} on {fact.link}{place(fact.namespace)}: no such interface")

    def _check_route(self, route: Route) -> None:
        what = f"route {route.destination} via {route.gateway}"
        self._check_on_link(route, what)
        for other in self._of(Route):
            if (other.namespace, other.destination) == (route.namespace, route.destination):
                raise Conflict(f"cannot add {what}: there is one through {other.gateway} already")
        on_link = [a for a in self._of(Address) if (a.namespace, a.link) == (route.namespace, route.link)]
        subnets = [Cidr(str(ipaddress.ip_interface(a.address).network)) for a in on_link]
        if not any(contains(subnet, route.gateway) for subnet in subnets):
            raise System(f"cannot add {what}: Network is unreachable")

    def _check_port(self, fact: HeldPort) -> None:
        held = (
            other
            for other in self._of(HeldPort)
            if (other.protocol, other.port) == (fact.protocol, fact.port)
            and _overlap(other.address, fact.address)
        )
        if (fact.protocol, fact.port) in self.foreign_ports or any(held):
            raise Conflict(in_use(hold_of(fact)).text)

    def _has_link(self, namespace: str, link: str) -> bool:
        if namespace == HOST:
            return any(f.name == link for f in self._links())
        return any((v.namespace, v.peer) == (namespace, link) for v in self._of(Veth))

    def _set(self, wish: Sysctl) -> bool:
        file_of(wish.key)
        if wish.namespace and Namespace(wish.namespace) not in self._facts:
            raise System(f"cannot set sysctl {wish.key}{place(wish.namespace)}: no such namespace")
        changed = self._sysctls.get((wish.namespace, wish.key)) != wish.value
        self._sysctls[wish.namespace, wish.key] = wish.value
        return changed

    def _remove(self, fact: Fact) -> bool:
        match fact:
            case Namespace(path=path):
                for veth in [v for v in self._of(Veth) if v.namespace == path]:
                    self._remove_link(veth)
                self._drop(lambda f: isinstance(f, Address | Route) and f.namespace == path)
                self._sysctls = {k: v for k, v in self._sysctls.items() if k[0] != path}
            case Bridge(name=name) | Veth(name=name):
                there = next((f for f in self._links() if f.name == name), None)
                return there is not None and self._remove_link(there)
            case Overlay(target=target):
                return self._drop(lambda f: isinstance(f, Overlay) and f.target == target)
            case Resolver(sandbox=sandbox):
                return self._drop(lambda f: isinstance(f, Resolver) and f.sandbox == sandbox)
            case _:
                pass
        return self._drop(lambda f: f == fact)

    def _remove_link(self, link: Bridge | Veth) -> bool:
        ends = {(HOST, link.name)}
        if isinstance(link, Veth):
            ends.add((link.namespace, link.peer))
        self._drop(lambda f: isinstance(f, Address | Route) and (f.namespace, f.link) in ends)
        ports = [v for v in self._of(Veth) if isinstance(link, Bridge) and v.bridge == link.name]
        self._drop(lambda f: isinstance(f, Hairpin) and f.link in {link.name, *(p.name for p in ports)})
        for port in ports:
            del self._facts[port]
            self._facts[replace(port, bridge="")] = None
        return self._drop(lambda f: f == link)

    def _drop(self, gone: Callable[[Fact], bool]) -> bool:
        kept = {f: None for f in self._facts if not gone(f)}
        changed = len(kept) != len(self._facts)
        self._facts = kept
        return changed

    def _links(self) -> list[Bridge | Veth]:
        return [f for f in self._facts if isinstance(f, Bridge | Veth)]

    def _of(self, kind: type[T]) -> list[T]:
        return [f for f in self._facts if isinstance(f, kind)]


def _overlap(one: str, other: str) -> bool:
    """Whether two sockets cannot listen on the same port of these addresses (see ``HeldPort.address``)."""
    if not one or not other or one == other:
        return True
    return (":" in one) == (":" in other) and bool({one, other} & ANY_ADDRESSES)


def _same_link(one: Bridge | Veth, other: Bridge | Veth) -> bool:
    """Whether one can be changed into the other in place."""
    if isinstance(one, Veth) and isinstance(other, Veth):
        return (one.namespace, one.peer) == (other.namespace, other.peer)
    return type(one) is type(other)
