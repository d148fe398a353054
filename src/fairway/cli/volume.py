"""``volume create``, ``ls`` and ``rm``."""

from __future__ import annotations

from typing import Any

from fairway.api.client import ApiError, quote
from fairway.cli.command import AT_MOST_ONE, NONE, SOME, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit, describe
from fairway.cli.filters import filter_flag, filters
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, LIST, MAP, STRING
from fairway.cli.labels import label_pairs
from fairway.cli.output import labels_text, list_format, print_rows
from fairway.cli.template import Record
from fairway.cli.units import natural

_TABLE = "table {{.Driver}}\t{{.Name}}"
TITLES = {
    "Name": "VOLUME NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Size": "SIZE",
    "Group": "GROUP",
    "Availability": "AVAILABILITY",
    "Status": "STATUS",
}


def _create(given: Invocation) -> int:
    options = given.options
    body = {
        "Name": given.args[0] if given.args else "",
        "Driver": options.text("driver"),
        "DriverOpts": options.pairs("opt"),
        "Labels": label_pairs(options.items("label")),
    }
    given.line(given.client.post("/volumes/create", body=body)["Name"])
    return OK


def row(volume: dict[str, Any]) -> Record:
    """A volume as ``ls`` and ``system df`` show it; size and links are known to the latter only."""
    labels, usage = volume.get("Labels") or {}, volume.get("UsageData") or {}
    return Record(
        "*formatter.volumeContext",
        {
            "Name": volume["Name"],
            "Driver": volume["Driver"],
            "Scope": volume.get("Scope", ""),
            "Mountpoint": volume.get("Mountpoint", ""),
            "Labels": labels_text(labels),
            "Links": str(usage["RefCount"]) if usage else "N/A",
            "Size": _size(usage),
            "Group": "N/A",
            "Availability": "N/A",
            "Status": "N/A",
        },
        {"Label": lambda name: labels.get(name, "")},
    )


def _size(usage: dict[str, Any]) -> str:
    from fairway.cli.units import human_size

    return human_size(usage["Size"]) if usage else "N/A"


def _ls(given: Invocation) -> int:
    found = given.client.get("/volumes", {"filters": filters(given)}) or {}
    volumes = sorted(found.get("Volumes") or [], key=lambda volume: natural(volume["Name"]))
    form = given.options.text("format")
    if given.options.flag("quiet"):
        form = "{{.Name}}" if form in ("", "table") else form
    print_rows(form, _TABLE, TITLES, [row(volume) for volume in volumes])
    return OK


def _rm(given: Invocation) -> int:
    problems = []
    for name in given.args:
        try:
            given.client.request(
                "DELETE", f"/volumes/{quote(name)}", {"force": given.options.flag("force")}
            ).read()
        except ApiError as error:
            problems.append(describe(error))
            continue
        given.line(name)
    if problems:
        raise Exit(FAILED, "\n".join(problems))
    return OK


CREATE = Command(
    _create,
    "[OPTIONS] [VOLUME]",
    "Create a volume",
    AT_MOST_ONE,
    (
        Flag("driver", STRING, "Specify volume driver name", short="d", default="local"),
        Flag("label", LIST, "Set metadata for a volume"),
        Flag("opt", MAP, "Set driver specific options", short="o"),
    ),
)
LS = Command(
    _ls,
    "[OPTIONS]",
    "List volumes",
    NONE,
    (
        filter_flag('Provide filter values (e.g. "dangling=true")'),
        list_format(),
        Flag("quiet", BOOL, "Only display volume names", short="q"),
    ),
)
RM = Command(
    _rm,
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
    SOME,
    (Flag("force", BOOL, "Force the removal of one or more volumes", short="f"),),
    complete="volumes",
)
