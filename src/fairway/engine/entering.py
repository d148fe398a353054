"""Which networks a container is on when it starts: its own, those that others kept for it, or another's.

enter    sandbox and endpoints, kept, taken over or reserved, and host ports → committed as under way
leave    the start failed: everything back; where others run in the sandbox, what they had stays
"""

from dataclasses import dataclass, replace

import msgspec

from fairway.engine.attachments import Attachments, check_request
from fairway.engine.connecting import Connecting
from fairway.engine.core import Core
from fairway.engine.launching import Launching
from fairway.engine.publishing import Publishing
from fairway.engine.sharing import Sharing
from fairway.engine.state import Stored
from fairway.model.container import Container
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.network import Endpoint, Network, PortMapping, Sandbox
from fairway.plan import Fact


@dataclass(frozen=True, slots=True)
class Entry:
    """A container on its networks, and what its sandbox had before it started, kept by others."""

    container: Container
    endpoints: frozenset[str] = frozenset()
    """Ids."""
    ports: tuple[PortMapping, ...] = ()
    facts: tuple[Fact, ...] = ()


class Entering:
    """All under the container's lock."""

    def __init__(
        self,
        core: Core,
        attachments: Attachments,
        connecting: Connecting,
        publishing: Publishing,
        launching: Launching,
        sharing: Sharing,
    ) -> None:
        self._core = core
        self._attachments = attachments
        self._connecting = connecting
        self._publishing = publishing
        self._launching = launching
        self._sharing = sharing

    async def enter(self, container: Container) -> Entry:
        """Reserve sandbox and endpoints and commit them, marked as being under way."""
        core, mode = self._core, container.host.network_mode
        if mode.startswith("container:"):
            if not container.sandbox:  # an heir has one (see ``sharing``)
                container = msgspec.structs.replace(container, joined=self._launching.sandbox(container))
            await core.state.commit(container, begin=container)
            return self._entry(container)
        if not container.sandbox:
            container = await self._sharing.take_over(container, mode, core.state.attachments(container.id))
        before = self._entry(container)
        for network, _ in core.state.attachments(container.id):
            await self._connecting.settled(network)
        if not core.state.endpoints_of(container.id) and not self._without_network(mode):
            await self._connecting.settled(core.state.network(mode))
        # From here to the commit nothing is awaited but ports: no network can go before it is in use.
        self._ensure_endpoint(container, mode)
        sandbox = None
        if mode != "host" and not container.sandbox:
            sandbox_id = core.identity.id()
            sandbox = Sandbox(id=sandbox_id, key=f"{core.settings.exec_root}/netns/{sandbox_id[:12]}")
            container = msgspec.structs.replace(container, sandbox=sandbox_id)
        reserved: list[Endpoint] = []
        try:
            for network, endpoint in self._in_order(container, mode):
                if endpoint.id:  # kept or taken over
                    continue
                check_request(network, endpoint.request)
                new = self._attachments.reserve(network, container, endpoint)
                reserved.append(new)
                core.state.place(new)
            ports = await self._publishing.choose(container, before.ports)
            container = msgspec.structs.replace(container, ports=ports)
            things: list[Stored] = [container, *reserved, *([sandbox] if sandbox else [])]
            await core.state.commit(*things, begin=container)
        except BaseException:
            self._publishing.ports.release(container.id, container.ports, before.ports)
            for endpoint in reserved:
                core.state.place(self._attachments.idle(endpoint))
                self._attachments.release(endpoint)
            raise
        return replace(before, container=container)

    async def leave(self, entry: Entry) -> None:
        """Give back what ``enter`` took and the start has made of it."""
        current = self._core.state.containers[entry.container.id]
        if self._sharing.sharers(current.sandbox):
            await self._sharing.retreat(current, entry.endpoints, entry.ports)
        else:
            await self._sharing.release(current)

    def _entry(self, container: Container) -> Entry:
        state = self._core.state
        sandbox = state.sandboxes.get(container.sandbox)
        return Entry(
            container,
            frozenset(e.id for e in state.endpoints_of(container.id) if e.id),
            container.ports,
            self._attachments.sandbox_facts(container, sandbox) if sandbox else (),
        )

    def _without_network(self, mode: str) -> bool:
        """Where there is no default network (``--bridge none``), its containers have loopback only (moby)."""
        return mode == "bridge" and self._core.state.network_named(mode) is None

    def _ensure_endpoint(self, container: Container, mode: str) -> None:
        """The network of the container's mode may have been made after the container."""
        state = self._core.state
        if not state.endpoints_of(container.id) and not self._without_network(mode):
            state.place(Endpoint(network_id=state.network(mode).id, container_id=container.id))
        for endpoint in state.endpoints_of(container.id):
            network = state.networks.get(endpoint.network_id)
            if network is None:
                raise NotFound(
                    f"failed to set up container networking: network {endpoint.network_id} not found"
                )
            if network.config_only:
                raise InvalidParameter(
                    f"network {network.name} only holds settings: it cannot be used by containers"
                )

    def _in_order(self, container: Container, mode: str) -> list[tuple[Network, Endpoint]]:
        """The network of the mode first, so that it becomes eth0; then by name."""
        pairs = self._core.state.attachments(container.id)
        return sorted(pairs, key=lambda pair: (mode not in (pair[0].name, pair[0].id), pair[0].name))
