"""Keeping the resolver's tables in step with the state."""

from collections.abc import Iterable

from fairway.engine.core import Core
from fairway.engine.links import parse_link
from fairway.engine.names import network_names, resolves, zone
from fairway.model.container import Container
from fairway.model.dns import Zone
from fairway.model.errors import Fault
from fairway.model.network import Network


class Naming:
    """Publishes what changed: the tables of the networks concerned, and the zones that need it."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def publish(self, container: Container, networks: Iterable[Network] = ()) -> None:
        """After a change of the container's attachments; ``networks`` are those it has just left."""
        state = self._core.state
        concerned = {n.id: n for n in networks if resolves(n) and n.id in state.networks}
        concerned |= {n.id: n for n, _ in state.attachments(container.id) if resolves(n)}
        zones = []
        own = zone(state, container, self._core.settings.dns) if container.sandbox else None
        if own:
            zones.append(own)
        zones += self._linked(container, concerned.values())
        if concerned or zones:
            await self._core.resolver.publish([network_names(state, n) for n in concerned.values()], zones)

    async def republish(self, container: Container, networks: Iterable[Network] = ()) -> None:
        """``publish`` after what stays done even if the resolver fails: a new one is told everything."""
        try:
            await self.publish(container, networks)
        except Fault as e:
            self._core.log.warning(
                "the resolver did not take names", container=container.name, error=e.message
            )

    async def publish_all(self) -> None:
        """Everything at once, to a resolver that may know nothing, or what is no longer so."""
        state = self._core.state
        await self._core.resolver.publish(
            [network_names(state, n) for n in state.networks.values() if resolves(n)], self.zones()
        )
        known = await self._core.resolver.sandboxes()
        for sandbox in known - {z.sandbox for z in self.zones()}:
            await self.withdraw(sandbox)

    def zones(self) -> list[Zone]:
        """Of all sandboxes that have names."""
        state, servers = self._core.state, self._core.settings.dns
        return [z for c in state.containers.values() if c.sandbox and (z := zone(state, c, servers))]

    async def withdraw(self, sandbox: str) -> None:
        try:
            await self._core.resolver.withdraw(sandbox)
        except Fault as e:
            self._core.log.warning("the resolver did not take a withdrawal", sandbox=sandbox, error=e.message)

    def _linked(self, changed: Container, networks: Iterable[Network]) -> list[Zone]:
        """Zones of running peers that link to the container: their private names may have changed."""
        state, result = self._core.state, list[Zone]()
        for network in networks:
            for peer, endpoint in state.members(network.id):
                if not endpoint.request.links:
                    continue
                links = {parse_link(link)[0] for link in endpoint.request.links}
                if peer.id != changed.id and peer.sandbox and links & {changed.name, changed.id}:
                    renewed = zone(state, peer, self._core.settings.dns)
                    if renewed:
                        result.append(renewed)
        return result
