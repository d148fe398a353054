"""Bringing memory, store and kernel together at start: the same code for a first start, a restart, a crash.

Operations that nobody was told about are rolled back; then the kernel is led from what it holds to what the
state wants (``reconciling``). Containers that ended meanwhile are seen to as if they had just ended, and
removals that were cut off are finished.
"""

import asyncio
from collections.abc import Iterator

import msgspec

from fairway.engine.attachments import Attachments
from fairway.engine.containers import Containers
from fairway.engine.core import Core
from fairway.engine.dependence import by_dependence
from fairway.engine.lifecycle import Lifecycle
from fairway.engine.ports import unpublished
from fairway.engine.reconciling import Reconciler
from fairway.engine.state import Stored
from fairway.model.container import Container
from fairway.model.errors import Fault
from fairway.model.network import Endpoint


class Restore:
    def __init__(
        self,
        core: Core,
        lifecycle: Lifecycle,
        attachments: Attachments,
        containers: Containers,
        reconciler: Reconciler,
    ) -> None:
        self._core = core
        self._reconciler = reconciler
        self._lifecycle = lifecycle
        self._attachments = attachments
        self._containers = containers

    async def roll_back(self) -> None:
        """Undo in the state what no client was told of; the reconciliation then undoes it in the kernel."""
        state = self._core.state
        for intent in state.intents():
            self._core.log.info(
                "rolling back an operation that was interrupted", kind=intent.kind, id=intent.id
            )
            if intent.kind == "network" and intent.id in state.networks:
                await state.commit(delete=[state.networks[intent.id]])
            elif intent.kind == "endpoint" and intent.id in state.endpoints:
                await self._take_back_connection(state.endpoints[intent.id])
            elif intent.kind == "volume":
                await self._take_back_volume(intent.id)
            elif intent.kind == "container" and intent.id in state.containers:
                if intent.before:
                    await self._take_back_update(intent.before)
                else:
                    await self._take_back_start(state.containers[intent.id])
        dangling = list(self._dangling())
        if dangling:
            await state.commit(delete=dangling)
        await state.forget_intents()

    async def _take_back_start(self, container: Container) -> None:
        """As before the start; one that the restart policy had asked for is tried again later."""
        core = self._core
        old = container.state.status
        status = old if old in ("created", "exited", "restarting") else "exited"
        state = msgspec.structs.replace(container.state, status=status, pid=0)
        new = msgspec.structs.replace(container, joined="", state=state)
        if self._lifecycle.sharing.sharers(container.sandbox):
            await core.state.commit(new)
            return
        sandbox = core.state.sandboxes.get(container.sandbox)
        idle = [self._attachments.idle(e) for e in core.state.endpoints_of(container.id)]
        new = msgspec.structs.replace(unpublished(new), sandbox="")
        await core.state.commit(new, *idle, delete=[sandbox] if sandbox else [])

    async def _take_back_connection(self, endpoint: Endpoint) -> None:
        """Not connected; and nothing published, if that was the way in."""
        container = self._core.state.containers.get(endpoint.container_id)
        left = [self._lifecycle.publishing.without(container, endpoint.network_id)] if container else []
        await self._core.state.commit(*left, delete=[endpoint])

    async def _take_back_volume(self, name: str) -> None:
        """It was being made, or removed; one that a container mounts stays."""
        state = self._core.state
        if any(mount.name == name for c in state.containers.values() for mount in c.mounts):
            return
        try:
            await asyncio.to_thread(self._core.files.remove_volume, name)
        except Fault as fault:
            self._core.log.warning("a volume stays", volume=name, error=fault.message)
        if volume := state.volumes.get(name):
            await state.commit(delete=[volume])

    async def _take_back_update(self, container: Container) -> None:
        """As before the update; limits of a process that still runs may have been changed already."""
        await self._core.state.commit(container)
        if not container.state.active:
            return
        try:
            await self._core.runtime.update(container.id, container.host)
        except Fault as fault:
            self._core.log.warning("cannot take back limits", container=container.name, error=fault.message)

    def _dangling(self) -> Iterator[Stored]:
        """Endpoints without their network or container, sandboxes without a container."""
        state = self._core.state
        for endpoint in state.endpoints.values():
            if endpoint.network_id not in state.networks or endpoint.container_id not in state.containers:
                yield endpoint
        used = {container.sandbox for container in state.containers.values()}
        yield from (s for s in state.sandboxes.values() if s.id not in used)

    def reserve(self) -> None:
        """Take into the address book what the state says is in use."""
        for network in self._core.state.networks.values():
            if not network.config_only:
                self._core.ipam.add(network)
        for endpoint in self._core.state.endpoints.values():
            for address in endpoint.addresses:
                self._core.ipam.reserve(self._core.state.networks[endpoint.network_id], address)
        for container in self._core.state.containers.values():
            self._lifecycle.ports.hold(container.id, container.ports)

    async def reconcile(self) -> None:
        """Lead the kernel to the desired state.

        What fails is logged and left to healing: one broken network must not keep the others down.
        """
        await self._reconciler.prepare()
        outcome = await self._reconciler.mend(starting=True)
        if outcome.differences:
            self._core.log.info("bringing the kernel in line with the state", steps=len(outcome.differences))
            for each in outcome.differences:
                self._core.log.debug(
                    "this differs", object=f"{each.kind} {each.name}".strip(), what=each.text
                )
        for fault in outcome.faults:
            self._core.log.warning("while reconciling", error=fault.message)
        if outcome.faults:
            self._core.doubt.set()

    async def idle(self) -> list[str]:
        """Of whom the runtime keeps something although they do not run, or nobody knows them."""
        state, locks = self._core.state, self._core.locks
        kept = await self._core.runtime.kept()
        busy = {id_ for id_ in kept if locks.busy(f"container/{id_}")}
        return [
            id_
            for id_ in kept
            if id_ not in busy and not ((known := state.containers.get(id_)) and known.state.active)
        ]

    async def clear_runtime(self) -> None:
        """Have the runtime drop what it keeps of containers that do not run, or that nobody knows."""
        core = self._core
        for id_ in await self.idle():
            async with core.locks.hold(f"container/{id_}"):
                known = core.state.containers.get(id_)
                if known and known.state.active:  # started meanwhile
                    continue
                try:
                    await (core.runtime.delete(id_) if known else core.runtime.forget(id_))
                except Fault as fault:
                    core.log.warning(
                        "the runtime keeps something of a container", id=id_, error=fault.message
                    )

    async def resume(self) -> None:
        """Watch containers that still run, and see to those that ended while nobody looked."""
        core = self._core
        running = await core.runtime.running()
        for container in by_dependence(core.state):
            if container.state.active:
                if container.id not in running:
                    core.log.info("a container ended meanwhile", container=container.name)
                elif container.state.running:
                    await self._lifecycle.settle_freezer(container)
                self._lifecycle.watch(container)
            elif container.state.status == "removing" or (
                container.host.auto_remove and container.state.status == "exited"
            ):
                await self._remove(container)
            elif self._lifecycle.comes_back(container):
                await self._lifecycle.come_back(container)
            elif container.sandbox:  # others shared it
                self._lifecycle.sharing.left(container.sandbox)

    async def _remove(self, container: Container) -> None:
        try:
            await self._containers.finish_removal(container)
        except Fault as e:
            self._core.log.warning("cannot remove a container", container=container.name, error=e.message)
