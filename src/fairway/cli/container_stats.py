"""``stats``: what containers use, in a table that renews itself.

A thread for each container reads its stream and keeps the last sample; the table is drawn from those twice a
second. Without names the containers are those that run, and events tell which come and go.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from fairway.api.client import Client, Response, quote
from fairway.cli.command import ANY, Command, Invocation
from fairway.cli.exits import FAILED, OK, Exit, describe
from fairway.cli.flags import Flag
from fairway.cli.kinds import BOOL
from fairway.cli.output import list_format, rows_text
from fairway.cli.stats_row import TABLE, TITLES, row
from fairway.model.errors import Fault

_REDRAW = 0.5
"""Seconds."""
_SILENCE = 2.0
"""Seconds without a sample after which the last one counts no more."""
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\033[H", "\033[K", "\033[J"


class _Watched:
    """One container, watched by a thread that ends with the program."""

    def __init__(self, client: Client, asked: str, stream: bool) -> None:
        self.asked, self.sample, self.error = asked, dict[str, Any](), ""
        self._time, self._valid = 0.0, False
        self.first = threading.Event()
        """There is a sample, or there will be none."""
        self._stream = stream
        threading.Thread(target=self._watch, args=(client,), daemon=True).start()

    def _watch(self, client: Client) -> None:
        try:
            query = {"stream": "1" if self._stream else "0"}
            answer = client.request("GET", f"/containers/{quote(self.asked)}/stats", query)
            for sample in answer.json_stream():
                self.sample, self._time, self._valid = sample, time.monotonic(), True
                self.first.set()
        except Fault as fault:
            self.error = describe(fault)
        except OSError as error:
            self.error = error.strerror or str(error)
        finally:
            self._valid = self._valid and not self._stream
            self.first.set()

    @property
    def valid(self) -> bool:
        fresh = not self._stream or time.monotonic() - self._time < _SILENCE
        return self._valid and fresh


class _Table:
    """All that are watched, in the order in which they came."""

    def __init__(self, given: Invocation) -> None:
        self._given, self._stream = given, not given.options.flag("no-stream")
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()

    def add(self, asked: str) -> None:
        with self._lock:
            if asked not in self._watched:
                self._watched[asked] = _Watched(self._given.client, asked, self._stream)

    def remove(self, asked: str) -> None:
        with self._lock:
            self._watched.pop(asked, None)

    def all(self) -> list[_Watched]:
        with self._lock:
            return list(self._watched.values())

    def follow(self, events: Response, every: bool) -> None:
        """Containers that are created (``every``) or started come, those that end go."""
        for event in events.json_stream():
            short = event["Actor"]["ID"][:12]
            match event["Action"]:
                case "create" if every:
                    self.add(short)
                case "start":
                    self.add(short)
                case "die" if not every:
                    self.remove(short)
                case "destroy":
                    self.remove(short)
                case _:
                    continue

    def text(self) -> str:
        options = self._given.options
        full = options.flag("no-trunc")
        rows = [row(each.asked, each.sample, valid=each.valid, full=full) for each in self.all()]
        return rows_text(options.text("format"), TABLE, TITLES, rows)


def _stats(given: Invocation) -> int:
    table, every = _Table(given), given.options.flag("all")
    if given.args:
        for name in given.args:
            table.add(name)
    else:
        _watch_all(given, table, every)
    for watched in table.all():
        watched.first.wait()
    errors = [watched.error for watched in table.all() if watched.error]
    if given.args and errors:
        raise Exit(FAILED, "\n".join(errors))
    if given.options.flag("no-stream"):
        sys.stdout.write(table.text())
        return OK
    while True:
        time.sleep(_REDRAW)
        lines = "".join(f"{line}{_CLEAR_LINE}\n" for line in table.text().splitlines())
        sys.stdout.write(f"{_HOME}{lines}{_CLEAR_BELOW}")
        sys.stdout.flush()


def _watch_all(given: Invocation, table: _Table, every: bool) -> None:
    """Subscribed before the list is asked for, so that none is missed in between."""
    if not given.options.flag("no-stream"):
        events = given.client.request("GET", "/events", {"filters": '{"type":{"container":true}}'})
        threading.Thread(target=table.follow, args=(events, every), daemon=True).start()
    for container in given.client.get("/containers/json", {"all": every}) or ():
        table.add(container["Id"][:12])


STATS = Command(
    _stats,
    "[OPTIONS] [CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    ANY,
    (
        Flag("all", BOOL, "Show all containers (default shows just running)", short="a"),
        list_format(),
        Flag("no-stream", BOOL, "Disable streaming stats and only pull the first result"),
        Flag("no-trunc", BOOL, "Do not truncate output"),
    ),
    complete="containers",
)
