"""What is made of a container's file system: an image (commit), an archive (export)."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress

import msgspec

from fairway.engine.core import Core
from fairway.engine.lifecycle import Lifecycle
from fairway.engine.merge import environment
from fairway.model.container import Config, Container
from fairway.model.errors import Conflict


class Snapshots:
    def __init__(self, core: Core, lifecycle: Lifecycle) -> None:
        self._core = core
        self._lifecycle = lifecycle

    async def export(self, reference: str) -> AsyncGenerator[bytes, None]:
        """The container's file system as a tar stream."""
        return self._export(self._core.state.container(reference))

    async def _export(self, container: Container) -> AsyncGenerator[bytes, None]:
        async with (
            self._lifecycle.looking.mounted(container) as root,
            aclosing(self._core.images.export(root)) as chunks,
        ):
            async for chunk in chunks:
                yield chunk

    async def commit(
        self,
        reference: str,
        *,
        config: Config | None,
        changes: Sequence[str],
        repository: str,
        tag: str,
        comment: str,
        author: str,
        pause: bool,
    ) -> str:
        """A new image from the container's changes; returns its id."""
        container = self._core.state.container(reference)
        async with self._core.locks.hold(f"container/{container.id}", changes=False):
            container = self._core.state.container(container.id)
            freeze = pause and container.state.status == "running" and await self._frozen(container.id)
            try:
                image = await self._core.images.commit(
                    container,
                    self._committed(container, config),
                    changes=changes,
                    repository=repository,
                    tag=tag,
                    comment=comment,
                    author=author,
                )
            finally:
                if freeze:
                    with suppress(Conflict):  # it was ending already when it was frozen
                        await self._core.runtime.resume(container.id)
        self._core.events.container(container, "commit", comment=comment, imageID=image.id)
        return image.id

    async def _frozen(self, container_id: str) -> bool:
        """Pause it; false when its process has just ended, which holds the files still just as well."""
        try:
            await self._core.runtime.pause(container_id)
        except Conflict:
            return False
        return True

    def _committed(self, container: Container, asked: Config | None) -> Config:
        """The image's configuration: the container's, under what the request gives."""
        if asked is None:
            return container.config
        given: Mapping[str, object] = {
            name: value
            for name in Config.__struct_fields__
            if (value := getattr(asked, name)) and name not in ("env", "labels")
        }
        merged = msgspec.structs.replace(container.config, **given)
        return msgspec.structs.replace(
            merged,
            env=environment(asked.env, container.config.env),
            labels={**container.config.labels, **asked.labels},
        )
