"""Reading image archives: those of ``docker save``, old and new, and OCI image layouts.

``manifest.json`` (Docker's) is preferred, as it names configuration, layers and tags directly; all releases
of Docker since 1.10 write it, the newer ones beside an OCI layout. Without it ``index.json`` is followed to
the manifest for this architecture (OCI image spec, image-layout.md). Archives are read in place: members are
found by name once, content is copied out only for layers that the store lacks.
"""

import contextlib
import posixpath
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fairway.model.errors import InvalidParameter
from fairway.model.reference import Reference, parse
from fairway.runtime.images import configuration, manifest
from fairway.runtime.images.strict_tar import BadArchive, StrictTarInfo

_DOCUMENT_LIMIT = 8 << 20
"""Bytes; configurations and manifests are kept in memory."""
_IMAGE_NAME = "io.containerd.image.name"
_REF_NAME = "org.opencontainers.image.ref.name"


_T = TypeVar("_T")


class Candidate(msgspec.Struct, frozen=True):
    """An image in the archive: its configuration as written, its layers' diff ids and members, its names."""

    config: bytes
    layers: tuple[tuple[str, str], ...]
    names: tuple[Reference, ...]


class _DockerEntry(msgspec.Struct, rename="pascal"):
    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


_entries = msgspec.json.Decoder(list[_DockerEntry])


class Bundle:
    """An opened archive."""

    def __init__(self, path: Path, architecture: str) -> None:
        """Read the directory of a plain tar file. Raises InvalidParameter when it is damaged or none."""
        self._architecture = architecture
        try:
            with contextlib.ExitStack() as opened:
                archive = opened.enter_context(tarfile.open(path, "r:", tarinfo=StrictTarInfo))
                self._members = {posixpath.normpath(m.name): m for m in archive}
                opened.pop_all()
            self._archive = archive
        except (BadArchive, tarfile.TarError) as error:
            text = str(error) if isinstance(error, BadArchive) else "unexpected EOF"
            raise InvalidParameter(f"Error processing tar file(exit status 1): {text}") from None

    def close(self) -> None:
        self._archive.close()

    def candidates(self) -> list[Candidate]:
        """Raises InvalidParameter."""
        if "manifest.json" in self._members:
            entries = self._document("manifest.json", _entries.decode)
            return [self._candidate(e.config, e.layers or [], _names(e.repo_tags or [])) for e in entries]
        if "index.json" in self._members:
            return self._layout()
        raise InvalidParameter("invalid archive: does not contain a manifest.json")

    def extract(self, name: str, target: Path) -> None:
        """Copy a member's content to a file. Raises InvalidParameter when it is cut short."""
        content = self._archive.extractfile(self._member(name))
        if content is None:
            raise InvalidParameter(f"invalid archive: {name} is not a file")
        try:
            with target.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
        except tarfile.ReadError:
            raise InvalidParameter("unexpected EOF") from None

    def _layout(self) -> list[Candidate]:
        found = []
        for descriptor in self._document("index.json", manifest.decode).get("manifests") or []:
            document = self._manifest(descriptor)
            notes = descriptor.get("annotations") or {}
            name = notes.get(_IMAGE_NAME) or notes.get(_REF_NAME, "")
            # A bare tag ("latest") does not say of which repository.
            names = _names([name]) if ":" in name or "/" in name else ()
            layers = [_blob(layer) for layer in document.get("layers") or []]
            found.append(self._candidate(_blob(document.get("config") or {}), layers, names))
        if not found:
            raise InvalidParameter("invalid archive: index.json names no image")
        return found

    def _manifest(self, descriptor: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
        """The manifest that a descriptor leads to, through indexes to this architecture."""
        document: Mapping[str, Any] = self._document(_blob(descriptor), manifest.decode)
        choices = document.get("manifests")
        if choices is None:
            return document
        if depth > 3:
            raise InvalidParameter("invalid archive: indexes nested too deeply")
        return self._manifest(choose(choices, self._architecture), depth + 1)

    def _candidate(self, config: str, layers: list[str], names: tuple[Reference, ...]) -> Candidate:
        data = self._read(config)
        diffs = configuration.diff_ids(configuration.parse(data))
        if len(diffs) != len(layers):
            raise InvalidParameter(
                f"invalid manifest, layers length mismatch: expected {len(diffs)}, got {len(layers)}"
            )
        return Candidate(data, tuple(zip(diffs, layers, strict=True)), names)

    def _document(self, name: str, decode: Callable[[bytes], _T]) -> _T:
        try:
            return decode(self._read(name))
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidParameter(f"invalid archive: {name}: {error}") from None

    def _read(self, name: str) -> bytes:
        member = self._member(name)
        content = self._archive.extractfile(member)
        if content is None or member.size > _DOCUMENT_LIMIT:
            raise InvalidParameter(f"invalid archive: {name} is not a document")
        return content.read()

    def _member(self, name: str) -> tarfile.TarInfo:
        """The member with content: older archives share layers between images by links."""
        path = posixpath.normpath(name)
        for _ in range(8):
            member = self._members.get(path)
            if member is None:
                break
            if member.issym():
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
            elif member.islnk():
                path = posixpath.normpath(member.linkname)
            else:
                return member
        raise InvalidParameter(f"invalid archive: {name} does not exist")


def choose(descriptors: list[dict[str, Any]], architecture: str, os_name: str = "linux") -> dict[str, Any]:
    """The descriptor of an index for a platform. Raises InvalidParameter as Docker does."""
    for descriptor in descriptors:
        platform = descriptor.get("platform") or {}
        if (platform.get("os"), platform.get("architecture")) == (os_name, architecture):
            return descriptor
    if len(descriptors) == 1 and not descriptors[0].get("platform"):
        return descriptors[0]
    raise InvalidParameter(f"no matching manifest for {os_name}/{architecture} in the manifest list entries")


def _blob(descriptor: Mapping[str, Any]) -> str:
    return "blobs/" + str(descriptor.get("digest", "")).replace(":", "/")


def _names(texts: list[str]) -> tuple[Reference, ...]:
    return tuple(parse(text).with_default_tag() for text in texts)
