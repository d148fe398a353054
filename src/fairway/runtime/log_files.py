"""The files that make up one container's log, oldest first.

    <id>.log         what conmon writes
    <id>.log.7       the same file, under its number; after a rotation only this name is left
    <id>.log.6-1 …   pieces of number 6, which had grown beyond its size

A log without limits has the first name only. conmon begins a new file by renaming it over the first name; it
does so when told (``rotation``), and by itself when nobody tells it for long. The number keeps the old file
either way, so a rotation loses nothing, and a reader finds what follows the file that it is in. Rejected:
Docker's ``.1``, ``.2`` that move on with each rotation: under a reader's feet, and in as many steps.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

_NUMBER = re.compile(r"(\d+)(?:-(\d+))?")


class Part(NamedTuple):
    """A numbered file; ``piece`` 0 is a whole one."""

    number: int
    piece: int
    path: Path

    @property
    def place(self) -> tuple[int, int]:
        return self.number, self.piece


def parts(log: Path) -> list[Part]:
    """Numbered files, the one being written last; none for a log without limits."""
    prefix, found = f"{log.name}.", list[Part]()
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(log.parent):
            number = _NUMBER.fullmatch(entry.name.removeprefix(prefix))
            if entry.name.startswith(prefix) and number:
                found.append(Part(int(number[1]), int(number[2] or 0), log.parent / entry.name))
    whole = {part.number for part in found if not part.piece}
    return sorted(part for part in found if not part.piece or part.number not in whole)


def settle(log: Path) -> None:
    """Give the file that is being written its number, unless it has one. Any number may do it at once."""
    known = parts(log)
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        if not known or not _same(known[-1].path, log):
            os.link(log, f"{log}.{known[-1].number + 1 if known else 1}")


def closed(log: Path) -> list[Part]:
    """Numbered files that nobody writes any more."""
    return [part for part in parts(log) if not _same(part.path, log)]


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except FileNotFoundError:
        return False


class Reader:
    """A file of the log, opened; ``following`` leads on from it."""

    def __init__(self, log: Path, file: BinaryIO, place: tuple[int, int] | None) -> None:
        self.file = file
        self._log, self._place = log, place

    @property
    def numbered(self) -> bool:
        return self._place is not None

    def following(self) -> "Reader | None":
        """The next file, None while there is none. If there is one, nobody writes to this one any more."""
        if self._place is None:
            return None
        settle(self._log)
        number, piece = self._place
        after = [p for p in parts(self._log) if p.number > number or (piece and p.place > self._place)]
        return next(_opened(self._log, after), None)


def readers(log: Path, *, newest_first: bool) -> Iterator[Reader]:
    """All files, opened one by one; none if there is no log."""
    if parts(log):
        settle(log)
        yield from _opened(log, sorted(parts(log), reverse=newest_first))
        return
    with contextlib.suppress(FileNotFoundError):
        yield Reader(log, log.open("rb"), None)


def _opened(log: Path, wanted: Iterable[Part]) -> Iterator[Reader]:
    """Those that are still there: what was removed meanwhile was too old, or divided."""
    for part in wanted:
        with contextlib.suppress(FileNotFoundError):
            yield Reader(log, part.path.open("rb"), part.place)
