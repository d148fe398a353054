"""Reading a container's log as conmon writes it (the kubernetes CRI format).

``2026-11-20T22:47:02.673326365+00:00 stdout F text``: time, stream, then ``P`` for a part of a line or
``F`` for the end of one. Parts are joined again; a last part without an end is a line without a newline, as
the process wrote it. ``tail`` counts lines of both streams, as Docker does, and finds its place by reading
backwards in blocks, so its cost does not grow with the log.
"""

import asyncio
import calendar
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, get_args

import msgspec

from fairway.model.process import LogLine, StreamName
from fairway.runtime import inotify, log_files
from fairway.runtime.log_files import Reader

_BLOCK = 65536
_LONGEST = 16384
"""Bytes after which a line without an end is passed on in parts, as Docker's log drivers do."""
_STREAMS: dict[bytes, StreamName] = {name.encode(): name for name in get_args(StreamName)}


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries: times in nanoseconds since the epoch, 0 for unbounded; tail -1 for all."""

    stdout: bool
    stderr: bool
    since: int = 0
    until: int = 0
    tail: int = -1

    def wants(self, line: LogLine) -> bool:
        if self.since and line.time < self.since:
            return False
        return self.stdout if line.stream == "stdout" else self.stderr

    def past(self, line: LogLine) -> bool:
        return bool(self.until) and line.time > self.until


class Parser:
    """Raw log lines in, entries out; joins parts per stream."""

    def __init__(self) -> None:
        self._parts: dict[StreamName, tuple[int, bytes]] = {}
        self._second = (b"", 0)

    def feed(self, raw: bytes) -> LogLine | None:
        """One line of the file without its newline; None if it only continues, or is damaged."""
        fields = raw.split(b" ", 3)
        if len(fields) < 4 or fields[1] not in _STREAMS:
            return None
        stamp, stream, tag, text = fields
        name = _STREAMS[stream]
        started, before = self._parts.pop(name, (0, b""))
        started = started or self._time(stamp)
        if tag == b"F":
            return LogLine(started, name, before + text + b"\n")
        if len(before) + len(text) >= _LONGEST:
            return LogLine(started, name, before + text)
        self._parts[name] = (started, before + text)
        return None

    def rest(self) -> Iterator[LogLine]:
        """Lines that never ended."""
        for name, (started, text) in sorted(self._parts.items(), key=lambda item: item[1][0]):
            yield LogLine(started, name, text)
        self._parts.clear()

    def _time(self, stamp: bytes) -> int:
        """RFC 3339 with nine decimals; the last whole second is kept, as most lines share it."""
        whole, _, rest = stamp.partition(b".")
        if whole != self._second[0]:
            fields = time.strptime(whole.decode(), "%Y-%m-%dT%H:%M:%S")
            self._second = (whole, calendar.timegm(fields))
        digits, offset = rest, 0
        for sign in (b"+", b"-"):
            if sign in rest:
                digits, _, zone = rest.partition(sign)
                offset = (int(zone[:2]) * 3600 + int(zone[3:5]) * 60) * (1 if sign == b"+" else -1)
        fraction = int(digits.rstrip(b"Z").ljust(9, b"0")[:9])
        return (self._second[1] - offset) * 1_000_000_000 + fraction


def tail(readers: Iterable[Reader], lines: int) -> Reader | None:
    """The file, standing at the place, where the last ``lines`` lines begin; from files in reverse order.

    Files are opened no further than needed, and the others closed. None if there is none.
    """
    chosen, found, enough = None, 0, False
    for reader in readers:
        offset, found, enough = _last(reader.file, found, lines)
        if chosen is None or offset is not None:
            if chosen:
                chosen.file.close()
            chosen = reader
            chosen.file.seek(0 if offset is None else offset, os.SEEK_END if offset is None else os.SEEK_SET)
        else:
            reader.file.close()
        if enough:
            break
    return chosen


def _last(file: BinaryIO, found: int, lines: int) -> tuple[int | None, int, bool]:
    """Where the first wanted row is, if any; how many lines were found by now; whether there are more."""
    offset = None
    for start, row in _backwards(file, file.seek(0, os.SEEK_END)):
        fields = row.split(b" ", 3)
        ends_line = len(fields) == 4 and fields[2] == b"F"
        if ends_line or not found:
            if found == lines:
                return offset, found, True
            found += 1
        offset = start
    return offset, found, False


def _backwards(file: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    """Each row with its offset, from the last; rows end in a newline."""
    carry = b""
    while end > 0:
        size = min(_BLOCK, end)
        end -= size
        file.seek(end)
        rows = (file.read(size) + carry).split(b"\n")
        carry = rows[0]
        position = end + sum(len(row) + 1 for row in rows)
        for row in reversed(rows[1:]):
            position -= len(row) + 1
            if row:
                yield position, row
    if carry:
        yield 0, carry


async def read(
    path: Path, selection: Selection, ended: Callable[[], Coroutine[Any, Any, object]] | None
) -> AsyncGenerator[LogLine, None]:
    """Entries of the log at ``path`` (none if missing); with ``ended`` also those until that is done."""
    reader = await asyncio.to_thread(_begin, path, selection.tail)
    if reader is None:
        return
    end = asyncio.create_task(ended()) if ended is not None else None
    try:
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(reader.file)
            watch = stack.enter_context(_watch(path, reader, follow=ended is not None))
            entries = await stack.enter_async_context(
                contextlib.aclosing(_entries(reader, Parser(), watch, end))
            )
            async for line in entries:
                if selection.past(line):
                    return
                if selection.wants(line):
                    yield line
    finally:
        if end is not None:
            end.cancel()


def _begin(path: Path, lines: int) -> Reader | None:
    readers = log_files.readers(path, newest_first=lines >= 0)
    return next(readers, None) if lines < 0 else tail(readers, lines)


def _watch(
    path: Path, reader: Reader, *, follow: bool
) -> contextlib.AbstractContextManager[inotify.Watch | None]:
    if not follow:
        return contextlib.nullcontext()
    if reader.numbered:
        return inotify.Watch(path.parent, inotify.MODIFY | inotify.MOVED_TO | inotify.CREATE)
    return inotify.Watch(path, inotify.MODIFY)


async def _entries(
    reader: Reader, parser: Parser, watch: inotify.Watch | None, end: "asyncio.Task[object] | None"
) -> AsyncGenerator[LogLine, None]:
    carry, following = b"", None
    try:
        while True:
            if watch is not None:
                watch.reset()
            over = end is None or end.done()
            block = reader.file.read(_BLOCK)
            if block:
                *rows, carry = (carry + block).split(b"\n")
                for row in rows:
                    if line := parser.feed(row):
                        yield line
                await asyncio.sleep(0)
            elif following:
                reader.file.close()
                reader, following = following, None
            elif following := reader.following():
                continue  # what was written before it was begun is still to be read
            elif over or end is None or watch is None:
                break
            else:
                await _either(watch, end)
        for line in parser.rest():
            yield line
    finally:
        reader.file.close()
        if following:
            following.file.close()


async def _either(watch: inotify.Watch, end: "asyncio.Task[object]") -> None:
    """Until the log has changed or its writer has ended."""
    changed = asyncio.create_task(watch.wait())
    awaited: set[asyncio.Task[Any]] = {changed, end}
    try:
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        changed.cancel()
