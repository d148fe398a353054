"""``ps``, also known as ``container ls``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fairway.cli.clock import local_time
from fairway.cli.command import NONE, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit
from fairway.cli.filters import filter_flag, filters
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, INT
from fairway.cli.output import labels_text, list_format, print_rows
from fairway.cli.port_text import ports_text
from fairway.cli.template import Record, Template, TemplateFailed, TemplateSyntax
from fairway.cli.template.values import NIL
from fairway.cli.units import ellipsis, human_duration, human_size

_TABLE = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
TITLES = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}


def row(container: Mapping[str, Any], full: bool, now: float) -> Record:
    labels = container.get("Labels") or {}
    return Record(
        "*formatter.ContainerContext",
        {
            "ID": container["Id"] if full else container["Id"][:12],
            "Names": lambda: _names(container, full),
            "Image": lambda: _image(container, full),
            "Command": lambda: f'"{container["Command"] if full else ellipsis(container["Command"], 20)}"',
            "CreatedAt": lambda: local_time(container["Created"]),
            "RunningFor": lambda: f"{human_duration(now - container['Created'])} ago",
            "Ports": lambda: ports_text(container.get("Ports") or []),
            "State": container.get("State", ""),
            "Status": container.get("Status", ""),
            "Size": lambda: _size(container),
            "Labels": lambda: labels_text(labels),
            "Mounts": lambda: ",".join(_mounts(container, full)),
            "LocalVolumes": lambda: str(
                sum(mount.get("Driver") == "local" for mount in container.get("Mounts") or ())
            ),
            "Networks": lambda: ",".join(
                sorted((container.get("NetworkSettings") or {}).get("Networks") or {})
            ),
            "Platform": NIL,
        },
        {"Label": lambda name: labels.get(name, "")},
    )


def _names(container: Mapping[str, Any], full: bool) -> str:
    """Its own name, and with ``--no-trunc`` those that links give it, too (``web/db``)."""
    names = [name.removeprefix("/") for name in container.get("Names") or ()]
    return ",".join(name for name in names if full or "/" not in name)


def _image(container: Mapping[str, Any], full: bool) -> str:
    image = str(container.get("Image") or "")
    if not image:
        return "<no image>"
    if full:
        return image
    bare = image.removeprefix("sha256:")
    if len(bare) == 64 and set(bare) <= set("0123456789abcdef"):
        return bare[:12]
    name, at, _ = image.partition("@")
    return name if at else image


def _size(container: Mapping[str, Any]) -> str:
    written = human_size(container.get("SizeRw") or 0, 3)
    total = container.get("SizeRootFs") or 0
    return f"{written} (virtual {human_size(total, 3)})" if total else written


def _mounts(container: Mapping[str, Any], full: bool) -> list[str]:
    names = [mount.get("Name") or mount.get("Source", "") for mount in container.get("Mounts") or ()]
    return names if full else [ellipsis(name, 15) for name in names]


def _shows_size(form: str) -> bool:
    """Whether a format needs sizes, which are costly, found out on an empty row; ``Exit`` for a bad one."""
    if form in ("", "table", "json"):
        return False
    asked: list[bool] = []
    empty = row({"Id": "", "Command": "", "Created": 0}, False, 0)
    probe = Record(empty.type_name, {**empty.fields, "Size": lambda: asked.append(True)}, empty.methods)
    try:
        Template(form).render(probe)
    except TemplateSyntax as error:
        raise Exit(FAILED, f"failed to parse template: {error}") from error
    except TemplateFailed as error:
        raise Exit(FAILED, f"failed to execute template: {error}") from error
    return bool(asked)


def _ls(given: Invocation) -> int:
    options = given.options
    last = 1 if options.flag("latest") and not options.given("last") else options.number("last")
    with_size = options.flag("size") or _shows_size(options.text("format"))
    query = {
        "all": options.flag("all"),
        "limit": last if last > 0 else None,
        "size": with_size,
        "filters": filters(given),
    }
    containers = given.client.get("/containers/json", query) or []
    now = time.time()
    form = options.text("format")
    if options.flag("quiet"):
        form = "{{.ID}}" if form in ("", "table") else form
    default = f"{_TABLE}\t{{{{.Size}}}}" if options.flag("size") else _TABLE
    print_rows(form, default, TITLES, [row(c, options.flag("no-trunc"), now) for c in containers])
    return OK


LS = Command(
    _ls,
    "[OPTIONS]",
    "List containers",
    NONE,
    (
        Flag("all", BOOL, "Show all containers (default shows just running)", short="a"),
        filter_flag("Filter output based on conditions provided"),
        list_format(),
        Flag("last", INT, "Show n last created containers (includes all states)", short="n", default=-1),
        Flag("latest", BOOL, "Show the latest created container (includes all states)", short="l"),
        Flag("no-trunc", BOOL, "Don't truncate output"),
        Flag("quiet", BOOL, "Only display container IDs", short="q"),
        Flag("size", BOOL, "Display total file sizes", short="s"),
    ),
)
