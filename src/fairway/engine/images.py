"""The verbs of images: the image store, knowing which containers use what, with events."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any

from fairway.engine.core import Core
from fairway.engine.merge import image_config
from fairway.model.image import Image
from fairway.model.request import PruneFilter


class ImageVerbs:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._store = core.images

    def all(self) -> Sequence[Image]:
        return self._store.list()

    def find(self, reference: str) -> Image:
        return self._store.find(reference)

    def history(self, reference: str) -> Sequence[dict[str, Any]]:
        return self._store.history(self.find(reference))

    def users(self, image_id: str) -> int:
        return sum(c.image == image_id for c in self._core.state.containers.values())

    async def tag(self, reference: str, repository: str, tag: str) -> None:
        image = self.find(reference)
        await self._store.tag(reference, repository, tag)
        self._event("tag", image.id, f"{repository}:{tag or 'latest'}")

    async def remove(self, reference: str, force: bool, noprune: bool) -> Sequence[tuple[str, str]]:
        outcome = await self._store.remove(
            reference, force=force, prune=not noprune, used=tuple(self._core.state.containers.values())
        )
        self._report(outcome)
        return outcome

    async def prune(self, which: PruneFilter) -> tuple[Sequence[tuple[str, str]], int]:
        outcome, freed = await self._store.prune(
            dangling=not which.all,
            used=tuple(self._core.state.containers.values()),
            accept=lambda image: which.admits(image_config(image).labels, image.created),
        )
        self._report(outcome)
        return outcome, freed

    async def load(self, archive: AsyncIterator[bytes]) -> AsyncGenerator[dict[str, Any], None]:
        async for message in self._store.load(archive):
            yield message
            name = str(message.get("stream", "")).strip().partition(": ")[2]
            if name:
                self._event("load", self.find(name).id, name)

    async def import_(
        self, archive: AsyncIterator[bytes], repository: str, tag: str, changes: Sequence[str], message: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        async for progress in self._store.import_(archive, repository, tag, changes, message):
            yield progress
            status = str(progress.get("status", ""))
            if status.startswith("sha256:"):
                self._event("import", status, status)

    async def pull(
        self, repository: str, tag: str, *, platform: str, auth: Mapping[str, str] | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        async for message in self._store.pull(repository, tag, platform=platform, auth=auth):
            yield message
        self._event("pull", f"{repository}:{tag or 'latest'}", f"{repository}:{tag or 'latest'}")

    def save(self, references: Sequence[str]) -> AsyncGenerator[bytes, None]:
        for reference in references:
            self.find(reference)
        return self._store.save(references)

    def _event(self, action: str, id_: str, name: str) -> None:
        self._core.events.emit("image", action, id_, {"name": name})

    def _report(self, outcome: Sequence[tuple[str, str]]) -> None:
        for action, what in outcome:
            self._event("untag" if action == "Untagged" else "delete", what, what)
