"""``network ls``."""

from __future__ import annotations

from typing import Any

from fairway.cli.command import NONE, Command, Invocation
from fairway.cli.exits import OK
from fairway.cli.filters import filter_flag, filters
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL
from fairway.cli.output import labels_text, list_format, print_rows
from fairway.cli.template import Record
from fairway.cli.units import natural

_TABLE = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}"
_TITLES = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}


def _row(network: dict[str, Any], full: bool) -> Record:
    labels = network.get("Labels") or {}
    return Record(
        "*network.networkContext",
        {
            "ID": network["Id"] if full else network["Id"][:12],
            "Name": network["Name"],
            "Driver": network["Driver"],
            "Scope": network["Scope"],
            "IPv4": _bool(network.get("EnableIPv4", True)),
            "IPv6": _bool(network.get("EnableIPv6")),
            "Internal": _bool(network.get("Internal")),
            "Labels": labels_text(labels),
            "CreatedAt": lambda: _go_time(network.get("Created", "")),
        },
        {"Label": lambda name: labels.get(name, "")},
    )


def _go_time(text: str) -> str:
    from fairway.cli.clock import go_time

    return go_time(text)


def _bool(value: object) -> str:
    return "true" if value else "false"


def _ls(given: Invocation) -> int:
    options = given.options
    networks = given.client.get("/networks", {"filters": filters(given)}) or []
    rows = [_row(n, options.flag("no-trunc")) for n in sorted(networks, key=lambda n: natural(n["Name"]))]
    form = options.text("format")
    default = _TABLE
    if options.flag("quiet"):
        form = "{{.ID}}" if form in ("", "table") else form
    print_rows(form, default, _TITLES, rows)
    return OK


LS = Command(
    _ls,
    "[OPTIONS]",
    "List networks",
    NONE,
    (
        filter_flag('Provide filter values (e.g. "driver=bridge")'),
        list_format(),
        Flag("no-trunc", BOOL, "Do not truncate the output"),
        Flag("quiet", BOOL, "Only display network IDs", short="q"),
    ),
)
