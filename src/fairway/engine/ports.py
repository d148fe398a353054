"""Which host ports containers hold, and which ones a container gets.

A host port belongs to one container per protocol and address; all addresses of a family (``0.0.0.0``, ``::``)
clash with each of that family, and the families do not clash with each other.

A port that a binding names is taken as it is: whether a process of the host has it turns out when the kernel
holds it (``plan.HeldPort``), which costs nothing. Ports to be chosen are tried first, all in one go, because
each that turns out to be taken would cost a plan. First of all those are tried that the container had when it
last ran; nobody keeps them for it meanwhile.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from fairway.engine.bindings import Binding
from fairway.engine.core import Core
from fairway.model.address import Address, family
from fairway.model.container import Container
from fairway.model.errors import Conflict
from fairway.model.network import ANY_ADDRESSES, PortMapping

_EPHEMERAL = "net/ipv4/ip_local_port_range"
"""For IPv6 as well, in spite of its name (Linux, ip-sysctl.rst)."""
_NOBODY: Mapping[Address, str] = {}
Claim = tuple[str, Address, int]
"""Protocol, host address, host port."""


class Ports:
    """The ports in use, by protocol and number."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._held: dict[tuple[str, int], dict[Address, str]] = {}
        self._last: dict[str, int] = {}
        """The automatic port looked at last, by protocol: the search goes on behind it, so that a port that
        has just become free is not somebody else's at once."""

    def hold(self, container_id: str, ports: Iterable[PortMapping]) -> None:
        for port in ports:
            self._held.setdefault((port.protocol, port.host_port), {})[port.host_address] = container_id

    def release(
        self, container_id: str, ports: Iterable[PortMapping], still: Iterable[PortMapping] = ()
    ) -> None:
        """Let go of a container's host ports, but not of those that ``still`` mappings have."""
        needed = frozenset(map(_claim, still))
        for port in ports:
            if _claim(port) in needed:
                continue
            place = port.protocol, port.host_port
            holders = self._held.get(place, {})
            if holders.get(port.host_address) == container_id:
                del holders[port.host_address]
                if not holders:
                    del self._held[place]

    def holders(self, protocol: str, address: Address, number: int) -> Iterator[tuple[Address, str]]:
        """What clashes with a port: addresses on which it is held, each with its container's id."""
        kind, everywhere = family(address), address in ANY_ADDRESSES
        for other, container_id in self._held.get((protocol, number), _NOBODY).items():
            if family(other) == kind and (everywhere or other == address or other in ANY_ADDRESSES):
                yield other, container_id

    async def choose(
        self,
        container_id: str,
        wanted: Sequence[Binding],
        kept: Collection[PortMapping] = (),
        avoid: Collection[tuple[str, int]] = (),
        previous: Iterable[PortMapping] = (),
    ) -> tuple[PortMapping, ...]:
        """Hold a port for every binding; the mappings in the order wanted, all or none.

        ``kept`` are mappings that the container holds: a binding that one of them satisfies keeps its number.
        Those that are not returned stay held, for the caller to release when the kernel has let go of them.
        ``avoid`` are protocols and ports not to be chosen, ``previous`` mappings that it does not hold any
        more, whose numbers are preferred.

        Raises Conflict, in Docker's words, when a port is another container's or none is left.
        """
        choice = _Choice(self, container_id, wanted, kept, avoid)
        try:
            choice.take_fixed()
            if unsettled := choice.keep():
                await self._search(choice, unsettled, _Numbers(previous))
        except BaseException:
            self.release(container_id, choice.mappings(), kept)
            raise
        return tuple(choice.mappings())

    async def _search(self, choice: "_Choice", unsettled: Iterable[int], previous: "_Numbers") -> None:
        """Numbers for the bindings that leave it open, tried until no process of the host has one of them."""
        low, high = (int(n) for n in (await self._core.kernel.sysctl("", _EPHEMERAL)).split())
        had = {i: choice.fitting(i, previous) for i in unsettled}
        candidates = {
            i: chain(had[i], self._candidates(choice.wanted[i], low, high))
            for i in sorted(had, key=lambda i: not had[i])  # nobody takes what another one is about to get
        }
        while candidates:
            tried = [claim for i, numbers in candidates.items() for claim in choice.take_next(i, numbers)]
            free = await self._core.kernel.ports_free(tried)
            lost = {(claim[0], claim[2]) for claim, is_free in zip(tried, free, strict=True) if not is_free}
            candidates = {i: numbers for i, numbers in candidates.items() if choice.give_back(i, lost)}

    def _candidates(self, binding: Binding, low: int, high: int) -> Iterator[int]:
        if binding.first:
            yield from range(binding.first, binding.last + 1)
            return
        for _ in range(low, high + 1):
            following = self._last.get(binding.protocol, high) + 1
            self._last[binding.protocol] = number = following if low <= following <= high else low
            yield number


class _Numbers:
    """Host ports that lead, or led, to a container's ports."""

    def __init__(self, mappings: Iterable[PortMapping]) -> None:
        self._found: dict[tuple[str, int, Address], list[int]] = {}
        for port in mappings:
            place = (port.protocol, port.container_port, port.host_address)
            self._found.setdefault(place, []).append(port.host_port)

    def of(self, binding: Binding) -> list[int]:
        """Those that the binding accepts, and that lead there on all of its addresses."""
        places = [(binding.protocol, binding.container_port, address) for address in binding.addresses]
        first, *others = (self._found.get(place, []) for place in places)
        return [n for n in first if binding.accepts(n) and all(n in other for other in others)]


class _Choice:
    """One container's choice in the making: what is taken is held at once."""

    def __init__(
        self,
        ports: Ports,
        container_id: str,
        wanted: Sequence[Binding],
        kept: Collection[PortMapping],
        avoid: Collection[tuple[str, int]],
    ) -> None:
        self.wanted = wanted
        self._ports = ports
        self._id = container_id
        self._avoid = frozenset(avoid)
        self._own = kept
        self._kept = _Numbers(kept)
        self._numbers: dict[int, int] = {}
        """Host port by index of the binding."""
        self._claims: set[Claim] = set()

    def mappings(self) -> list[PortMapping]:
        """What is taken, in the order wanted."""
        numbers = sorted(self._numbers.items())
        return [port for i, number in numbers for port in _mappings(self.wanted[i], number)]

    def take_fixed(self) -> None:
        """Take the ports that bindings name. Raises Conflict."""
        for index, binding in enumerate(self.wanted):
            if not binding.fixed:
                continue
            for address in binding.addresses:
                if self._clashes(binding, address, binding.first):
                    shown = f"[{address}]" if ":" in address else address
                    raise Conflict(f"Bind for {shown}:{binding.first} failed: port is already allocated")
            self._take(index, binding.first)

    def keep(self) -> list[int]:
        """Give bindings that leave the number open the one that they had; those that had none."""
        unsettled = []
        for index, binding in enumerate(self.wanted):
            if binding.fixed:
                continue
            number = next(iter(self.fitting(index, self._kept)), None)
            if number is None:
                unsettled.append(index)
            else:
                self._take(index, number)
        return unsettled

    def fitting(self, index: int, numbers: "_Numbers") -> list[int]:
        """Those for a binding to which nothing in the book is in the way."""
        binding = self.wanted[index]
        return [n for n in numbers.of(binding) if self._suits(binding, n)]

    def take_next(self, index: int, candidates: Iterator[int]) -> list[Claim]:
        """Take the next candidate that is free; what the kernel has to try. Raises Conflict."""
        binding = self.wanted[index]
        number = next((n for n in candidates if self._suits(binding, n)), None)
        if number is None:
            raise Conflict("all ports are allocated")
        self._take(index, number)
        return [(binding.protocol, address, number) for address in binding.addresses]

    def give_back(self, index: int, lost: Collection[tuple[str, int]]) -> bool:
        """Let go of a number that is among those lost; whether it was."""
        binding, number = self.wanted[index], self._numbers[index]
        if (binding.protocol, number) not in lost:
            return False
        del self._numbers[index]
        self._claims.difference_update((binding.protocol, a, number) for a in binding.addresses)
        self._ports.release(self._id, _mappings(binding, number), self._own)
        return True

    def _take(self, index: int, number: int) -> None:
        binding = self.wanted[index]
        self._numbers[index] = number
        self._claims.update((binding.protocol, address, number) for address in binding.addresses)
        self._ports.hold(self._id, _mappings(binding, number))

    def _suits(self, binding: Binding, number: int) -> bool:
        avoided = (binding.protocol, number) in self._avoid
        return not avoided and not any(self._clashes(binding, a, number) for a in binding.addresses)

    def _clashes(self, binding: Binding, address: Address, number: int) -> bool:
        """What the container itself holds, and is not among what it takes here, it will let go of."""
        return any(
            holder != self._id or (binding.protocol, other, number) in self._claims
            for other, holder in self._ports.holders(binding.protocol, address, number)
        )


def unpublished(container: Container) -> Container:
    """The container as it publishes nothing, and remembers what it did."""
    previous = container.ports or container.previous_ports
    return msgspec.structs.replace(container, ports=(), previous_ports=previous)


def _claim(port: PortMapping) -> Claim:
    return port.protocol, port.host_address, port.host_port


def _mappings(binding: Binding, number: int) -> list[PortMapping]:
    return [
        PortMapping(
            protocol=binding.protocol,
            container_port=binding.container_port,
            host_address=address,
            host_port=number,
        )
        for address in binding.addresses
    ]
