"""Image configuration documents: reading strangers' and writing new ones (OCI image spec, config.md)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from fairway.model.container import Config
from fairway.model.errors import InvalidParameter
from fairway.runtime.images.layers import EMPTY

Document = dict[str, Any]

_PORTABLE = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels"),
    *("StopSignal", "Healthcheck", "OnBuild", "Shell"),
)
"""The fields of a container's configuration that belong into an image; the others are this run's."""


class _Roots(msgspec.Struct):
    diff_ids: tuple[str, ...] | None = None


class _Step(msgspec.Struct):
    """An entry of the history."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class _Known(msgspec.Struct):
    """What is made use of, by whoever lists images or makes containers of them; all of it may be absent."""

    rootfs: _Roots
    config: Document | None = None
    history: tuple[_Step, ...] | None = None
    created: str | None = None
    author: str | None = None
    comment: str | None = None
    docker_version: str | None = None
    architecture: str | None = None
    variant: str | None = None
    os: str | None = None


def parse(data: bytes) -> Document:
    """A configuration document. Raises InvalidParameter unless it names its layers, and if what it says is of
    the wrong type: an image is shown to all, and one that cannot be shown would hide the others.
    """
    try:
        document = msgspec.json.decode(data, type=Document)
        if not isinstance(document.get("rootfs"), dict):
            raise InvalidParameter("invalid image JSON, no RootFS key")
        known = msgspec.convert(document, _Known)
        given = {key: value for key, value in (known.config or {}).items() if value is not None}
        msgspec.convert(given, Config, strict=False)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid image configuration: {error}") from None
    return document


def diff_ids(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Lowest first."""
    return tuple(document["rootfs"].get("diff_ids") or ())


def created(document: Mapping[str, Any]) -> int:
    """Nanoseconds since the epoch; 0 when the document does not tell or what it tells is no time."""
    text = document.get("created")
    try:
        when = msgspec.convert(text, datetime) if isinstance(text, str) else None
    except msgspec.ValidationError:
        when = None
    return int(when.timestamp()) * 10**9 + when.microsecond * 1000 if when else 0


def timestamp(now: int) -> str:
    """RFC 3339 in UTC with nine digits, from nanoseconds since the epoch."""
    seconds, fraction = divmod(now, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def portable(config: Config) -> Document:
    """The part of a container's configuration that an image keeps, unset fields left out."""
    values = msgspec.to_builtins(config)
    return {key: values[key] for key in _PORTABLE if values.get(key)}


def extended(
    base: Mapping[str, Any] | None,
    *,
    config: Mapping[str, Any],
    diff_id: str,
    now: int,
    architecture: str,
    created_by: str = "",
    comment: str = "",
    author: str = "",
) -> Document:
    """The document of an image that adds one layer (unless it is empty) to ``base``."""
    document: Document = dict(base or {"architecture": architecture, "os": "linux"})
    for stale in ("container", "container_config", "docker_version", "id", "parent"):
        document.pop(stale, None)
    entry = {"created": timestamp(now), "created_by": created_by, "comment": comment, "author": author}
    history = {key: value for key, value in entry.items() if value}
    diffs: Sequence[str] = diff_ids(document) if base else ()
    if diff_id == EMPTY:
        history |= {"empty_layer": True}  # type: ignore[dict-item]
    else:
        diffs = (*diffs, diff_id)
    document |= {
        "created": timestamp(now),
        "config": {key: value for key, value in config.items() if value is not None},
        "rootfs": {"type": "layers", "diff_ids": list(diffs)},
        "history": [*(document.get("history") or ()), history],
    }
    if author:
        document["author"] = author
    return document
