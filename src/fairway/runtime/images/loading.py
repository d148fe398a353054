"""``docker load``: every image of an archive, layer by layer, told in Docker's messages.

Layers that the store has are not read again. A tag that another image had moves, and the old one is said to
have lost it.
"""

import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairway.model.reference import short
from fairway.runtime.images import bundle, compression, workspace
from fairway.runtime.images.workspace import in_thread

if TYPE_CHECKING:
    from fairway.runtime.images.store import ImageStore

Message = dict[str, Any]


async def load(store: "ImageStore", archive: AsyncIterator[bytes]) -> AsyncGenerator[Message, None]:
    """Yields progress for each new layer and a ``stream`` line for each name. Raises InvalidParameter."""
    async with workspace.spooled(store.temporary, archive) as path:
        source = await in_thread(_uncompressed, path)
        opened = await in_thread(bundle.Bundle, source, store.architecture)
        try:
            for candidate in await in_thread(opened.candidates):
                async for message in _image(store, opened, candidate, path.with_name("layer")):
                    yield message
        finally:
            opened.close()


def _uncompressed(path: Path) -> Path:
    """The archive as a file that can be read in any order."""
    if compression.kind(path) == "plain":
        return path
    target = path.with_name("plain")
    with workspace.disk_errors(), compression.plain(path) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    path.unlink()
    return target


async def _image(
    store: "ImageStore", opened: bundle.Bundle, candidate: bundle.Candidate, scratch: Path
) -> AsyncGenerator[Message, None]:
    with store.layers.pinned(diff_id for diff_id, _ in candidate.layers):
        for diff_id, member in candidate.layers:
            if store.layers.get(diff_id) is None:
                length = await in_thread(_layer, store, opened, diff_id, member, scratch)
                progress = {"current": length, "total": length}
                yield {"status": "Loading layer", "progressDetail": progress, "id": short(diff_id)}
        before = store.index.catalog
        image = await in_thread(store.index.add, candidate.config, candidate.names, store.now())
    for name in candidate.names:
        old = before.names.get(str(name), image.id)
        if old != image.id:
            moved = f"already exists, renaming the old one with ID {old} to empty string"
            yield {"stream": f"The image {name.familiar} {moved}\n"}
        yield {"stream": f"Loaded image: {name.familiar}\n"}
    if not candidate.names:
        yield {"stream": f"Loaded image ID: {image.id}\n"}


def _layer(store: "ImageStore", opened: bundle.Bundle, diff_id: str, member: str, scratch: Path) -> int:
    """Unpack one layer; the length of its archive."""
    with workspace.disk_errors():
        opened.extract(member, scratch)
        try:
            return store.layers.register(scratch, diff_id).archive
        finally:
            scratch.unlink()
