"""Manifests and indexes as strangers write them (OCI image spec, manifest.md and image-index.md).

They stay plain documents, as a pull keeps them byte for byte; what is made use of has the right type.
"""

from typing import Any

import msgspec


class _Platform(msgspec.Struct):
    os: str | None = None
    architecture: str | None = None


class _Descriptor(msgspec.Struct, rename={"media_type": "mediaType"}):
    digest: str = ""
    size: int | None = None
    media_type: str | None = None
    platform: _Platform | None = None
    annotations: dict[str, str] | None = None


class _Document(msgspec.Struct, rename={"media_type": "mediaType"}):
    media_type: str | None = None
    manifests: tuple[_Descriptor, ...] | None = None
    config: _Descriptor | None = None
    layers: tuple[_Descriptor, ...] | None = None


def decode(data: bytes) -> dict[str, Any]:
    """A manifest or an index. Raises ``msgspec.DecodeError``."""
    try:
        document = msgspec.json.decode(data, type=dict[str, Any])
    except RecursionError:
        raise msgspec.DecodeError("JSON is nested too deeply") from None
    msgspec.convert(document, _Document)
    return document
