"""The verbs of volumes: named directories that outlive containers.

One that is made for a container is marked until the container is there; anonymous ones go with their
container, in the same transaction. A marked volume that nobody mounts is removed at the next start: what was
being made has not happened, what was being removed has.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec

from fairway.engine.core import Core
from fairway.engine.mounts import VOLUME_NAME
from fairway.engine.teardown import record
from fairway.model.container import Container, Volume
from fairway.model.errors import Conflict, Fault, InvalidParameter, NotFound
from fairway.model.request import PruneFilter, VolumeRequest


class Volumes:
    def __init__(self, core: Core) -> None:
        self._core = core

    def all(self) -> Sequence[Volume]:
        return sorted(self._core.state.volumes.values(), key=lambda v: v.name)

    def find(self, name: str) -> Volume:
        volume = self._core.state.volumes.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume")
        return volume

    def users(self, name: str) -> Sequence[str]:
        """Ids of containers that mount the volume."""
        return [c.id for c in self._core.state.containers.values() if any(m.name == name for m in c.mounts)]

    async def create(self, request: VolumeRequest) -> Volume:
        """A new volume, or the one that is there already under the name, as in Docker."""
        volume, new = await self.begin(request)
        if new:
            try:
                await self._core.state.commit(end=volume)
            except BaseException:
                await self.give_up(volume)
                raise
        return volume

    async def begin(self, request: VolumeRequest, *, anonymous: bool = False) -> tuple[Volume, bool]:
        """Like ``create``, and whether it is new: marked then as being made, until the caller ends that."""
        name = request.name or self._core.identity.id()
        if not VOLUME_NAME.fullmatch(name) or len(name) > 255:
            raise InvalidParameter(
                f'create {name}: "{name}" includes invalid characters for a local volume name, only '
                '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, '
                "use absolute path"
            )
        if request.driver not in ("", "local"):
            raise NotFound(
                f"create {name}: error looking up volume plugin {request.driver}: "
                f'plugin "{request.driver}" not found'
            )
        if request.options:
            raise InvalidParameter(
                f"create {name}: options {', '.join(sorted(request.options))} are not supported: "
                "volumes are plain directories here"
            )
        async with self._core.locks.hold(f"volume/{name}"):
            there = self._core.state.volumes.get(name)
            if there:
                return there, False
            volume = Volume(
                name=name,
                mountpoint="",
                created=self._core.clock.now(),
                labels=request.labels,
                anonymous=anonymous or not request.name,
            )
            await self._core.state.commit(begin=volume)
            try:
                mountpoint = await asyncio.to_thread(self._core.files.create_volume, name)
                volume = msgspec.structs.replace(volume, mountpoint=mountpoint)
                await self._core.state.commit(volume)
            except BaseException:
                await self._discard(volume)
                raise
        self._core.events.emit("volume", "create", name, {"driver": "local"})
        return volume, True

    async def give_up(self, volume: Volume) -> None:
        """Take back what ``begin`` made, unless another container mounts it meanwhile."""
        async with self._core.locks.hold(f"volume/{volume.name}"):
            if self.users(volume.name):
                await record(self._core, end=volume)
                return
            await self._discard(volume)
        self._core.events.emit("volume", "destroy", volume.name, {"driver": "local"})

    async def _discard(self, volume: Volume) -> None:
        try:
            await asyncio.to_thread(self._core.files.remove_volume, volume.name)
        except Fault as fault:  # it stays marked: the next start tries again
            self._core.log.warning("a volume stays", volume=volume.name, error=fault.message)
            self._core.state.displace(volume)
            return
        await record(self._core, delete=[volume], end=volume)

    @contextlib.asynccontextmanager
    async def going_with(self, container: Container) -> AsyncIterator[Sequence[Volume]]:
        """The anonymous volumes that nobody else mounts; meanwhile nobody can come to."""
        volumes = (self._core.state.volumes.get(mount.name) for mount in container.mounts)
        names = sorted({v.name for v in volumes if v and v.anonymous})
        async with contextlib.AsyncExitStack() as locks:
            for name in names:
                await locks.enter_async_context(self._core.locks.hold(f"volume/{name}"))
            yield [
                volume
                for name in names
                if (volume := self._core.state.volumes.get(name)) and self.users(name) == [container.id]
            ]

    async def remove(self, name: str, force: bool) -> None:
        if force and name not in self._core.state.volumes:
            return
        async with self._core.locks.hold(f"volume/{name}"):
            volume = self.find(name)
            users = self.users(name)
            if users:
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
            # Marked: cut off from here on, the next start goes on with it (see ``Restore``).
            await self._core.state.commit(begin=volume)
            try:
                await asyncio.to_thread(self._core.files.remove_volume, name)
            except BaseException:
                await record(self._core, end=volume)
                raise
            await record(self._core, delete=[volume], end=volume)
        self._core.events.emit("volume", "destroy", name, {"driver": "local"})

    async def size(self, name: str) -> int:
        return await asyncio.to_thread(self._core.files.volume_size, name)

    async def prune(self, which: PruneFilter) -> tuple[Sequence[str], int]:
        """Remove unused anonymous volumes, with ``which.all`` named ones, too; names and bytes."""
        removed, freed = [], 0
        for volume in self.all():
            if self.users(volume.name) or not (volume.anonymous or which.all):
                continue
            if not which.admits(volume.labels, volume.created):
                continue
            size = await self.size(volume.name)
            try:
                await self.remove(volume.name, force=False)
            except (Conflict, NotFound):  # taken into use, or removed by someone else, meanwhile
                continue
            except Fault as fault:  # as in Docker, the others go all the same
                self._core.log.warning("cannot prune a volume", volume=volume.name, error=fault.message)
                continue
            removed.append(volume.name)
            freed += size
        return removed, freed
