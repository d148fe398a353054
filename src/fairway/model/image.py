"""Images as the store keeps them: configuration by id, layers by diff id."""

from typing import Any

import msgspec


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One image. ``config`` is the OCI/Docker image configuration document as loaded, unchanged."""

    id: str
    """``sha256:`` and the digest of the configuration document."""
    config: dict[str, Any]
    layers: tuple[str, ...]
    """diff ids (``sha256:…``), lowest first."""
    tags: tuple[str, ...]
    """``name:tag`` in familiar form (``busybox:latest``, ``localhost:5000/a/b:1``)."""
    digests: tuple[str, ...] = ()
    """``name@sha256:…`` of what was pulled."""
    size: int = 0
    """Sum of the layers' sizes, unpacked archives, bytes."""
    layer_sizes: tuple[int, ...] = ()
    """Of each of the layers, in their order."""
    created: int = 0
    """Nanoseconds since the epoch, from the configuration."""
    tagged: int = 0
    """When it was last tagged, nanoseconds."""
    parent: str = ""
    """Id of the image that this one was committed from, on this host; empty otherwise."""


class RootFilesystem(msgspec.Struct, frozen=True, kw_only=True):
    """What to mount as a container's root: an overlay at ``target``, ``lower`` topmost first.

    All directories exist. ``lower`` paths are short, so that the mount options of a deep image fit a page.
    """

    target: str
    lower: tuple[str, ...]
    upper: str
    work: str
