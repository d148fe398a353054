"""``--filter name=value`` → the API's ``filters`` query parameter: JSON of ``{name: {value: true}}``."""

from __future__ import annotations

import json

from fairway.cli.command import Invocation
from fairway.cli.flags import Flag
from fairway.cli.kinds import FILTER


def filter_flag(text: str, short: str = "f") -> Flag:
    """The ``--filter`` option."""
    return Flag("filter", FILTER, text, short=short)


def filters(given: Invocation, **always: str) -> str | None:
    """The query parameter of the filters given and of those that the command adds; None without any."""
    found: dict[str, dict[str, bool]] = {}
    for name, value in (*given.options.values("filter"), *always.items()):
        found.setdefault(name, {})[value] = True
    return json.dumps(found, separators=(",", ":")) if found else None
