"""``docker pull``: resolve, fetch, unpack, name, and tell about it in Docker's messages.

Layers that the store has already are reported so and not unpacked again; an image that is complete is not
fetched at all.
"""

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairway.model.errors import InvalidParameter, NotFound, System
from fairway.model.reference import Reference, parse, short
from fairway.runtime.images import configuration, workspace
from fairway.runtime.images.registry import Manifest, Registry, blob
from fairway.runtime.images.workspace import in_thread

if TYPE_CHECKING:
    from fairway.runtime.images.store import ImageStore

Message = dict[str, Any]


async def pull(
    store: "ImageStore", repository: str, tag: str, *, platform: str, auth: Mapping[str, str] | None
) -> AsyncGenerator[Message, None]:
    """``tag`` may be a digest; if it is empty and the repository carries none, all tags are pulled."""
    reference = _reference(repository, tag)
    architecture = _architecture(platform, store.architecture)

    def registry(name: Reference) -> Registry:
        return Registry(
            name,
            auth,
            architecture=architecture,
            temporary=store.temporary,
            insecure=store.insecure_registries,
        )

    names = [reference]
    if not reference.tag and not reference.digest:
        names = [reference.with_tag(found) for found in await registry(reference).tags()]
    if not names:
        raise NotFound(f"repository {reference.familiar_name} not found: it has no tags")
    for name in names:
        async for message in _pull_one(store, name, registry(name)):
            yield message


def _reference(repository: str, tag: str) -> Reference:
    reference = parse(repository)
    if not tag:
        return reference
    return reference.with_digest(tag) if ":" in tag else reference.with_tag(tag)


def _architecture(platform: str, default: str) -> str:
    """Of ``linux/arm64/v8`` or ``arm64``. Raises InvalidParameter for another operating system."""
    if not platform:
        return default
    first, _, rest = platform.partition("/")
    if rest and first != "linux":
        raise InvalidParameter(f'operating system "{first}" is not supported')
    return rest.partition("/")[0] or (default if first == "linux" else first)


async def _pull_one(
    store: "ImageStore", name: Reference, registry: Registry
) -> AsyncGenerator[Message, None]:
    manifest = await registry.resolve()
    yield {"status": f"Pulling from {name.path}", "id": name.tag or name.digest}
    names = [name.with_digest(manifest.digest)]
    if name.tag:
        names.append(name.with_tag(name.tag))
    known = store.index.images.get(manifest.config)
    catalog = store.index.catalog
    current = known is not None and all(catalog.names.get(str(n)) == known.id for n in names)
    if known is not None:
        await in_thread(store.index.add, store.index.document(known.id), names, store.now())
    else:
        async with workspace.directory(store.temporary) as directory:
            async for message in _transfer(store, registry, manifest, directory / "image", names):
                yield message
    yield {"status": f"Digest: {manifest.digest}"}
    outcome = "Image is up to date for" if current else "Downloaded newer image for"
    yield {"status": f"Status: {outcome} {name.familiar}"}


async def _transfer(
    store: "ImageStore", registry: Registry, manifest: Manifest, directory: Path, names: list[Reference]
) -> AsyncGenerator[Message, None]:
    for digest in manifest.layers:
        yield _layer("Pulling fs layer", digest)
    async for digest in registry.fetch(manifest, directory):
        yield _layer("Download complete", digest)
    document = await in_thread(blob(directory, manifest.config).read_bytes)
    diff_ids = configuration.diff_ids(configuration.parse(document))
    if len(diff_ids) != len(manifest.layers):
        raise System(f"layers of {manifest.pinned} do not match its configuration")
    with store.layers.pinned(diff_ids):
        for digest, diff_id in zip(manifest.layers, diff_ids, strict=True):
            if store.layers.get(diff_id) is not None:
                yield _layer("Already exists", digest)
                continue
            await in_thread(store.layers.register, blob(directory, digest), diff_id)
            yield _layer("Pull complete", digest)
        await in_thread(store.index.add, document, names, store.now())


def _layer(status: str, digest: str) -> Message:
    return {"status": status, "progressDetail": {}, "id": short(digest)}
