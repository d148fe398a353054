"""Keeps a container's log within its limits: ``max-file`` files of ``max-size`` bytes.

conmon can begin a new file, but keeps one only, and counts from its own start. So the daemon watches the log,
tells conmon when a file is full (message 2 of its control pipe; no line is lost), keeps the old file by its
number (``log_files``) and removes the oldest. It looks 50 ms after something was written, not at every line:
a file that grew beyond its size meanwhile is divided. A log that is quiet or without limits costs nothing.

While the daemon is away a log may grow to ``away`` bytes; then conmon begins a new one, and the number still
keeps one old file. The daemon brings all into the limits when it is back. Rejected: conmon's own limit at
``max-size``: what it replaces twice between two looks is lost.
"""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from fairway.runtime import inotify, log_files
from fairway.runtime.images.workspace import in_thread
from fairway.runtime.log_options import Limits

PAUSE = 0.05
"""Seconds between two looks at a log that is written all the time."""
_BURST = 16 << 20
"""Bytes that a log may always grow between two looks before conmon acts by itself."""
_TOLERANCE = 1.25
"""A file that is larger by this factor is divided."""


def away(limits: Limits) -> int:
    """Bytes after which conmon shall begin a new file by itself."""
    return max(limits.size * limits.files, _BURST)


def begin(log: Path, limits: Limits) -> None:
    """Before conmon opens it: what an earlier run left is within the limits, and the file has its number."""
    finish(log, limits)
    log.touch(mode=0o600)
    log_files.settle(log)


def finish(log: Path, limits: Limits) -> None:
    """After conmon has ended."""
    with contextlib.suppress(FileNotFoundError):  # nothing written, or the container is being removed
        log_files.settle(log)
        if log.stat().st_size >= limits.size:
            log.unlink()
        _trim(log, limits)


async def keep(log: Path, control: Path, limits: Limits) -> None:
    """For as long as conmon writes; ends by being cancelled. ``control`` is conmon's pipe."""
    told = seen = room = 0
    with inotify.Watch(log.parent, inotify.MODIFY | inotify.MOVED_TO) as watch:
        while True:
            watch.reset()
            file, size = _written(log)
            if file != seen or size >= room:
                seen, room = await in_thread(_look, log, limits)
            if file != told and size >= limits.size and _begin_new(control):
                told = file
            await watch.wait()
            await asyncio.sleep(PAUSE)


def _written(log: Path) -> tuple[int, int]:
    """Inode and size of the file being written; zeros if somebody removed it."""
    try:
        status = log.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_ino, status.st_size


def _look(log: Path, limits: Limits) -> tuple[int, int]:
    """Trim; the file being written and the size up to which it needs no other look."""
    log_files.settle(log)
    kept = _trim(log, limits)
    return _written(log)[0], min(limits.size, limits.size * limits.files - kept + 1)


def _begin_new(control: Path) -> bool:
    """Tell conmon to begin a new file; false if it does not listen (now)."""
    try:
        fd = os.open(control, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # it has ended
        return False
    try:
        return bool(os.write(fd, b"2 0 0\n"))
    except OSError:  # it has ended, or its pipe is full
        return False
    finally:
        os.close(fd)


def _trim(log: Path, limits: Limits) -> int:
    """Divide what is too large and remove the oldest; bytes of the closed files that are left."""
    largest = limits.size * (_TOLERANCE if limits.files > 1 else 1)
    for part in log_files.closed(log):
        if not part.piece and part.path.stat().st_size > largest:
            _divide(part, limits)
    room, kept = limits.size * limits.files - _written(log)[1], 0
    for part in reversed(log_files.closed(log)):
        size = part.path.stat().st_size
        if kept + size <= room:
            kept += size
        else:
            room = 0  # nor anything older
            part.path.unlink()
    return kept


def _divide(part: log_files.Part, limits: Limits) -> None:
    """Pieces of at most ``max-size``, cut between lines, of as much of its end as the limits allow."""
    pieces = [_piece(part, 1)]
    try:
        with part.path.open("rb") as source:
            surplus = source.seek(0, os.SEEK_END) - limits.size * limits.files
            source.seek(max(surplus, 0))
            if surplus > 0:
                source.readline()
            while row := _copy(source, pieces[-1], limits.size):
                source.seek(-len(row), os.SEEK_CUR)
                pieces.append(_piece(part, len(pieces) + 1))
    except OSError:  # a full disk: the whole stays, until it is the oldest
        for piece in pieces:
            piece.unlink(missing_ok=True)
    else:
        part.path.unlink()


def _copy(source: BinaryIO, target: Path, size: int) -> bytes:
    """At least one line and at most ``size`` bytes; the line that had no room, empty at the end."""
    with target.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        written = 0
        for row in source:
            if written and written + len(row) > size:
                return row
            file.write(row)
            written += len(row)
    return b""


def _piece(part: log_files.Part, piece: int) -> Path:
    """Not looked at as long as the whole is there."""
    return part.path.with_name(f"{part.path.name}-{piece}")
