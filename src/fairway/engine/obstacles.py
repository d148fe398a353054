"""What other programs' packet filters stop of our networks: reported with its remedy, never changed.

It is looked at when the daemon starts, when a network is made (at that network alone, however many there
are), and whenever somebody asks (info, inspect). What is found for the first time is logged.
"""

from collections.abc import Iterable, Sequence

from fairway.engine.core import Core
from fairway.firewall.foreign import Obstacle, obstacles, remedy
from fairway.model.address import family
from fairway.model.errors import Fault
from fairway.model.foreign import ForeignFilters
from fairway.model.network import Network

_SHOWN = 3
"""Networks whose remedy a warning about all of them spells out."""


class Obstacles:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: frozenset[str] = frozenset()

    async def look(self) -> Sequence[str]:
        """Warnings about all networks, one for each chain and address family that stops some."""
        filters, found = await self._filters()
        found += _summaries(self._core.state.networks.values(), filters)
        for text in found:
            if text not in self._known:
                self._core.log.warning(text)
        self._known = frozenset(found)
        return found

    async def of_new(self, network: Network) -> Sequence[str]:
        """Warnings about a network that has just been made."""
        found = await self.of(network)
        for text in found:
            if text not in self._known:
                self._core.log.warning(text, network=network.name)
        return found

    async def of(self, network: Network) -> Sequence[str]:
        """Warnings about one network, each with the commands that remedy it."""
        if network.bridge is None or network.internal:
            return []
        name = network.bridge.bridge
        filters, found = await self._filters()
        return found + [
            f"{each.problem}. To let it pass: {remedy(each, name)}" for each in _of(network, filters)
        ]

    async def _filters(self) -> tuple[ForeignFilters, list[str]]:
        """Other programs' filters, and what is wrong with looking at them."""
        try:
            return await self._core.kernel.foreign_filters(), []
        except Fault as fault:
            return ForeignFilters(), [f"cannot look at other programs' packet filters: {fault.message}"]


def _of(network: Network, filters: ForeignFilters) -> list[Obstacle]:
    """Of an internal network nothing is meant to leave."""
    if network.bridge is None or network.internal:
        return []
    used = [pool for pool in network.pools if (network.ipv4, network.ipv6)[family(pool.subnet) == 6]]
    found = [obstacle for pool in used for obstacle in obstacles(filters, network.bridge.bridge, pool.subnet)]
    return list({(each.table.name, each.chain, each.family): each for each in found}.values())


def _summaries(networks: Iterable[Network], filters: ForeignFilters) -> list[str]:
    stopped: dict[tuple[str, str, int], list[tuple[Network, Obstacle]]] = {}
    for network in sorted(networks, key=lambda each: each.name) if filters.tables else ():
        for each in _of(network, filters):
            stopped.setdefault((each.table.name, each.chain, each.family), []).append((network, each))
    return [_summary(pairs) for pairs in stopped.values()]


def _summary(pairs: list[tuple[Network, Obstacle]]) -> str:
    names = ", ".join(network.name for network, _ in pairs[:_SHOWN])
    commands = "; ".join(
        remedy(each, network.bridge.bridge) for network, each in pairs[:_SHOWN] if network.bridge
    )
    more = len(pairs) - _SHOWN
    others = ""
    if more > 0:
        others = f" and {more} more network{'s'[: more - 1]} (network inspect says what to do)"
    return f"{names}{others}: {pairs[0][1].problem}. To let it pass: {commands}"
