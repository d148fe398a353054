"""The boundaries of the daemon under test: what it does to the world, one action after another.

An action has a label (``step +Veth``, ``commit``, ``child crun start``, ``file write config.json``) and,
among those of its label, a number: together its place. Before and after each action the daemon can be
killed; at each action an error can be put in. The harness says over a socket what shall happen:

    {"do": "record"}                                  note all places from here on
    {"do": "recorded"}                                the places noted, in order
    {"do": "kill", "at": ["commit", 2, "after"]}      SIGKILL itself there
    {"do": "fail", "at": ["commit", 1], "error": "ENOSPC", "again": false}
    {"do": "off"}                                     whether what was armed has happened

``again``: all later actions of the label fail as well, those that take back included.
"""

import contextlib
import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple


class Place(NamedTuple):
    label: str
    number: int


class Points:
    """Thread-safe; of one daemon."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._recorded: list[tuple[str, int, bool]] = []
        self._recording = False
        self._kill: tuple[Place, str] | None = None
        self._fail: tuple[Place, str, bool] | None = None
        self._happened = False
        self._within = threading.local()

    @contextlib.contextmanager
    def action(self, label: str, *, kills: bool = True) -> Iterator[str]:
        """An action's duration; yields the name of the error that shall befall it, empty for none.

        Within another action it can only fail (as with ``kills=False``): its moments are those of the outer
        one. A file that is opened to be written is one action.
        """
        outer = getattr(self._within, "label", "")
        if outer.startswith("file ") and label.startswith("file "):
            yield ""
            return
        kills = kills and not outer
        with self._lock:
            self._counts[label] += 1
            place = Place(label, self._counts[label])
            if self._recording:
                self._recorded.append((*place, kills))
            error = self._error(place)
        if not kills:
            yield error
            return
        self._reach(place, "before")
        self._within.label = label
        try:
            yield error
        finally:
            self._within.label = ""
        self._reach(place, "after")

    def _error(self, place: Place) -> str:
        if self._fail is None:
            return ""
        target, error, again = self._fail
        if place != target and not (again and place.label == target.label and place.number > target.number):
            return ""
        self._happened = True
        return error

    def _reach(self, place: Place, when: str) -> None:
        if self._kill == (place, when):
            os.kill(os.getpid(), signal.SIGKILL)

    def serve(self, path: str) -> None:
        """Take orders on a socket at ``path``, in a thread of its own."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen(4)
        threading.Thread(target=self._serve, args=(listening,), daemon=True, name="points").start()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            connection, _ = listening.accept()
            with connection, connection.makefile("rw") as stream:
                order = json.loads(stream.readline())
                stream.write(json.dumps(self._obey(order)) + "\n")

    def _obey(self, order: dict[str, Any]) -> Any:
        with self._lock:
            if order["do"] == "recorded":
                return self._recorded
            happened = self._happened
            self._counts.clear()
            self._recorded, self._recording, self._happened = [], order["do"] == "record", False
            self._kill = self._fail = None
            if order["do"] == "kill":
                label, number, when = order["at"]
                self._kill = Place(label, number), when
            if order["do"] == "fail":
                self._fail = Place(*order["at"]), order["error"], order["again"]
            return happened
