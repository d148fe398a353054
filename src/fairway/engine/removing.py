"""Removing containers, and who else does: ``--rm``, prune, a daemon that finds a removal cut off.

bequeath the sandbox → commit "removing" → runtime, root file system, files, volumes → commit: all gone
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from fairway.engine.core import Core
from fairway.engine.lifecycle import Lifecycle
from fairway.engine.teardown import record
from fairway.engine.volumes import Volumes
from fairway.engine.waiters import Waiters
from fairway.model.container import Container, Exit, Status
from fairway.model.errors import Conflict, Fault, NotFound
from fairway.model.request import PruneFilter


class Removing:
    """``kill`` ends a container's process and waits for that."""

    def __init__(
        self,
        core: Core,
        lifecycle: Lifecycle,
        volumes: Volumes,
        waiters: Waiters,
        kill: Callable[[Container], Awaitable[None]],
    ) -> None:
        self._core = core
        self._lifecycle = lifecycle
        self._volumes = volumes
        self._waiters = waiters
        self._kill = kill

    async def remove(self, reference: str, *, volumes: bool, force: bool, link: bool) -> None:
        container = self._core.state.container(reference)
        if link:
            await self._lifecycle.links.remove(reference)
            return
        if container.state.running and not force:
            action = "Unpause and then stop" if container.state.status == "paused" else "Stop"
            raise Conflict(
                f'cannot remove container "{container.name}": container is '
                f"{container.state.status}: {action.lower()} the container before removing or force remove"
            )
        while not await self._removed(container, volumes=volumes):
            if not force:
                raise Conflict(f'cannot remove container "{container.name}": it was started again')
            await self._kill(container)

    async def _removed(self, container: Container, *, volumes: bool) -> bool:
        """Remove it unless it runs; whether it is gone."""
        async with self._core.locks.hold(f"container/{container.id}"):
            current = self._core.state.containers.get(container.id)
            if current is None:  # removed by its own --rm
                return True
            if current.state.running:
                return False
            await self._remove(current, volumes=volumes)
            return True

    async def finish(self, container: Container) -> None:
        """Remove what an earlier daemon was removing, or should have as it ended with ``--rm``."""
        async with self._core.locks.hold(f"container/{container.id}"):
            await self._remove(container, volumes=True)  # see there

    async def remove_ended(self, container: Container) -> None:
        """``--rm``: the container and its anonymous volumes; the caller holds the lock."""
        await self._remove(container, volumes=True)

    async def _remove(self, container: Container, *, volumes: bool) -> None:
        try:
            await self._take_away(container, volumes=volumes)
        except Fault as fault:
            self._waiters.stays(container.id, fault)
            raise

    async def _take_away(self, container: Container, *, volumes: bool) -> None:
        """``volumes``: those that are its own go, too. Else it forgets them first, so that a removal which is
        cut off does not need to remember."""
        core = self._core
        if container.sandbox:
            container = await self._lifecycle.sharing.bequeath(container)
        going = _with_status(container, "removing")
        if not volumes:
            going = msgspec.structs.replace(going, mounts=())
        await core.state.commit(going)
        async with self._volumes.going_with(going) as own:
            try:
                await core.runtime.forget(container.id)
                await core.images.discard(container.id)
                await asyncio.to_thread(core.files.remove, container.id)
                for volume in own:
                    await asyncio.to_thread(core.files.remove_volume, volume.name)
                await core.state.commit(delete=[going, *core.state.endpoints_of(container.id), *own])
            except BaseException:  # as in Docker it stays, dead, and can be removed again
                await record(core, _with_status(container, "dead"))
                raise
        self._lifecycle.forget(container.id)
        core.events.container(container, "destroy")
        for volume in own:
            core.events.emit("volume", "destroy", volume.name, {"driver": "local"})
        self._waiters.removed(
            container.id, Exit(code=container.state.exit_code, finished=container.state.finished)
        )

    async def prune(self, which: PruneFilter) -> tuple[Sequence[str], int]:
        """Remove stopped containers; their ids and the bytes freed."""
        removed, freed = [], 0
        newest_first = sorted(self._core.state.containers.values(), key=lambda c: c.created, reverse=True)
        for container in newest_first:
            if container.state.running or not which.admits(container.config.labels, container.created):
                continue
            try:
                size = await self._core.images.writable_size(container.id)
                await self.remove(container.id, volumes=False, force=False, link=False)
            except (Conflict, NotFound):  # started, or removed by someone else, meanwhile
                continue
            except Fault as fault:  # as in Docker, the others go all the same
                self._core.log.warning(
                    "cannot prune a container", container=container.name, error=fault.message
                )
                continue
            removed.append(container.id)
            freed += size
        return removed, freed


def _with_status(container: Container, status: Status) -> Container:
    return msgspec.structs.replace(container, state=msgspec.structs.replace(container.state, status=status))
