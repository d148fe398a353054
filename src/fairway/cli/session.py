"""Being attached to a container: open the stream, follow the terminal, pass on signals, wait for the end.

Order matters and is Docker's: attach before start, so that no output is lost; ask to wait before start, so
that a container that ends at once is not missed; start; then set the terminal's size, which needs a running
container.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fairway.api.client import ApiError, Client, Response, Stream, quote
from fairway.cli import terminal
from fairway.cli.detach import DEFAULT, DetachKeys, parse_keys
from fairway.cli.exits import NEVER_STARTED, Exit
from fairway.cli.stdio import pump
from fairway.model.errors import Fault

_KEPT = {
    *(signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGWINCH, signal.SIGKILL, signal.SIGSTOP),
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
}
"""Not forwarded: what is about ourselves (children, pipes, terminal, our own faults) or cannot be caught."""


def attach(
    client: Client, container: str, *, stdin: bool, stdout: bool, stderr: bool, keys: str, logs: bool = False
) -> Stream:
    """A stream to the container's standard streams."""
    query = {
        "stream": True,
        "stdin": stdin,
        "stdout": stdout,
        "stderr": stderr,
        "logs": logs,
        "detachKeys": keys or None,
    }
    return client.hijack(f"/containers/{quote(container)}/attach", query)


def converse(client: Client, resize_path: str, stream: Stream, *, tty: bool, stdin: bool, keys: str) -> bool:
    """Copy until the stream ends; True when the user detached. ``resize_path`` is told the size."""

    def resize(rows: int, columns: int) -> None:
        try:
            client.post(resize_path, {"h": rows, "w": columns})
        except Fault:
            # The process, or the daemon, has ended between the change and this request.
            return

    watcher = DetachKeys(parse_keys(keys or DEFAULT)) if tty and stdin else None
    try:
        with terminal.raw(tty and stdin), terminal.follow_size(tty and terminal.size() is not None, resize):
            return pump(stream, tty, stdin, watcher)
    finally:
        stream.close()


@contextmanager
def signals_forwarded(active: bool, client: Client, container: str) -> Iterator[None]:
    """Send the signals that we get to the container instead of obeying them."""
    if not active:
        yield
        return

    def forward(number: int, _frame: object) -> None:
        try:
            client.post(f"/containers/{quote(container)}/kill", {"signal": signal.Signals(number).name})
        except Fault:
            # It, or the daemon, has ended already, so the signal has nowhere to go.
            return

    before: dict[signal.Signals, Any] = {}
    for number in signal.valid_signals():
        if isinstance(number, signal.Signals) and number not in _KEPT and number < signal.SIGRTMIN:
            before[number] = signal.signal(number, forward)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def await_exit(client: Client, container: str, condition: str = "next-exit") -> Response:
    """Start waiting: the answer's head comes at once, its body when ``condition`` has come true."""
    return client.request("POST", f"/containers/{quote(container)}/wait", {"condition": condition or None})


def exit_status(waiting: Response) -> int:
    """The container's exit status; ``Exit`` when the daemon could not wait for it."""
    answer = waiting.json() or {}
    if error := (answer.get("Error") or {}).get("Message"):
        raise Exit(NEVER_STARTED, f"Error waiting for container: {error}")
    return int(answer.get("StatusCode", NEVER_STARTED))


def start(client: Client, container: str, refused: Callable[[ApiError], Exit]) -> None:
    """Start it; ``refused`` words the daemon's refusal."""
    try:
        client.request("POST", f"/containers/{quote(container)}/start").read()
    except ApiError as error:
        raise refused(error) from error
