"""Fairway's boundaries, wrapped from outside: nothing in ``src`` knows of it.

Each wrapper makes an action of ``points`` of what it wraps, and gives the error asked for as the layer below
would: an errno from the kernel in a netlink answer, an OSError from a system call, nft's and SQLite's own
complaints, a program that is missing or that exits with 1.
"""

import contextlib
import errno
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

from fairway.companion import client, line
from fairway.kernel import executor, libc, netlink, nft
from fairway.model.errors import System, Unavailable
from fairway.plan import Element, Flows, HeldPort, Step, describe
from fairway.store import sqlite
from faults.points import Points

_VOLATILE = re.compile(r"[0-9a-f]{12,64}|veth[0-9a-f]{7}|\.[\w.]+-\w{8}\b|tmp\w{8}")
_RTNETLINK = 16
"""RTM_BASE; of four message types each, the third asks (linux/rtnetlink.h)."""
_KINDS = {16: "link", 20: "address", 24: "route"}


def wrap(points: Points, roots: Sequence[str]) -> None:
    """Once, before the daemon starts. Files count if they are below ``roots`` or /proc/sys."""
    _steps(points)
    _netlink(points)
    _nft(points)
    _store(points)
    _children(points)
    _companions(points)
    _files(points, [*roots, "/proc/sys"])
    _system_calls(points)


def oserror(name: str) -> OSError:
    code = getattr(errno, name)
    return OSError(code, os.strerror(code))


def plain(text: str) -> str:
    """Without what differs from run to run."""
    return _VOLATILE.sub("*", text)


def label(step: Step) -> str:
    fact, sign = step.fact, "+" if step.present else "-"
    if isinstance(fact, Element):
        return f"step {sign}Element {fact.table_object}"
    return f"step {sign}{type(fact).__name__}"


def _steps(points: Points) -> None:
    original = executor.Executor.take

    def take(self: Any, steps: Sequence[Step]) -> list[Any]:
        """Step by step, but for elements and ports, which are one transaction."""
        whole = isinstance(steps[0].fact, Element | HeldPort)
        outcomes: list[Any] = []
        for group in [steps] if whole else [[step] for step in steps]:
            name = label(group[0]) + (f" and {len(group) - 1} more" if len(group) > 1 else "")
            can_fail = not isinstance(group[0].fact, Flows) or not group[0].present
            with points.action(name if can_fail else f"{name} (nothing)") as error:
                if error:
                    text = f"cannot {'establish' if group[0].present else 'withdraw'} "
                    text += f"{describe(group[0].fact)}: {oserror(error).strerror}"
                    outcomes += [System(text), *[False] * (len(group) - 1)]
                else:
                    outcomes += original(self, group)
        return outcomes

    executor.Executor.take = take  # type: ignore[method-assign]


def _netlink(points: Points) -> None:
    original = netlink.Channel._exchange

    def exchange(self: Any, messages: Sequence[netlink.Message]) -> list[netlink.Answer]:
        """Messages that ask go through; the rest may be answered with an error, and are not sent then."""
        with points.action("socket netlink", kills=False) as error:
            if error:
                raise oserror(error)
        answers: list[netlink.Answer | None] = []
        sent = []
        for message in messages:
            kind = message.kind - message.kind % 4
            error = ""
            if kind in _KINDS and message.kind % 4 != 2:
                verb = {0: "new", 1: "delete", 3: "set"}[message.kind % 4]
                with points.action(f"netlink {verb} {_KINDS[kind]}", kills=False) as error:
                    pass
            answers.append(netlink.Answer(getattr(errno, error)) if error else None)
            if not error:
                sent.append(message)
        told = iter(original(self, sent) if sent else ())
        return [answer or next(told) for answer in answers]

    netlink.Channel._exchange = exchange  # type: ignore[method-assign]


def _nft(points: Points) -> None:
    original = nft.Nft.run

    def run(self: Any, command: str) -> None:
        with points.action("nft", kills=False) as error:
            if error:
                raise nft.NftError(f"Could not process rule: {oserror(error).strerror}")
        original(self, command)

    nft.Nft.run = run  # type: ignore[method-assign]


def _store(points: Points) -> None:
    original = sqlite.SqliteStore.commit
    complaint = threading.local()

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            text = getattr(complaint, "text", "")
            if text and not sql.startswith(("BEGIN", "ROLLBACK")):
                raise sqlite3.OperationalError(text)
            return super().execute(sql, *rest)

    def commit(self: Any, changes: Any) -> None:
        with points.action("commit") as error:
            if error == "STUCK":
                time.sleep(1)
                error = ""
            complaint.text = {
                "ENOSPC": "database or disk is full",
                "EROFS": "attempt to write a readonly database",
            }.get(error, f"disk I/O error ({error})" if error else "")
            try:
                original(self, changes)
            finally:
                complaint.text = ""

    sqlite.SqliteStore.commit = commit  # type: ignore[method-assign]
    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **k: connect(*a, **{"factory": Connection} | k)


def _children(points: Points) -> None:
    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, argv: Sequence[str], *rest: Any, **options: Any) -> None:
            with points.action(f"child {_program(argv)}") as error:
                if error == "EXIT":
                    argv = ["/bin/false"]
                elif error:
                    failure = oserror(error)
                    failure.filename = argv[0]
                    raise failure
                super().__init__(argv, *rest, **options)

    subprocess.Popen = Popen  # type: ignore[misc, assignment]


def _program(argv: Sequence[str]) -> str:
    name = os.path.basename(argv[0])
    verbs = ("start", "delete", "update", "pause", "resume", "exec", "fairway.dns.server", "--version")
    return " ".join([name, *(word for word in argv if word in verbs or word.startswith("fairway."))])


def _companions(points: Points) -> None:
    exchange = line.Line._exchange

    def asked(self: Any, request: Any, sockets: Any) -> bytes:
        with points.action(f"ask {type(request).__name__} of {self._companion.name}") as error:
            if error:
                raise oserror(error)
            return exchange(self, request, sockets)

    line.Line._exchange = asked  # type: ignore[method-assign]
    ask = client._Connection.ask

    async def told(self: Any, request: Any) -> bytes:
        # Not one action over the await: other work of the loop would count as being within.
        name = f"tell {type(request).__name__} to {self._name}"
        with points.action(name) as error:
            pass
        if error == "EPIPE":
            raise Unavailable(f"the {self._name} has ended")
        if error:
            raise System(f"the {self._name} does not answer")
        answer = await ask(self, request)
        with points.action(f"{name} (answered)"):
            return answer

    client._Connection.ask = told  # type: ignore[method-assign]


def _files(points: Points, roots: Sequence[str]) -> None:
    def ours(path: object) -> str:
        text = str(path)
        root = next((r for r in roots if text.startswith(r + "/")), "")
        return plain(text[len(root) + 1 :]) if root else ""

    def wrapped(owner: Any, name: str, verb: str, counts: Callable[..., bool] = lambda *_: True) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def call(path: Any, *rest: Any, **options: Any) -> Any:
            where = ours(path) if counts(*rest) else ""
            if not where:
                return original(path, *rest, **options)
            with points.action(f"file {verb} {where}") as error:
                if error:
                    failure = oserror(error)
                    failure.filename = str(path)
                    raise failure
                return original(path, *rest, **options)

        setattr(owner, name, call)

    for name in ("write_text", "write_bytes", "mkdir", "touch", "unlink", "rename", "replace", "rmdir"):
        wrapped(pathlib.Path, name, name.partition("_")[0])
    wrapped(pathlib.Path, "open", "open", lambda mode="r", *_: any(c in mode for c in "wax+"))
    rmtree = shutil.rmtree

    def remove(path: Any, ignore_errors: bool = False, *rest: Any, **options: Any) -> None:
        where = ours(path)
        with points.action(f"file rmtree {where}") if where else contextlib.nullcontext("") as error:
            if error and ignore_errors:
                return
            if error:
                failure = oserror(error)
                failure.filename = str(path)
                raise failure
            rmtree(path, ignore_errors, *rest, **options)

    shutil.rmtree = remove  # type: ignore[assignment]


def _system_calls(points: Points) -> None:
    def call(original: Callable[..., Any], name: str, *arguments: Any) -> Any:
        with points.action(f"call {name}", kills=False) as error:
            if error:
                raise oserror(error)
        return original(*arguments)

    for name in ("mount", "unmount", "unshare_network"):
        setattr(libc, name, partial(call, getattr(libc, name), name))
