"""Reading a container's log as conmon writes it (the kubernetes CRI format).

``2026-11-20T22:47:02.673326365+00:00 stdout F text``: time, stream, then ``P`` for a part of a line or
``F`` for the end of one. Parts are joined again; a last part without an end is a line without a newline, as
the process wrote it. ``tail`` counts lines of both streams, as Docker does, and finds its place by reading
backwards in blocks, so its cost does not grow with the log.
"""

import asyncio
import calendar
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, BinaryIO, get_args

import msgspec

from fairway.model.process import LogLine, StreamName
from fairway.runtime import inotify

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


def tail_offset(file: BinaryIO, lines: int) -> int:
    """Where the last ``lines`` lines begin, in bytes; 0 for all when ``lines`` is negative."""
    end = file.seek(0, 2)
    if lines < 0:
        return 0
    found, first = 0, end
    for start, row in _backwards(file, end):
        fields = row.split(b" ", 3)
        ends_line = len(fields) == 4 and fields[2] == b"F"
        if ends_line or not found:
            if found == lines:
                return first
            found += 1
        first = start
    return 0


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
    opened = await asyncio.to_thread(_open, path)
    if opened is None:
        return
    parser = Parser()
    watching = inotify.Watch(path, inotify.MODIFY) if ended is not None else contextlib.nullcontext()
    with opened as file, watching as watch:
        file.seek(tail_offset(file, selection.tail))
        end = asyncio.create_task(ended()) if ended is not None else None
        try:
            async for line in _entries(file, parser, watch, end):
                if selection.past(line):
                    return
                if selection.wants(line):
                    yield line
        finally:
            if end is not None:
                end.cancel()


def _open(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None


async def _entries(
    file: BinaryIO, parser: Parser, watch: inotify.Watch | None, end: "asyncio.Task[object] | None"
) -> AsyncGenerator[LogLine, None]:
    carry = b""
    while True:
        if watch is not None:
            watch.reset()
        over = end is None or end.done()
        block = file.read(_BLOCK)
        if block:
            *rows, carry = (carry + block).split(b"\n")
            for row in rows:
                if line := parser.feed(row):
                    yield line
            await asyncio.sleep(0)
        elif over or end is None or watch is None:
            break
        else:
            changed = asyncio.create_task(watch.wait())
            awaited: set[asyncio.Task[Any]] = {changed, end}
            try:
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
    for line in parser.rest():
        yield line
