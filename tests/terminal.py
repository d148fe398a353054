"""A command on a pseudo-terminal that is its controlling one, typed at and read as by a person.

``setsid --ctty`` makes it so: Ctrl-C and a change of size then reach the command as signals from the kernel,
as they do in a terminal window.
"""

import contextlib
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Sequence
from typing import Any

PATIENCE = 30.0


class Terminal:
    """Starts the command; 40 rows and 100 columns unless told otherwise. A context: its end kills."""

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str] | None = None,
        rows: int = 40,
        columns: int = 100,
    ) -> None:
        self._main, self._inner = pty.openpty()
        termios.tcsetwinsize(self._inner, (rows, columns))
        self.before = self.attributes()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=self._inner,
            stdout=self._inner,
            stderr=self._inner,
            env=environment,
        )
        self.seen = b""
        self._read_to = 0

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._main)
        os.close(self._inner)

    def attributes(self) -> list[Any]:
        """termios(3): whether the terminal is raw."""
        return termios.tcgetattr(self._inner)

    def type(self, keys: str | bytes) -> None:
        os.write(self._main, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, rows: int, columns: int) -> None:
        """The kernel sends SIGWINCH to the foreground."""
        termios.tcsetwinsize(self._main, (rows, columns))

    def shows(self, pattern: str) -> "re.Match[bytes]":
        """Wait until ``pattern`` has been printed after what was waited for before."""
        wanted = re.compile(pattern.encode(), re.MULTILINE)
        deadline = time.monotonic() + PATIENCE
        while not (found := wanted.search(self.seen, self._read_to)):
            assert time.monotonic() < deadline, f"{pattern!r} is not in {self.seen[self._read_to :]!r}"
            assert self.receive(0.5) or self.process.poll() is None, (
                f"ended without {pattern!r}: {self.seen[self._read_to :]!r}"
            )
        self._read_to = found.end()
        return found

    def ends(self) -> int:
        """Wait for the end; the exit status. ``seen`` is complete then."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"does not end: {self.seen[self._read_to :]!r}"
            self.receive(0.05)
        while self.receive(0):
            pass
        return self.process.returncode

    def receive(self, seconds: float) -> bool:
        """Read once what has been printed; False when nothing came in time."""
        if not select.select([self._main], [], [], seconds)[0]:
            return False
        with contextlib.suppress(OSError):
            self.seen += os.read(self._main, 4096)
        return True
