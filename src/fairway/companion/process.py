"""A companion's process: ``python -m MODULE --socket PATH --state DIR [--detach] [options of its own]``.

It keeps everything in memory and writes nothing but complaints to stderr. ``--detach`` puts it into the
background once the control socket takes connections, so that whoever waits for the command to end knows that
the companion is ready. A lock in the state directory admits one of a name at a time; a second one leaves with
``ALREADY_RUNNING``, and a socket that the first left behind when it was killed can be replaced safely.

Only what is needed is imported, as each companion pays for it in memory: pathlib and argparse cost 1 MB.
"""

import fcntl
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from fairway.companion.address import short
from fairway.companion.loop import Loop

ALREADY_RUNNING = 3
"""Exit code when another companion of that name holds the state directory."""

COMM_LIMIT = 15
"""Bytes of a process's name (``TASK_COMM_LEN`` - 1)."""

Serve = Callable[[Loop, socket.socket, Mapping[str, str]], object]
"""Has the loop watch the control socket, given the options."""


def main(name: str, title: str, serve: Serve, words: Sequence[str]) -> int:
    """Be the companion ``name``, which ps calls ``title``, until it is told to end; the exit code."""
    options = _options(words)
    path, state = os.path.abspath(options["socket"]), os.path.abspath(options["state"])  # noqa: PTH100
    tell = _detach() if "detach" in options else None
    lock = _claim(state, name)
    control = _listen(path) if lock is not None else None
    if tell is not None:
        os.write(tell, bytes((0 if control else ALREADY_RUNNING,)))
        os.close(tell)
    if lock is None or control is None:
        return ALREADY_RUNNING
    _name(title)
    try:
        _run(control, serve, options)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
        os.close(lock)
    return 0


def raise_descriptor_limit() -> int:
    """As many descriptors as this process may have without asking anybody."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def _options(words: Sequence[str]) -> dict[str, str]:
    """``--key value`` pairs; a key before another one, or at the end, is a switch. Raises SystemExit."""
    options: dict[str, str] = {}
    at = 0
    while at < len(words):
        if not words[at].startswith("--"):
            sys.exit(f"not an option: {words[at]}")
        valued = at + 1 < len(words) and not words[at + 1].startswith("--")
        options[words[at][2:]] = words[at + 1] if valued else ""
        at += 1 + valued
    for key in ("socket", "state"):
        if not options.get(key):
            sys.exit(f"--{key} is missing")
    return options


def _claim(state: str, name: str) -> int | None:
    """Take the lock of the state directory for this process's life; None if another companion has it."""
    os.makedirs(state, mode=0o700, exist_ok=True)  # noqa: PTH103
    path = f"{state}/{name.replace(' ', '-')}.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _listen(path: str) -> socket.socket:
    """The control socket, for this user only. The lock must be held."""
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with short(path) as name:
            control.bind(name)
    finally:
        os.umask(mask)
    control.listen(16)
    control.setblocking(False)
    return control


def _detach() -> int:
    """Go on in a child that belongs to no terminal and is waited for by nobody but init.

    Returns, in the child, the pipe through which it tells the waiting parent its exit code, one byte.
    If the child ends without a word, the parent exits with 1.
    """
    told, tell = os.pipe2(os.O_CLOEXEC)
    if os.fork():
        os.close(tell)
        os._exit((os.read(told, 1) or b"\1")[0])
    os.close(told)
    os.setsid()
    os.chdir("/")
    return tell


def _name(title: str) -> None:
    """What ps and ss show (proc(5), ``/proc/pid/comm``)."""
    with open("/proc/self/comm", "w") as comm:  # noqa: PTH123
        comm.write(title[:COMM_LIMIT])


def _run(control: socket.socket, serve: Serve, options: Mapping[str, str]) -> None:
    """Until somebody stops the loop, or SIGTERM."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop = Loop()
    serve(loop, control, options)
    gc.freeze()
    loop.run()


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)
