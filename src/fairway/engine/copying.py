"""Files into and out of a container: ``docker cp``.

The container's lock is held meanwhile, also while a client reads (``looking``; Docker locks likewise). The
API gives up on clients that do not move.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

from fairway.engine.core import Core
from fairway.engine.dependence import network_owner
from fairway.engine.launching import populate
from fairway.engine.lifecycle import Lifecycle
from fairway.model.container import Container
from fairway.model.errors import InvalidParameter, NotFound
from fairway.model.tree import PathStat, Tree, TreeMount


class Copying:
    """Works on containers in any state. A path that is not there raises NotFound, in Docker's words."""

    def __init__(self, core: Core, lifecycle: Lifecycle) -> None:
        self._core = core
        self._lifecycle = lifecycle

    async def describe(self, reference: str, path: str) -> PathStat:
        """What lies at a path."""
        async with self._tree(reference) as (_, tree):
            try:
                return await self._core.runtime.describe(tree, path)
            except NotFound:
                raise _missing(reference, path) from None

    @asynccontextmanager
    async def archive(
        self, reference: str, path: str
    ) -> AsyncIterator[tuple[PathStat, AsyncGenerator[bytes, None]]]:
        """What lies at a path, and an archive of it, which must be read within the context."""
        async with self._tree(reference) as (container, tree), AsyncExitStack() as stack:
            try:
                found = await stack.enter_async_context(self._core.runtime.archive(tree, path))
            except NotFound:
                raise _missing(reference, path) from None
            self._core.events.container(container, "archive-path")
            yield found

    async def extract(
        self, reference: str, path: str, content: AsyncIterator[bytes], *, keep_kinds: bool, own: bool
    ) -> None:
        """Write an archive into a directory; with ``own`` all of it belongs to the container's user.

        See ``Runtime.extract``.
        """
        async with self._tree(reference) as (container, tree):
            user = container.config.user if own else ""
            try:
                await self._core.runtime.extract(tree, path, content, keep_kinds=keep_kinds, user=user)
            except NotFound:
                raise _missing(reference, path) from None
            self._core.events.container(container, "extract-to-dir")

    @asynccontextmanager
    async def _tree(self, reference: str) -> AsyncIterator[tuple[Container, Tree]]:
        found = self._core.state.container(reference)
        async with self._lifecycle.looking.mounted(found) as root:
            container = self._core.state.container(found.id)
            if not container.state.active:  # else its start has done so, and its volumes are its own affair
                async with self._core.locks.hold(f"volumes/{container.id}"):
                    await asyncio.to_thread(populate, self._core.files, container, root)
            mounts = [
                TreeMount(source=m.source, destination=m.destination, read_only=m.read_only)
                for m in container.mounts
                if m.type != "tmpfs"
            ]
            mounts += self._own_files(container)
            ordered = sorted(mounts, key=lambda mount: (mount.destination.count("/"), mount.destination))
            yield (
                container,
                Tree(root=root, mounts=tuple(ordered), read_only=container.host.readonly_rootfs),
            )

    def _own_files(self, container: Container) -> Iterator[TreeMount]:
        """hosts, hostname and resolv.conf, which a container that shares another's network has from that."""
        try:
            owner = network_owner(self._core.state, container)
        except (NotFound, InvalidParameter):
            return
        for name in ("hosts", "hostname", "resolv.conf"):
            yield TreeMount(source=self._core.files.path(owner.id, name), destination=f"/etc/{name}")


def _missing(reference: str, path: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {reference}")
