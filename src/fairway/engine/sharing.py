"""One sandbox, several containers: ``--network container:NAME``.

A sandbox belongs to the container that made it; those that joined it run in it. It lives as long as any of
them runs:

    the owner ends       it keeps its sandbox, endpoints and ports while somebody else runs in there, and
                         takes them up again at its next start
    the last one ends    an owner that does not run gives everything back
    the owner is removed its ports are free; one of the others owns the rest, until a container of the
                         removed one's name starts: that takes the sandbox over, with all in it

Rejected: a sandbox without owner, for which every question about endpoints would have a second answer; to end
the network with its owner, as Docker does: its peers then run on without any.
"""

from collections.abc import Collection, Sequence

import msgspec

from fairway.engine.attachments import INTERFACE_OPTION, Attachments
from fairway.engine.core import Core
from fairway.engine.naming import Naming
from fairway.engine.ports import Ports, unpublished
from fairway.engine.tasks import Tasks
from fairway.engine.teardown import record, withdraw_wholly
from fairway.model.container import Container
from fairway.model.network import Endpoint, EndpointRequest, Network, PortMapping, Sandbox
from fairway.plan import difference, withdraw


class Sharing:
    """A container's lock may be taken while holding that of the container whose network it shares."""

    def __init__(
        self, core: Core, attachments: Attachments, naming: Naming, ports: Ports, tasks: Tasks
    ) -> None:
        self._core = core
        self._attachments = attachments
        self._naming = naming
        self._ports = ports
        self._tasks = tasks

    def sharers(self, sandbox: str) -> list[Container]:
        """See ``State.joined``."""
        return self._core.state.joined(sandbox)

    async def release(self, owner: Container) -> list[Network]:
        """Give back the network of a container that does not run, and record the container as it is then.

        The caller holds its lock. Returns the networks left.
        """
        state = self._core.state
        sandbox = state.sandboxes.get(owner.sandbox)
        facts = self._attachments.sandbox_facts(owner, sandbox) if sandbox else ()
        attached = [(n, e) for n, e in state.attachments(owner.id) if e.id]
        ports, owner = owner.ports, msgspec.structs.replace(unpublished(owner), sandbox="")
        idle = [self._attachments.idle(e) for _, e in attached]
        await record(self._core, owner, *idle, delete=[sandbox] if sandbox else [])
        await withdraw_wholly(self._core, withdraw(facts), owner.name)
        self._ports.release(owner.id, ports)
        for _, endpoint in attached:
            self._attachments.release(endpoint)
        if sandbox:
            await self._naming.republish(owner)
            await self._naming.withdraw(sandbox.id)
        return [network for network, _ in attached]

    async def retreat(
        self, owner: Container, endpoints: Collection[str], ports: tuple[PortMapping, ...]
    ) -> None:
        """Back to what its sandbox, in which others run, had: the endpoints of these ids, and the ports.

        The caller holds its lock.
        """
        sandbox = self._core.state.sandboxes[owner.sandbox]
        before = self._attachments.sandbox_facts(owner, sandbox)
        attached = self._core.state.attachments(owner.id)
        added = [(n, e) for n, e in attached if e.id and e.id not in endpoints]
        left = msgspec.structs.replace(owner, ports=ports)
        await record(self._core, left, *[self._attachments.idle(e) for _, e in added])
        after = self._attachments.sandbox_facts(left, sandbox)
        await withdraw_wholly(self._core, difference(after, before), owner.name)
        self._ports.release(owner.id, owner.ports, ports)
        for _, endpoint in added:
            self._attachments.release(endpoint)
        await self._naming.republish(left, [network for network, _ in added])

    def left(self, sandbox: str) -> None:
        """Somebody who had joined has ended: see to a sandbox that nobody runs in any more."""
        owner = self._core.state.owner(sandbox)
        if owner and not owner.state.active and not self.sharers(sandbox):
            self._tasks.spawn(owner.id, lambda: self._left(owner.id))

    async def _left(self, owner_id: str) -> None:
        async with self._core.locks.hold(f"container/{owner_id}"):
            owner = self._core.state.containers.get(owner_id)
            if owner and owner.sandbox and not owner.state.active and not self.sharers(owner.sandbox):
                await self.release(owner)

    async def bequeath(self, owner: Container) -> Container:
        """The owner is being removed: one of those who share its sandbox owns it from now on.

        The caller holds the owner's lock. Returns the owner as it is without a network.
        """
        for candidate in self.sharers(owner.sandbox):
            async with self._core.locks.hold(f"container/{candidate.id}"):
                heir = self._core.state.containers.get(candidate.id)
                if heir and heir.joined == owner.sandbox:
                    sandbox = self._core.state.sandboxes[owner.sandbox]
                    return await self._hand_over(owner, heir, sandbox, orphan=sandbox.orphan or owner.name)
        await self.release(owner)
        return self._core.state.containers[owner.id]

    async def take_over(
        self, container: Container, mode: str, wanted: Sequence[tuple[Network, Endpoint]]
    ) -> Container:
        """A container about to start takes over the sandbox of a removed one of its name, if peers hold one.

        Of its networks it keeps those that ``wanted`` (its own endpoints) can be satisfied by; the others go.
        The caller holds its lock.
        """
        orphan = self._core.state.orphan(container.name)
        keeper = self._core.state.owner(orphan.id) if orphan else None
        if orphan is None or keeper is None or mode == "host" or mode.startswith("container:"):
            return container
        async with self._core.locks.hold(f"container/{keeper.id}"):
            current = self._core.state.containers.get(keeper.id)
            if current is None or current.sandbox != orphan.id:
                return container
            return await self._hand_over(current, container, orphan, orphan="", wanted=wanted)

    async def _hand_over(
        self,
        giver: Container,
        taker: Container,
        sandbox: Sandbox,
        *,
        orphan: str,
        wanted: Sequence[tuple[Network, Endpoint]] | None = None,
    ) -> Container:
        """Sandbox and endpoints change hands, ports are released; the side that the caller asked about.

        A giver that runs goes on in the sandbox as one who joined it.
        """
        core, state = self._core, self._core.state
        before = self._attachments.sandbox_facts(giver, sandbox)
        held = [(n, e) for n, e in state.attachments(giver.id) if e.id]
        wishes = {n.id: e.request for n, e in wanted} if wanted is not None else None
        moved, dropped = [], []
        for network, endpoint in held:
            wish = EndpointRequest() if wishes is None else wishes.get(network.id)
            if wish is None or not _satisfies(endpoint, wish):
                dropped.append((network, endpoint))
                continue
            moved.append(msgspec.structs.replace(endpoint, container_id=taker.id, request=wish))
        ports = giver.ports
        joined = sandbox.id if giver.state.active else ""
        giver = msgspec.structs.replace(giver, sandbox="", joined=joined, ports=())
        taker = msgspec.structs.replace(taker, sandbox=sandbox.id, joined="")
        sandbox = msgspec.structs.replace(sandbox, orphan=orphan)
        await state.commit(giver, taker, sandbox, *moved, delete=[e for _, e in held])
        after = self._attachments.sandbox_facts(taker, sandbox)
        await withdraw_wholly(core, difference(after, before), taker.name)
        self._ports.release(giver.id, ports)
        for _, endpoint in dropped:
            self._attachments.release(endpoint)
        await self._naming.republish(taker, [n for n, _ in dropped])
        return taker if wanted is not None else giver


def _satisfies(endpoint: Endpoint, wish: EndpointRequest) -> bool:
    """Whether an endpoint that exists is what a request asks for."""
    addresses = {a.partition("/")[0] for a in endpoint.addresses}
    return (
        {a for a in (wish.ipv4, wish.ipv6) if a} <= addresses
        and wish.mac in (None, endpoint.mac)
        and wish.driver_options.get(INTERFACE_OPTION, endpoint.interface) == endpoint.interface
        and set(wish.link_local) == set(endpoint.request.link_local)
    )
