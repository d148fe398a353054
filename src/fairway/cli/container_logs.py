"""``logs``."""

from __future__ import annotations

import time

from fairway.api.client import quote
from fairway.cli.clock import api_moment
from fairway.cli.command import ONE, Command, Invocation
from fairway.cli.exits import OK
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL, STRING
from fairway.cli.stdio import copy_out

_SINCE = 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'
_UNTIL = 'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'


def _logs(given: Invocation) -> int:
    options, now = given.options, time.time()
    container = given.client.get(f"/containers/{quote(given.args[0])}/json")
    query = {
        "stdout": True,
        "stderr": True,
        "since": api_moment(options.text("since"), now) or None,
        "until": api_moment(options.text("until"), now) or None,
        "timestamps": options.flag("timestamps"),
        "details": options.flag("details"),
        "follow": options.flag("follow"),
        "tail": options.text("tail"),
    }
    answer = given.client.request("GET", f"/containers/{container['Id']}/logs", query)
    copy_out(answer.chunks(), container["Config"]["Tty"])
    return OK


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
