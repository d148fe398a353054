"""Root file systems of containers for those who look into them or write to them: copies, exports.

One who looks holds the container's lock until it is done, so that the file system is neither unmounted nor
mounted a second time meanwhile. Several look together, under one hold of the lock: else a copy out of a
container that feeds a copy into it would wait for itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fairway.engine.core import Core
from fairway.engine.tasks import to_the_end
from fairway.model.container import Container
from fairway.plan import Overlay, establish


class _Party:
    """Those who look into one container at the same time."""

    def __init__(self) -> None:
        self.members = 0
        self.ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """The directory that the root file system is mounted on."""
        self.left = asyncio.Event()
        self.holding: asyncio.Task[None] | None = None


class Looking:
    """``overlay`` says what to mount, ``unmount`` takes it away, whatever fails."""

    def __init__(
        self,
        core: Core,
        overlay: Callable[[Container], Awaitable[Overlay]],
        unmount: Callable[[Container], Coroutine[Any, Any, None]],
    ) -> None:
        self._core = core
        self._overlay = overlay
        self._unmount = unmount
        self._parties: dict[str, _Party] = {}
        self._mounted: set[str] = set()

    def looked_into(self, container_id: str) -> bool:
        """Whether the root file system of a container that does not run is, or is being, mounted for that."""
        return container_id in self._mounted

    @asynccontextmanager
    async def mounted(self, container: Container) -> AsyncIterator[str]:
        """The container's root file system, mounted while the context lasts."""
        party = self._parties.get(container.id)
        if party is None:
            party = self._parties[container.id] = _Party()
            party.holding = asyncio.get_running_loop().create_task(self._hold(container, party))
        party.members += 1
        try:
            yield await asyncio.shield(party.ready)
        finally:
            party.members -= 1
            if not party.members:
                await self._end(container, party)

    async def _end(self, container: Container, party: _Party) -> None:
        """The last one leaves; who comes later makes a new party, which waits for the lock."""
        assert party.holding is not None
        if self._parties.get(container.id) is party:
            del self._parties[container.id]
        party.left.set()
        if not party.ready.done():
            party.holding.cancel()
        await to_the_end(_ended(party.holding))

    async def _hold(self, container: Container, party: _Party) -> None:
        try:
            async with self._core.locks.hold(f"container/{container.id}", changes=False):
                current = self._core.state.container(container.id)
                overlay = await self._overlay(current)
                if current.state.active:
                    party.ready.set_result(overlay.target)
                    await party.left.wait()
                    return
                self._mounted.add(container.id)
                try:
                    await to_the_end(self._core.kernel.apply(establish([overlay])))
                    party.ready.set_result(overlay.target)
                    await party.left.wait()
                finally:
                    self._mounted.discard(container.id)
                    await to_the_end(self._unmount(container))
        except Exception as error:  # noqa: BLE001  whatever it is, those who wait are to know
            if self._parties.get(container.id) is party:
                del self._parties[container.id]
            party.ready.set_exception(error)
            party.ready.exception()  # nobody may be left to see it


async def _ended(task: "asyncio.Task[None]") -> None:
    await asyncio.wait({task})
