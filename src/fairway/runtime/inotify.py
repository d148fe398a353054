"""Waiting for a file to change, on the event loop: inotify(7), which Python does not have.

Used to follow and to rotate logs; polling was rejected because it is either late or busy. All watches share
one descriptor, as a user may have 128 of them only (fs.inotify.max_user_instances).
"""

import asyncio
import ctypes
import os
import struct
from pathlib import Path
from types import TracebackType

from fairway.model.errors import System

MODIFY, MOVED_TO, CREATE = 0x2, 0x80, 0x100
"""linux/inotify.h"""
_OVERFLOW, _MASK_ADD = 0x4000, 0x20000000
_EVENT = struct.Struct("iIII")
"""``struct inotify_event``: watch, mask, cookie, length of the name that follows."""
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Changes of one file or directory, from construction on. Raises System if the kernel refuses."""

    def __init__(self, path: Path, events: int) -> None:
        self.changed = asyncio.Event()
        self._instance = _instance()
        self._number = self._instance.add(self, path, events)

    def reset(self) -> None:
        """Forget changes so far; look at the file after this and before waiting, and none is missed."""
        self.changed.clear()

    async def wait(self) -> None:
        """Until something has changed since the last reset."""
        await self.changed.wait()

    def close(self) -> None:
        self._instance.remove(self, self._number)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Instance:
    """The descriptor of one event loop; closed with the last watch."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise System(f"cannot watch files: {os.strerror(ctypes.get_errno())} (see /proc/sys/fs/inotify)")
        self._watches: dict[int, set[Watch]] = {}
        loop.add_reader(self._fd, self._drain)

    def add(self, watch: Watch, path: Path, events: int) -> int:
        """The kernel's number for what is at the path, the same for all who watch it."""
        number: int = _libc.inotify_add_watch(self._fd, os.fsencode(path), events | _MASK_ADD)
        if number < 0:
            reason = os.strerror(ctypes.get_errno())
            self._close_if_unused()
            raise System(f"watching {path}: {reason} (see /proc/sys/fs/inotify)")
        self._watches.setdefault(number, set()).add(watch)
        return number

    def remove(self, watch: Watch, number: int) -> None:
        watching = self._watches.get(number)
        if watching is None or watch not in watching:
            return  # closed already
        watching.discard(watch)
        if not watching:
            del self._watches[number]
            _libc.inotify_rm_watch(self._fd, number)  # refused if the file is gone, and the watch with it
        self._close_if_unused()

    def _drain(self) -> None:
        data, at = os.read(self._fd, 65536), 0
        while at < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            missed = mask & _OVERFLOW
            for watching in self._watches.values() if missed else (self._watches.get(number, ()),):
                for watch in watching:
                    watch.changed.set()

    def _close_if_unused(self) -> None:
        """In a thread: the kernel takes 12 ms to close an inotify descriptor."""
        if not self._watches and self._fd >= 0:
            del _instances[self._loop]
            self._loop.remove_reader(self._fd)
            fd, self._fd = self._fd, -1
            self._loop.run_in_executor(None, os.close, fd)


_instances: dict[asyncio.AbstractEventLoop, _Instance] = {}


def _instance() -> _Instance:
    loop = asyncio.get_running_loop()
    if loop not in _instances:
        _instances[loop] = _Instance(loop)
    return _instances[loop]
