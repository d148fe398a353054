"""Writing image archives: Docker's format since 25, an OCI image layout with ``manifest.json`` beside it.

Layers go in uncompressed, named by diff id, so each is written once however many images share it, and the
same images always give the same bytes. Everything is produced as a stream of chunks; nothing is staged.
"""

import hashlib
import tarfile
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import msgspec

from fairway.model.errors import NotFound
from fairway.model.image import Image
from fairway.model.reference import Reference
from fairway.runtime.images.layers import CHUNK, LayerStore

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_INDEX = "application/vnd.oci.image.index.v1+json"


class Saved(msgspec.Struct, frozen=True):
    """One image to write: its configuration's bytes, and the tags asked for."""

    image: Image
    config: bytes
    tags: tuple[Reference, ...]


def archive(images: Sequence[Saved], layers: LayerStore) -> Generator[bytes, None, None]:
    """The archive in chunks. Blocks while reading layers. Raises NotFound when a layer is gone."""
    for directory in ("blobs", "blobs/sha256"):
        yield _header(directory, tarfile.DIRTYPE, 0o755, 0)
    written: set[str] = set()
    for diff_id in dict.fromkeys(d for saved in images for d in saved.image.layers):
        yield from _layer(diff_id, layers)
        written.add(diff_id)
    descriptors = []
    for saved in images:
        manifest = _encode(_manifest(saved, layers))
        for blob in (saved.config, manifest):
            digest = _digest(blob)
            if digest not in written:
                yield from _file(_path(digest), blob)
                written.add(digest)
        descriptors += _descriptors(saved, manifest)
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": descriptors}
    yield from _file("index.json", _encode(index))
    yield from _file("manifest.json", _encode([_docker_entry(saved, layers) for saved in images]))
    yield from _file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    if repositories := _repositories(images):
        yield from _file("repositories", _encode(repositories))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _layer(diff_id: str, layers: LayerStore) -> Iterator[bytes]:
    layer = layers.get(diff_id)
    if layer is None:
        raise NotFound(f"layer {diff_id} does not exist")
    yield _header(_path(diff_id), tarfile.REGTYPE, 0o644, layer.archive)
    with layers.archive(diff_id) as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
    yield bytes(-layer.archive % tarfile.BLOCKSIZE)


def _manifest(saved: Saved, layers: LayerStore) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": _digest(saved.config), "size": len(saved.config)},
        "layers": _layer_descriptors(saved, layers),
    }


def _layer_descriptors(saved: Saved, layers: LayerStore) -> list[dict[str, Any]]:
    return [
        {"mediaType": _LAYER, "digest": diff_id, "size": layer.archive}
        for diff_id in saved.image.layers
        if (layer := layers.get(diff_id))
    ]


def _descriptors(saved: Saved, manifest: bytes) -> list[dict[str, Any]]:
    """One for each tag, or one without a name."""
    plain = {"mediaType": _MANIFEST, "digest": _digest(manifest), "size": len(manifest)}
    names = [
        {"io.containerd.image.name": str(tag), "org.opencontainers.image.ref.name": tag.tag}
        for tag in saved.tags
    ]
    return [plain | {"annotations": name} for name in names] or [plain]


def _docker_entry(saved: Saved, layers: LayerStore) -> dict[str, Any]:
    return {
        "Config": _path(_digest(saved.config)),
        "RepoTags": [tag.familiar for tag in saved.tags] or None,
        "Layers": [_path(diff_id) for diff_id in saved.image.layers],
        "LayerSources": {entry["digest"]: entry for entry in _layer_descriptors(saved, layers)},
    }


def _repositories(images: Sequence[Saved]) -> dict[str, dict[str, str]]:
    """The legacy index: repository → tag → top layer."""
    found: dict[str, dict[str, str]] = {}
    for saved in images:
        for tag in saved.tags:
            top = saved.image.layers[-1] if saved.image.layers else saved.image.id
            found.setdefault(tag.familiar_name, {})[tag.tag] = top.removeprefix("sha256:")
    return found


def _file(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, tarfile.REGTYPE, 0o644, len(data)) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _header(name: str, kind: bytes, mode: int, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry.tobuf(tarfile.PAX_FORMAT)


def _path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value)
