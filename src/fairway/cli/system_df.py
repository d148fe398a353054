"""``system df``: what images, containers and volumes occupy."""

from __future__ import annotations

import sys
import time
from typing import Any

from fairway.cli import container_ls, image_ls, volume
from fairway.cli.command import NONE, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL
from fairway.cli.output import list_format, print_rows, rows_text
from fairway.cli.template import Record
from fairway.cli.units import human_size

_TABLE = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"
_TITLES = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
_IMAGES = (
    "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}"
    "\t{{.Containers}}"
)
_CONTAINERS = (
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}"
    "\t{{.Names}}"
)
_CACHE = (
    "table {{.ID}}\t{{.Type}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t{{.UsageCount}}\t{{.Shared}}"
)
_CACHE_TITLES = {
    "ID": "CACHE ID",
    "Type": "CACHE TYPE",
    "Size": "SIZE",
    "CreatedSince": "CREATED",
    "LastUsedSince": "LAST USED",
    "UsageCount": "USAGE",
    "Shared": "SHARED",
}
_RUNNING = ("running", "paused", "restarting")


def _df(given: Invocation) -> int:
    usage = given.client.get("/system/df")
    form = given.options.text("format")
    if given.options.flag("verbose"):
        if form:
            raise Exit(FAILED, "the format and verbose options conflict")
        return _verbose(usage)
    print_rows(form, _TABLE, _TITLES, [_images(usage), _containers(usage), _volumes(usage), _cache(usage)])
    return OK


def _row(kind: str, total: int, active: int, size: float, reclaimable: float, percent: bool = True) -> Record:
    share = f" ({int(reclaimable / size * 100)}%)" if percent and size > 0 else ""
    return Record(
        "*formatter.diskUsageContext",
        {
            "Type": kind,
            "TotalCount": str(total),
            "Active": str(active),
            "Size": human_size(size),
            "Reclaimable": human_size(reclaimable) + share,
        },
    )


def _images(usage: dict[str, Any]) -> Record:
    images, size = usage.get("Images") or [], usage.get("LayersSize", 0)
    used = sum(
        image["Size"] - image["SharedSize"]
        for image in images
        if image.get("Containers", 0) and image.get("SharedSize", -1) >= 0
    )
    active = sum(image.get("Containers", 0) > 0 for image in images)
    return _row("Images", len(images), active, size, size - used)


def _containers(usage: dict[str, Any]) -> Record:
    containers = usage.get("Containers") or []
    size = sum(container.get("SizeRw") or 0 for container in containers)
    running = [c for c in containers if str(c.get("State", "")).lower() in _RUNNING]
    idle = size - sum(container.get("SizeRw") or 0 for container in running)
    return _row("Containers", len(containers), len(running), size, idle)


def _volumes(usage: dict[str, Any]) -> Record:
    found = [v.get("UsageData") or {"Size": 0, "RefCount": 0} for v in usage.get("Volumes") or ()]
    size = sum(max(data["Size"], 0) for data in found)
    unused = sum(max(data["Size"], 0) for data in found if data["RefCount"] == 0)
    return _row("Local Volumes", len(found), sum(data["RefCount"] > 0 for data in found), size, unused)


def _cache(usage: dict[str, Any]) -> Record:
    records = usage.get("BuildCache") or []
    size = sum(record["Size"] for record in records if not record.get("Shared"))
    idle = sum(r["Size"] for r in records if not r.get("Shared") and not r.get("InUse"))
    return _row(
        "Build Cache", len(records), sum(bool(r.get("InUse")) for r in records), size, idle, percent=False
    )


def _verbose(usage: dict[str, Any]) -> int:
    now = time.time()
    images = [image_ls.rows([image], False, False, now)[0] for image in usage.get("Images") or ()]
    form = _IMAGES
    out = "Images space usage:\n\n" + rows_text(form, form, image_ls.TITLES, images)
    # What a container wrote is its own; what it shares with its image is counted there.
    own = [{**container, "SizeRootFs": 0} for container in usage.get("Containers") or ()]
    rows = [container_ls.row(container, False, now) for container in own]
    form = _CONTAINERS
    out += "\nContainers space usage:\n\n" + rows_text(form, form, container_ls.TITLES, rows)
    volumes = [volume.row(found) for found in usage.get("Volumes") or ()]
    form = "table {{.Name}}\t{{.Links}}\t{{.Size}}"
    out += "\nLocal Volumes space usage:\n\n" + rows_text(form, form, volume.TITLES, volumes)
    # Images are not built here, so there is never a cache: its table is Docker's, without rows.
    out += "\nBuild cache usage: 0B\n\n" + rows_text(_CACHE, _CACHE, _CACHE_TITLES, [])
    sys.stdout.write(out)
    return OK


DF = Command(
    _df,
    "[OPTIONS]",
    "Show fairway disk usage",
    NONE,
    (list_format(), Flag("verbose", BOOL, "Show detailed information on space usage", short="v")),
)
