"""``image ls`` and ``image history``."""

from __future__ import annotations

import time
from typing import Any

from fairway.api.client import quote
from fairway.cli.clock import local_seconds, local_time
from fairway.cli.command import AT_MOST_ONE, ONE, Command, Invocation
from fairway.cli.exits import OK
from fairway.cli.filters import filter_flag, filters
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, STRING
from fairway.cli.output import list_format, print_rows
from fairway.cli.template import Record
from fairway.cli.units import ellipsis, human_duration, human_size

_NONE = "<none>"
_DIGESTS = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
TITLES = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}


def rows(images: list[dict[str, Any]], full: bool, digests: bool, now: float) -> list[Record]:
    """One row a tag; an image with digests only gets a row a digest, one with neither a row of ``<none>``."""
    found = []
    for image in images:
        for repository, tag, digest in _names(image, digests):
            found.append(_row(image, repository, tag, digest, full, now))
    return found


def _names(image: dict[str, Any], digests: bool) -> list[tuple[str, str, str]]:
    by_name: dict[str, list[str]] = {}
    for text in image.get("RepoDigests") or ():
        name, _, digest = text.partition("@")
        if name != _NONE:
            by_name.setdefault(name, []).append(digest)
    found = []
    tagged = set()
    for text in image.get("RepoTags") or ():
        name, _, tag = text.rpartition(":")
        if name == _NONE:
            continue
        tagged.add(name)
        own = by_name.get(name) if digests else None
        found += [(name, tag, digest) for digest in own or [_NONE]]
    for name, own in by_name.items():
        if name not in tagged:
            found += [(name, _NONE, digest) for digest in (own if digests else [""])]
    return found or [(_NONE, _NONE, _NONE)]


def _row(image: dict[str, Any], repository: str, tag: str, digest: str, full: bool, now: float) -> Record:
    created = image.get("Created", 0)
    return Record(
        "*formatter.imageContext",
        {
            "ID": image["Id"] if full else image["Id"].removeprefix("sha256:")[:12],
            "Repository": repository,
            "Tag": tag,
            "Digest": digest,
            "CreatedSince": lambda: f"{human_duration(now - created)} ago",
            "CreatedAt": lambda: local_time(created),
            "Size": lambda: human_size(image.get("Size", 0), 3),
            "Containers": _count(image.get("Containers", -1)),
            "VirtualSize": lambda: human_size(image.get("Size", 0)),
            "SharedSize": lambda: _shared(image.get("SharedSize", -1)),
            "UniqueSize": lambda: _unique(image),
        },
    )


def _count(number: int) -> str:
    return "N/A" if number == -1 else str(number)


def _shared(size: int) -> str:
    return "N/A" if size == -1 else human_size(size)


def _unique(image: dict[str, Any]) -> str:
    shared = image.get("SharedSize", -1)
    return "N/A" if shared == -1 or image.get("Size", -1) == -1 else human_size(image["Size"] - shared)


def _ls(given: Invocation) -> int:
    options = given.options
    always = {"reference": given.args[0]} if given.args else {}
    query = {"all": options.flag("all"), "filters": filters(given, **always)}
    images = given.client.get("/images/json", query) or []
    form, digests = options.text("format"), options.flag("digests")
    default = "table " + (_DIGESTS if digests else _DIGESTS.replace("{{.Digest}}\t", ""))
    if options.flag("quiet"):
        form = "{{.ID}}" if form in ("", "table") else form
    print_rows(
        form,
        default,
        TITLES,
        rows(images, options.flag("no-trunc"), digests or "Digest" in form, time.time()),
    )
    return OK


_HISTORY = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
HISTORY_TITLES = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


def _history(given: Invocation) -> int:
    options, now = given.options, time.time()
    full, human = options.flag("no-trunc"), options.flag("human")
    # A slash is part of an image's name.
    path = f"/images/{quote(given.args[0]).replace('%2F', '/')}/history"
    layers = given.client.get(path, {"platform": options.text("platform") or None}) or []
    form = options.text("format")
    if options.flag("quiet"):
        form = "{{.ID}}" if form in ("", "table") else form
    titles = HISTORY_TITLES if human else HISTORY_TITLES | {"CreatedSince": "CREATED AT"}
    print_rows(form, _HISTORY, titles, [_layer(layer, full, human, now) for layer in layers])
    return OK


def _layer(layer: dict[str, Any], full: bool, human: bool, now: float) -> Record:
    created, text = layer["Created"], layer["CreatedBy"].replace("\t", " ")
    stamp = local_seconds(created)
    ident = layer["Id"]
    return Record(
        "*image.historyContext",
        {
            "ID": ident if full or ident == "<missing>" else ident.removeprefix("sha256:")[:12],
            "CreatedSince": f"{human_duration(now - created)} ago"
            if human and created > 0
            else stamp
            if not human
            else "N/A",
            "CreatedAt": stamp,
            "CreatedBy": text if full else ellipsis(text, 45),
            "Size": human_size(layer["Size"], 3) if human else str(layer["Size"]),
            "Comment": layer.get("Comment", ""),
        },
    )


LS = Command(
    _ls,
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    AT_MOST_ONE,
    (
        Flag("all", BOOL, "Show all images (default hides intermediate images)", short="a"),
        Flag("digests", BOOL, "Show digests"),
        filter_flag("Filter output based on conditions provided"),
        list_format(),
        Flag("no-trunc", BOOL, "Don't truncate output"),
        Flag("quiet", BOOL, "Only show image IDs", short="q"),
    ),
)
HISTORY = Command(
    _history,
    "[OPTIONS] IMAGE",
    "Show the history of an image",
    ONE,
    (
        list_format(),
        Flag("human", BOOL, "Print sizes and dates in human readable format", short="H", default=True),
        Flag("no-trunc", BOOL, "Don't truncate output"),
        Flag(
            "platform",
            STRING,
            'Show history for the given platform. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
        ),
        Flag("quiet", BOOL, "Only show image IDs", short="q"),
    ),
    complete="images",
)
