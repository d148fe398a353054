"""The terminal on our standard input: raw mode, its size, and who has to be told when it changes.

In raw mode every key goes to the container, Ctrl-C included. Leaving the context restores what was there,
also after an error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fairway.cli.exits import FAILED, Exit


def is_tty() -> bool:
    """Whether standard input is a terminal."""
    return os.isatty(0)


def check_tty(attach_stdin: bool, tty: bool) -> None:
    """``Exit`` when a terminal is wanted for a standard input that is none."""
    if attach_stdin and tty and not is_tty():
        raise Exit(FAILED, "the input device is not a TTY")


def size() -> tuple[int, int] | None:
    """Rows and columns of the terminal on standard output; None when there is none, or it does not know."""
    for number in (1, 0):
        try:
            found = os.get_terminal_size(number)
        except OSError:
            continue
        if found.lines and found.columns:
            return found.lines, found.columns
    return None


@contextmanager
def raw(active: bool) -> Iterator[None]:
    """Standard input in raw mode while inside, if ``active`` and a terminal."""
    if not active or not is_tty():
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(0)
    tty.setraw(0, termios.TCSANOW)
    try:
        yield
    finally:
        sys.stdout.flush()
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextmanager
def follow_size(active: bool, resize: Callable[[int, int], None]) -> Iterator[None]:
    """Call ``resize`` with rows and columns now and whenever the terminal changes."""
    if not active:
        yield
        return

    def changed(*_: object) -> None:
        if (found := size()) is not None:
            resize(*found)

    before = signal.signal(signal.SIGWINCH, changed)
    try:
        changed()
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
