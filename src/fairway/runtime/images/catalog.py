"""The index of images: which there are, their names and their descent. Pure; the store keeps it in a file.

A catalog is immutable: a change makes a new one that replaces the old at once, so readers never wait and
never see half a change. Names are canonical references: ``docker.io/library/busybox:latest`` or
``…@sha256:…``.
"""

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from fairway.model.reference import Reference, parse


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an image beyond its configuration."""

    parent: str = ""
    tagged: int = 0
    """Nanoseconds since the epoch."""


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """Images by id, and image ids by name."""

    images: dict[str, Entry] = {}
    names: dict[str, str] = {}

    def references(self, image: str) -> list[Reference]:
        """All names of an image, sorted."""
        return [parse(name) for name, named in sorted(self.names.items()) if named == image]

    def tags(self, image: str) -> tuple[str, ...]:
        return tuple(r.familiar for r in self.references(image) if not r.digest)

    def digests(self, image: str) -> tuple[str, ...]:
        return tuple(r.familiar for r in self.references(image) if r.digest)

    def children(self, image: str) -> list[str]:
        return [other for other, entry in self.images.items() if entry.parent == image]

    def search(self, prefix: str) -> str:
        """The id with this prefix (with or without ``sha256:``), or nothing if none or several have it."""
        digits = prefix.removeprefix("sha256:")
        found = [i for i in self.images if i.startswith("sha256:" + digits)] if digits else []
        return found[0] if len(found) == 1 else ""

    def with_image(self, image: str, *, parent: str = "") -> "Catalog":
        """An image that is there already stays as it is."""
        return msgspec.structs.replace(self, images={image: Entry(parent=parent), **self.images})

    def without_image(self, image: str) -> "Catalog":
        """Without it and its names."""
        return Catalog(
            images={i: entry for i, entry in self.images.items() if i != image},
            names={name: named for name, named in self.names.items() if named != image},
        )

    def with_name(self, name: Reference, image: str, now: int) -> "Catalog":
        """The name moves from whichever image had it."""
        entry = msgspec.structs.replace(self.images[image], tagged=now)
        return Catalog(images=self.images | {image: entry}, names=self.names | {str(name): image})

    def without_name(self, name: Reference) -> "Catalog":
        return msgspec.structs.replace(self, names={k: v for k, v in self.names.items() if k != str(name)})


def chain_ids(diff_ids: Sequence[str]) -> Iterator[str]:
    """Names of the stacks that the layers form, lowest first (OCI image spec, config.md, ChainID)."""
    chain = ""
    for diff_id in diff_ids:
        chain = f"sha256:{hashlib.sha256(f'{chain} {diff_id}'.encode()).hexdigest()}" if chain else diff_id
        yield chain
