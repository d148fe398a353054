"""Waiting for a file to change, on the event loop: inotify(7), which Python does not have.

Used to follow logs; polling was rejected because it is either late or busy.
"""

import asyncio
import ctypes
import os
from pathlib import Path
from types import TracebackType

from fairway.model.errors import System

MODIFY, MOVED_TO, CREATE = 0x2, 0x80, 0x100
"""linux/inotify.h"""
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Changes of one file or directory, from construction on. Raises System if the kernel refuses."""

    def __init__(self, path: Path, events: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or _libc.inotify_add_watch(self._fd, os.fsencode(path), events) < 0:
            reason = os.strerror(ctypes.get_errno())
            self._release()
            raise System(f"watching {path}: {reason} (see /proc/sys/fs/inotify)")
        self._changed = asyncio.Event()
        self._loop.add_reader(self._fd, self._drain)

    def _drain(self) -> None:
        os.read(self._fd, 65536)
        self._changed.set()

    def reset(self) -> None:
        """Forget changes so far; look at the file after this and before waiting, and none is missed."""
        self._changed.clear()

    async def wait(self) -> None:
        """Until something has changed since the last reset."""
        await self._changed.wait()

    def close(self) -> None:
        """In a thread: the kernel takes 12 ms to close an inotify descriptor."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            fd, self._fd = self._fd, -1
            self._loop.run_in_executor(None, os.close, fd)

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
