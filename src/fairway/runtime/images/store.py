"""The image store: what the engine asks of images, put together from the parts in this package.

On disk, under ``root``: ``index.json`` and ``configs/`` (see ``index``), ``layers/`` and ``l/`` (``layers``),
``init/`` (``init_layer``), and ``tmp/`` for everything unfinished, emptied at start. Containers' writable
layers lie elsewhere (``writable``).

Threads do what touches the disk; the event loop only sees it finished. An operation pins the layers that it
relies on, so a removal at the same time cannot take them away, and what a cancelled one leaves behind is
collected by the next removal or start.
"""

import builtins
import functools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fairway.model.container import Config, Container
from fairway.model.errors import NotFound
from fairway.model.image import Image, RootFilesystem
from fairway.model.reference import Reference, parse, tagged
from fairway.runtime import trees
from fairway.runtime.images import configuration, init_layer, packing, saving, stack, workspace
from fairway.runtime.images.busybox import architecture as machine_architecture
from fairway.runtime.images.catalog import Catalog, chain_ids
from fairway.runtime.images.index import Index
from fairway.runtime.images.instructions import apply_changes
from fairway.runtime.images.layers import LayerStore
from fairway.runtime.images.loading import load
from fairway.runtime.images.pulling import pull
from fairway.runtime.images.removal import Record, Removal
from fairway.runtime.images.workspace import in_thread
from fairway.runtime.images.writable import WritableLayers

_KNOWN = 256
"""Stacks of layers whose init layer is remembered: half of what it costs to prepare a root file system."""
Message = dict[str, Any]
"""One progress message of Docker's API, a line of JSON on the wire."""


class ImageStore:
    """Implements ``engine.protocols.Images``; one per data directory."""

    def __init__(
        self,
        root: Path,
        containers: Path,
        targets: Path,
        *,
        architecture: str | None = None,
        insecure_registries: Sequence[str] = (),
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open or make the store; clears what an earlier process left unfinished.

        ``containers`` holds writable layers, ``targets`` the directories to mount root filesystems on.
        ``insecure_registries`` are hosts, host:port or CIDRs that may speak plain HTTP. ``now`` gives
        nanoseconds since the epoch.
        """
        self.temporary = root / "tmp"
        if self.temporary.exists():
            trees.remove(str(self.temporary))
        for path in (root, self.temporary, root / "init"):
            path.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._init = root / "init"
        self.architecture = architecture or machine_architecture()
        self.insecure_registries = tuple(insecure_registries)
        self.now = now
        self.layers = LayerStore(root, self.temporary)
        self.index = Index(root, self.layers)
        self._writable = WritableLayers(containers, targets)
        self._init_layer = functools.lru_cache(_KNOWN)(self._find_init_layer)
        self._collect()

    def list(self) -> Sequence[Image]:
        """All images, the newest first."""
        return sorted(self.index.images.values(), key=lambda image: (-image.created, image.id))

    def find(self, reference: str) -> Image:
        """By name, id or unique id prefix. Raises NotFound, InvalidParameter."""
        return self.index.find(reference)

    def history(self, image: Image) -> Sequence[dict[str, Any]]:
        """API ``ImageHistory``, newest first; ancestors made here have ids, others are ``<missing>``."""
        sizes = iter([layer.size if (layer := self.layers.get(d)) else 0 for d in image.layers])
        entries = [
            {
                "Id": "<missing>",
                "Created": configuration.created(entry) // 10**9,
                "CreatedBy": entry.get("created_by", ""),
                "Tags": None,
                "Size": 0 if entry.get("empty_layer") else next(sizes, 0),
                "Comment": entry.get("comment", ""),
            }
            for entry in image.config.get("history") or ()
        ]
        entries.reverse()
        ancestor: Image | None = image
        for entry in entries:
            if ancestor is None:
                break
            entry |= {"Id": ancestor.id, "Tags": list(ancestor.tags) or None}
            ancestor = self.index.images.get(ancestor.parent)
        return entries

    async def prepare(self, container: str, image: str) -> RootFilesystem:
        """Directories for the container's overlay, kept if there. Raises NotFound."""
        return await in_thread(self._prepare, container, image)

    async def discard(self, container: str) -> None:
        """Remove the writable layer, and image layers that only it kept. Raises Conflict while mounted."""

        def work() -> None:
            with workspace.disk_errors():
                self._writable.discard(container)
                self._collect()

        await in_thread(work)

    async def changes(self, container: str, image: str) -> Sequence[tuple[str, int]]:
        """As ``docker diff``: (path, 0 modified | 1 added | 2 deleted). Raises NotFound."""

        def work() -> Sequence[tuple[str, int]]:
            lower = self._lower(self._stack(container, image))
            upper = self._writable.upper(container)
            with workspace.disk_errors():
                return stack.changes(str(upper), lower) if upper.exists() else ()

        return await in_thread(work)

    async def writable_size(self, container: str) -> int:
        """Bytes; 0 if there is no writable layer."""
        upper = self._writable.upper(container)
        return await in_thread(stack.size, str(upper)) if upper.exists() else 0

    async def tag(self, reference: str, repository: str, tag: str) -> None:
        """Raises NotFound, InvalidParameter."""
        image, name = self.find(reference), tagged(repository, tag)

        def change(catalog: Catalog) -> Catalog:
            if image.id not in catalog.images:
                raise NotFound(f"No such image: {reference}")
            return catalog.with_name(name, image.id, self.now())

        await in_thread(self.index.update, change)

    async def remove(
        self, reference: str, *, force: bool, prune: bool, used: Sequence[Container]
    ) -> Sequence[Record]:
        """Untag or delete; see ``removal``. Raises NotFound, Conflict."""

        def work(removal: Removal) -> None:
            image = self.find(reference)
            removal.remove(image.id, reference, force=force, prune=prune)

        return await in_thread(self._remove, work, used)

    async def prune(
        self, *, dangling: bool, used: Sequence[Container], accept: Callable[[Image], bool]
    ) -> tuple[Sequence[Record], int]:
        """Remove unused images; the records and the bytes of the layers that went."""
        sizes: dict[str, int] = {}

        def work(removal: Removal) -> None:
            for image in self.index.images.values():
                found = [layer.size if (layer := self.layers.get(d)) else 0 for d in image.layers]
                sizes.update(zip(chain_ids(image.layers), found, strict=True))
            removal.prune(dangling=dangling, accept=accept)

        records = await in_thread(self._remove, work, used)
        return records, sum(sizes.get(what, 0) for kind, what in records if kind == "Deleted")

    async def load(
        self, archive: AsyncIterator[bytes], *, quiet: bool = False
    ) -> AsyncGenerator[Message, None]:
        """Images of an archive; see ``loading``. Raises InvalidParameter."""
        async for message in load(self, archive):
            if not quiet or "stream" in message:
                yield message

    async def import_(
        self, archive: AsyncIterator[bytes], repository: str, tag: str, changes: Sequence[str], message: str
    ) -> AsyncGenerator[Message, None]:
        """One layer and a configuration made of ``changes``. Raises InvalidParameter."""
        names = [tagged(repository, tag)] if repository else []
        config = apply_changes({}, changes)
        async with workspace.spooled(self.temporary, archive) as path:
            image = await in_thread(
                self._add_layer,
                path,
                None,
                names,
                {"config": config, "comment": message or "Imported from -"},
            )
        yield {"status": image.id}

    async def pull(
        self, repository: str, tag: str, *, platform: str, auth: Mapping[str, str] | None
    ) -> AsyncGenerator[Message, None]:
        """From a registry; see ``pulling``. Raises NotFound, InvalidParameter, System."""
        async for message in pull(self, repository, tag, platform=platform, auth=auth):
            yield message

    async def save(self, references: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """An archive; a repository without tag stands for all its tags. Raises NotFound before any byte."""
        images = await in_thread(self._saved, references)
        with self.layers.pinned(d for saved in images for d in saved.image.layers):
            chunks = saving.archive(images, self.layers)
            try:
                while (chunk := await in_thread(next, chunks, None)) is not None:
                    yield chunk
            finally:
                await in_thread(chunks.close)

    async def export(self, root: str) -> AsyncGenerator[bytes, None]:
        """A mounted root filesystem as tar. Raises System."""
        async for chunk in packing.stream(root):
            yield chunk

    async def commit(
        self,
        container: Container,
        config: Config,
        *,
        changes: Sequence[str] = (),
        repository: str,
        tag: str,
        comment: str,
        author: str,
    ) -> Image:
        """The container's layers plus its writable one. Raises InvalidParameter, NotFound, System."""
        names = [tagged(repository, tag)] if repository else []
        portable = apply_changes(configuration.portable(config), changes)
        base = self.index.images.get(container.image)
        if base is None:
            raise NotFound(f"No such image: {container.image}")
        details = {
            "config": portable,
            "comment": comment,
            "author": author,
            "created_by": " ".join(container.config.cmd or ()),
        }
        async with workspace.directory(self.temporary) as directory:
            path = directory / "layer.tar"
            upper = self._writable.upper(container.id)
            if upper.exists():
                await packing.write(str(upper), path)
            else:
                path.write_bytes(bytes(1024))
            return await in_thread(self._add_layer, path, base, names, details)

    def _add_layer(
        self, path: Path, base: Image | None, names: Sequence[Reference], details: Mapping[str, Any]
    ) -> Image:
        """An image of ``base`` and the layer in the archive. Blocks."""
        below = base.layers if base else ()
        with self.layers.pinned(below), workspace.disk_errors():
            layer = self.layers.register(path)
            with self.layers.pinned([layer.diff_id]):
                document = configuration.extended(
                    base.config if base else None,
                    diff_id=layer.diff_id,
                    now=self.now(),
                    architecture=self.architecture,
                    **details,
                )
                return self.index.add(
                    msgspec.json.encode(document), names, self.now(), parent=base.id if base else ""
                )

    def _prepare(self, container: str, image: str) -> RootFilesystem:
        diff_ids = self._stack(container, image)
        with self.layers.pinned(diff_ids), workspace.disk_errors():
            lower = self._lower(diff_ids)
            self._writable.create(container, diff_ids)
        return RootFilesystem(
            target=str(self._writable.target(container)),
            lower=lower,
            upper=str(self._writable.upper(container)),
            work=str(self._writable.work(container)),
        )

    def _stack(self, container: str, image: str) -> Sequence[str]:
        """Diff ids below the container, which may have outlived its image."""
        known = self._writable.lower(container)
        return self.find(image).layers if known is None else known

    def _lower(self, diff_ids: Sequence[str]) -> tuple[str, ...]:
        return (self._init_layer(tuple(diff_ids)), *self.layers.lower(diff_ids))

    def _find_init_layer(self, diff_ids: tuple[str, ...]) -> str:
        """Looks into all the layers, and finds the same each time: they are named by their content."""
        return init_layer.ensure(self.layers.lower(diff_ids), self._init, self.temporary)

    def _remove(self, work: Callable[[Removal], None], used: Sequence[Container]) -> Sequence[Record]:
        records: list[Record] = []

        def change(catalog: Catalog) -> Catalog:
            removal = Removal(catalog, self.index.images, used)
            work(removal)
            records.extend(removal.records)
            return removal.catalog

        with workspace.disk_errors():
            self.index.update(change)
            self._collect()
        return records

    def _saved(self, references: Sequence[str]) -> builtins.list[saving.Saved]:
        """Images in the order asked, each once, with all tags asked for."""
        tags: dict[str, dict[str, Reference]] = {}
        for reference in references:
            image = self.find(reference)
            asked = tags.setdefault(image.id, {})
            if self.index.catalog.search(reference) == image.id:
                continue
            name = parse(reference)
            if name.tag:
                asked[str(name)] = name
            elif not name.digest:
                for other, owner in self.index.catalog.names.items():
                    tag = parse(other)
                    if tag.name == name.name and tag.tag:
                        tags.setdefault(owner, {})[other] = tag
        return [
            saving.Saved(self.index.images[i], self.index.document(i), tuple(names.values()))
            for i, names in tags.items()
        ]

    def _collect(self) -> None:
        self.layers.collect(lambda: self.index.referenced() | self._writable.referenced())
