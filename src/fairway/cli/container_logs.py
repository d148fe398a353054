"""``logs``."""

from __future__ import annotations

import time

from fairway.api.client import quote
from fairway.cli.clock import api_moment
from fairway.cli.command import ONE, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, STRING
from fairway.cli.stdio import copy_out
from fairway.model.errors import InvalidParameter

_SINCE = 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'
_UNTIL = 'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'


def _logs(given: Invocation) -> int:
    options, now = given.options, time.time()
    container = given.client.get(f"/containers/{quote(given.args[0])}/json")
    query = {
        "stdout": True,
        "stderr": True,
        "since": _moment(given, "since", now),
        "until": _moment(given, "until", now),
        "timestamps": options.flag("timestamps"),
        "details": options.flag("details"),
        "follow": options.flag("follow"),
        "tail": options.text("tail"),
    }
    answer = given.client.request("GET", f"/containers/{container['Id']}/logs", query)
    copy_out(answer.chunks(), container["Config"]["Tty"])
    return OK


def _moment(given: Invocation, name: str, now: float) -> str | None:
    try:
        return api_moment(given.options.text(name), now) or None
    except InvalidParameter as error:
        raise Exit(FAILED, f'invalid value for "{name}": {error.message}') from error


LOGS = Command(
    _logs,
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    ONE,
    (
        Flag("details", BOOL, "Show extra details provided to logs"),
        Flag("follow", BOOL, "Follow log output", short="f"),
        Flag("since", STRING, _SINCE),
        Flag("tail", STRING, "Number of lines to show from the end of the logs", short="n", default="all"),
        Flag("timestamps", BOOL, "Show timestamps", short="t"),
        Flag("until", STRING, _UNTIL),
    ),
    complete="containers",
)
