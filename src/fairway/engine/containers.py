"""The verbs of containers."""

import asyncio
import signal as signals
from collections.abc import AsyncGenerator, Awaitable, Sequence

import msgspec

from fairway.engine import admission
from fairway.engine import links as linking
from fairway.engine.core import Core
from fairway.engine.creation import Creation, check_free
from fairway.engine.lifecycle import Lifecycle
from fairway.engine.removing import Removing
from fairway.engine.signals import parse_signal
from fairway.engine.updating import Updating
from fairway.engine.volumes import Volumes
from fairway.engine.waiters import Waiters
from fairway.model.container import (
    Container,
    ContainerPaths,
    Exit,
    Health,
    HostConfig,
    State,
)
from fairway.model.errors import Conflict, Fault, InvalidParameter, NotFound, NotModified
from fairway.model.network import Endpoint, Network, Sandbox
from fairway.model.process import LogLine, Streams
from fairway.model.request import ContainerRequest, PruneFilter, WaitCondition

STOP_TIMEOUT = 10


class Containers:
    def __init__(self, core: Core, lifecycle: Lifecycle, volumes: Volumes, waiters: Waiters) -> None:
        self._core = core
        self._lifecycle = lifecycle
        self._volumes = volumes
        self._waiters = waiters
        self._creation = Creation(core, volumes)
        self._updating = Updating(core, lifecycle.publishing)
        self._removing = Removing(core, lifecycle, volumes, waiters, self._kill)
        lifecycle.auto_remove = self._removing.remove_ended

    # Looking.

    def all(self) -> Sequence[Container]:
        """Newest first."""
        return sorted(self._core.state.containers.values(), key=lambda c: c.created, reverse=True)

    def find(self, reference: str) -> Container:
        return self._core.state.container(reference)

    def endpoints(self, container_id: str) -> Sequence[tuple[Network, Endpoint]]:
        return self._core.state.attachments(container_id)

    def sandbox(self, container_id: str) -> Sandbox | None:
        return self._core.state.sandboxes.get(self._core.state.containers[container_id].sandbox)

    def names(self, container_id: str) -> Sequence[str]:
        """With leading slashes: its own, and those that links give it (``/web/db``)."""
        return linking.names(self._core.state, self._core.state.containers[container_id])

    def links(self, container_id: str) -> Sequence[str]:
        """Its links on the default bridge: ``/target:/linker/alias``."""
        return linking.spelled(self._core.state, self._core.state.containers[container_id])

    def paths(self, container_id: str) -> ContainerPaths:
        files = self._core.files
        return ContainerPaths(
            resolv_conf=files.path(container_id, "resolv.conf"),
            hostname=files.path(container_id, "hostname"),
            hosts=files.path(container_id, "hosts"),
            log=self._core.runtime.log_path(container_id),
        )

    def health(self, container_id: str) -> Health | None:
        return self._lifecycle.health.of(container_id)

    async def writable_size(self, reference: str) -> int:
        return await self._core.images.writable_size(self.find(reference).id)

    def changes(self, reference: str) -> Awaitable[Sequence[tuple[str, int]]]:
        container = self.find(reference)
        return self._core.images.changes(container.id, container.image)

    async def processes(self, reference: str) -> Sequence[int]:
        container = self.find(reference)
        self._must_run(container)
        return await self._core.runtime.processes(container.id)

    # Creating.

    async def create(self, request: ContainerRequest) -> tuple[Container, Sequence[str]]:
        """A new container, not started; the second part are warnings.

        Everything is checked before anything is made.
        """
        return await self._creation.create(request)

    # Starting and stopping.

    async def start(self, reference: str) -> None:
        container = self.find(reference)
        async with self._core.locks.hold(f"container/{container.id}"):
            container = self.find(container.id)
            if container.state.status == "paused":
                raise Conflict("cannot start a paused container, try unpause instead")
            if container.state.status == "running":
                raise NotModified(f"container {container.name} is already running")
            if container.state.status in ("removing", "dead"):
                raise Conflict("container is marked for removal and cannot be started")
            await self._start(container)

    async def _start(self, container: Container) -> None:
        old = container.state
        fresh = State(status=old.status, exit_code=old.exit_code, started=old.started, finished=old.finished)
        try:
            await self._lifecycle.start(msgspec.structs.replace(container, state=fresh))
        except Fault:
            current = self._core.state.containers.get(container.id)
            if current and current.host.auto_remove and container.id not in self._lifecycle.staying:
                await self._removing.remove_ended(current)
            raise

    async def stop(self, reference: str, timeout: int | None, signal: str) -> None:
        """Stop signal, then SIGKILL after ``timeout`` seconds (-1: never; None: the container's own)."""
        container = self.find(reference)
        number = parse_signal(signal) if signal else None
        if not container.state.running:
            raise NotModified(f"container {container.name} is already stopped")
        await self._stop(container, timeout, number)
        if container.id in self._core.state.containers:
            self._core.events.container(container, "stop")

    async def _stop(self, container: Container, timeout: int | None, signal: int | None) -> None:
        core = self._core
        async with core.locks.hold(f"container/{container.id}"):
            container = self.find(container.id)
            if container.state.status == "restarting":
                await self._lifecycle.cancel_restart(container)
                return
            if not container.state.running:
                return
            await self._by_user(container)
            exited = self._waiters.register(container, "next-exit")
            number = signal or parse_signal(container.config.stop_signal or "SIGTERM")
            await core.runtime.kill(container.id, number)
            if container.state.status == "paused":
                await self._thaw(container)
            core.events.container(container, "kill", signal=str(number))
        if number == signals.SIGKILL:
            await exited
            return
        if timeout is None:
            timeout = container.config.stop_timeout
        seconds = STOP_TIMEOUT if timeout is None else timeout
        try:
            async with asyncio.timeout(None if seconds < 0 else seconds):
                await asyncio.shield(asyncio.ensure_future(exited))
                return
        except TimeoutError:
            core.log.info("killing a container that did not stop in time", container=container.name)
        core.events.container(container, "kill", signal=str(int(signals.SIGKILL)))
        await core.runtime.kill(container.id, signals.SIGKILL)
        await exited

    async def _kill(self, container: Container) -> None:
        await self._stop(container, 0, signals.SIGKILL)

    async def _by_user(self, container: Container) -> None:
        """Remember that the coming exit is wanted, so that no restart policy acts on it."""
        state = msgspec.structs.replace(container.state, stopped_by_user=True)
        await self._core.state.commit(msgspec.structs.replace(container, state=state))

    async def restart(self, reference: str, timeout: int | None, signal: str) -> None:
        container = self.find(reference)
        number = parse_signal(signal) if signal else None
        try:
            await self._restart(container, timeout, number)
        except Fault as fault:
            raise type(fault)(f"Cannot restart container {reference}: {fault.message}") from fault
        self._core.events.container(container, "restart")

    async def _restart(self, container: Container, timeout: int | None, signal: int | None) -> None:
        self._lifecycle.staying.add(container.id)  # an exit that is part of a restart removes nothing
        try:
            if container.state.running:
                await self._stop(container, timeout, signal)
                self._core.events.container(container, "stop")
            async with self._core.locks.hold(f"container/{container.id}"):
                container = self.find(container.id)
                if not container.state.running:
                    await self._start(container)
        finally:
            self._lifecycle.staying.discard(container.id)

    async def kill(self, reference: str, signal: str) -> None:
        number = parse_signal(signal or "SIGKILL")
        try:
            container = self.find(reference)
        except NotFound as fault:
            raise NotFound(f"Cannot kill container: {reference}: {fault.message}") from None
        async with self._core.locks.hold(f"container/{container.id}"):
            container = self.find(container.id)
            self._must_run(container, f"Cannot kill container: {reference}: ")
            if container.state.status == "restarting":
                await self._lifecycle.cancel_restart(container)
                return
            stop = parse_signal(container.config.stop_signal or "SIGTERM")
            ending = number in (signals.SIGKILL, stop)
            if ending:
                await self._by_user(container)
            exited = self._waiters.register(container, "next-exit")
            await self._core.runtime.kill(container.id, number)
            if ending and container.state.status == "paused":
                await self._thaw(container)
            self._core.events.container(container, "kill", signal=str(number))
        if number == signals.SIGKILL:
            await exited

    async def _thaw(self, container: Container) -> None:
        """Let a frozen container take the signal that ends it; it may be quicker than the thawing."""
        try:
            await self._core.runtime.resume(container.id)
        except Conflict:
            return
        current = self.find(container.id)
        state = msgspec.structs.replace(current.state, status="running")
        await self._core.state.commit(msgspec.structs.replace(current, state=state))
        self._core.events.container(container, "unpause")

    async def pause(self, reference: str) -> None:
        await self._freeze(reference, frozen=True)

    async def unpause(self, reference: str) -> None:
        await self._freeze(reference, frozen=False)

    async def _freeze(self, reference: str, *, frozen: bool) -> None:
        container, ended = self.find(reference), None
        async with self._core.locks.hold(f"container/{container.id}"):
            container = self.find(container.id)
            self._can_freeze(container, frozen=frozen)
            try:
                await self._lifecycle.freeze(container, frozen=frozen)
            except Conflict as fault:  # its process has just ended
                ended = fault
                exited = self._waiters.register(container, "next-exit")
        if ended:
            await exited  # once this is answered, nobody may find it running
            raise ended
        self._core.events.container(container, "pause" if frozen else "unpause")

    def _can_freeze(self, container: Container, *, frozen: bool) -> None:
        if not frozen:
            if container.state.status != "paused":
                raise Conflict(f"Container {container.id} is not paused")
            return
        self._must_run(container)
        if container.state.status == "paused":
            raise Conflict(f"Container {container.id} is already paused")
        if container.state.status == "restarting":
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")

    # Streams.

    def waiter(self, reference: str, condition: WaitCondition) -> Awaitable[Exit]:
        return self._waiters.register(self.find(reference), condition)

    async def attach(self, reference: str) -> Streams:
        """Streams of the process; of one that has not started, from its start on."""
        container = self.find(reference)
        if container.state.status == "paused":
            raise Conflict(f"container {container.id} is paused, unpause the container before attach")
        if container.state.status == "restarting":
            raise Conflict(f"container {container.id} is restarting, wait until the container is running")
        running = container.state.running
        streams: Streams = (
            await self._core.runtime.attach(container.id)
            if running
            else self._lifecycle.pending_streams(container.id)
        )
        self._core.events.container(container, "attach")
        return streams

    def logs(
        self,
        reference: str,
        *,
        stdout: bool,
        stderr: bool,
        since: int,
        until: int,
        tail: int,
        follow: bool,
    ) -> AsyncGenerator[LogLine, None]:
        container = self.find(reference)
        if container.host.log_config.type == "none":
            raise InvalidParameter("configured logging driver does not support reading")
        return self._core.runtime.logs(
            container.id,
            stdout=stdout,
            stderr=stderr,
            since=since,
            until=until,
            tail=tail,
            follow=follow and container.state.running,
        )

    async def resize(self, reference: str, height: int, width: int) -> None:
        container = self.find(reference)
        self._must_run(container)
        await self._core.runtime.resize(container.id, height, width)
        self._core.events.container(container, "resize", height=str(height), width=str(width))

    def _must_run(self, container: Container, prefix: str = "") -> None:
        if not container.state.running:
            raise Conflict(f"{prefix}container {container.id} is not running")

    # Renaming and removing.

    async def rename(self, reference: str, name: str) -> None:
        container = self.find(reference)
        new = admission.check_name(name) if name else ""
        if not new:
            raise InvalidParameter("Neither old nor new names may be empty")
        async with self._core.locks.hold(f"container/{container.id}"):
            container = self.find(container.id)
            if new == container.name:
                raise InvalidParameter("Renaming a container with the same name as its current name")
            check_free(self._core, new)
            renamed = msgspec.structs.replace(container, name=new)
            await self._core.state.commit(renamed)
            await self._lifecycle.publish(renamed)
        self._core.events.container(renamed, "rename", oldName=f"/{container.name}")

    async def update(self, reference: str, changes: HostConfig) -> Sequence[str]:
        """Resources, restart policy, published ports (see ``Updating``); the warnings."""
        return await self._updating.update(reference, changes)

    async def remove(self, reference: str, *, volumes: bool, force: bool, link: bool) -> None:
        """With ``link``, what goes is a link, named ``linker/alias``."""
        await self._removing.remove(reference, volumes=volumes, force=force, link=link)

    async def prune(self, which: PruneFilter) -> tuple[Sequence[str], int]:
        """Remove stopped containers; their ids and the bytes freed."""
        return await self._removing.prune(which)

    async def finish_removal(self, container: Container) -> None:
        """Remove what an earlier daemon was removing, or should have as it ended with ``--rm``."""
        await self._removing.finish(container)
