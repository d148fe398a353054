"""What is programmed in the kernel's firewall, told to people."""

from collections.abc import Sequence

from fairway.engine.core import Core
from fairway.firewall import iptables, report
from fairway.model.address import Family, family, host
from fairway.model.container import Container
from fairway.model.errors import NotFound
from fairway.model.network import Network
from fairway.model.rule import Form, Rule
from fairway.plan import Counted


class Rules:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def report(self, reference: str = "") -> Sequence[Rule]:
        """By network, container, and host; or only of the network and the container called that."""
        counted = await self._core.kernel.counted()
        held = await self._core.kernel.held()
        networks, containers = self._chosen(reference)
        ruled = [n for n in networks if any(self._ruled(family(pool.subnet)) for pool in n.pools)]
        found = [rule for network in ruled for rule in report.of_network(network, counted)]
        owned: dict[str, list[Rule]] = {}
        families: list[Family] = [kind for kind in (4, 6) if self._ruled(kind)]
        for rule in report.of_addresses(self._owners(), counted, held, families):
            owned.setdefault(rule.id, []).append(rule)
        for container in containers:
            found += owned.get(container.id, ())
        if not reference:
            found += (*owned.get("", ()), *report.of_host(counted, families))
        return found

    async def nft(self) -> str:
        """The table as ``nft`` prints it; empty without it."""
        return await self._core.kernel.listing()

    async def iptables(self, kind: Family, *, form: Form, table: str, chain: str, verbose: bool) -> str:
        """The table in iptables' notation, see ``firewall.iptables``."""
        counted = await self._core.kernel.counted() if self._ruled(kind) else Counted()
        subnets = {
            network.bridge.bridge: [pool.subnet for pool in network.pools]
            for network in self._core.state.networks.values()
            if network.bridge
        }
        tables = iptables.tables(counted, subnets, kind)
        return iptables.printed(tables, kind, form=form, table=table, chain=chain, verbose=verbose)

    def _ruled(self, kind: Family) -> bool:
        settings = self._core.settings
        return settings.iptables if kind == 4 else settings.ip6tables

    def _chosen(self, reference: str) -> tuple[Sequence[Network], Sequence[Container]]:
        state = self._core.state
        if not reference:
            return (
                sorted(state.networks.values(), key=lambda n: n.name),
                sorted(state.containers.values(), key=lambda c: c.name),
            )
        networks = [found] if (found := self._network(reference)) else []
        try:
            return networks, [state.container(reference)]
        except NotFound:
            if not networks:
                raise NotFound(f"No such container or network: {reference}") from None
            return networks, []

    def _network(self, reference: str) -> Network | None:
        try:
            return self._core.state.network(reference)
        except NotFound:
            return None

    def _owners(self) -> dict[str, Container]:
        """Running containers by their addresses."""
        state = self._core.state
        return {
            host(address): state.containers[endpoint.container_id]
            for endpoint in state.endpoints.values()
            if endpoint.id and endpoint.container_id in state.containers
            for address in endpoint.addresses
        }
