"""Reading stacked layers without mounting them: what a path is when merged, and what a container changed.

A path is followed one component at a time through the directories of all layers, honouring whiteouts and
opaque marks, and never through a symbolic link: layers come from strangers, and on this side of the mount a
link would lead into the host. Descriptors, not paths, lead through the upper directory, which a running
container may be changing.
"""

# ruff: noqa: PTH118, PTH120, PTH208
# Names here are whatever an archive or a container made them; os takes them as they are, one call each.

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress

from fairway.runtime import trees
from fairway.runtime.images import whiteouts

MODIFIED, ADDED, DELETED = 0, 1, 2
"""Docker's numbers for kinds of change."""


class Level:
    """One directory of the merged view: the real directories that make it up, topmost first."""

    def __init__(self, directories: Sequence[str]) -> None:
        self.directories = tuple(directories)

    def status(self, name: str) -> os.stat_result | None:
        """The entry as the merged view shows it, None if there is none."""
        for directory in self.directories:
            try:
                found = os.lstat(os.path.join(directory, name))
            except (FileNotFoundError, NotADirectoryError):
                continue
            return None if whiteouts.is_whiteout(found) else found
        return None

    def enter(self, name: str) -> "Level":
        """The level below; without directories if ``name`` is not one."""
        found = []
        for directory in self.directories:
            path = os.path.join(directory, name)
            try:
                status = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not stat.S_ISDIR(status.st_mode):
                break  # a whiteout or a file hides what is below
            found.append(path)
            if whiteouts.is_opaque(path):
                break
        return Level(found)

    def names(self) -> list[str]:
        """The merged view's entries, sorted."""
        found = {name for directory in self.directories for name in os.listdir(directory)}
        return sorted(name for name in found if self.status(name) is not None)


def changes(upper: str, lower: Sequence[str]) -> list[tuple[str, int]]:
    """What ``upper`` changes in the lower directories (topmost first): (path, kind), sorted by path.

    A directory is listed as modified when it differs itself or something was added to or deleted from it, as
    ``docker diff`` does.
    """
    found: dict[str, int] = {}
    levels, paths = [Level(lower)], [""]
    for entry in trees.walk(upper):
        del levels[entry.depth + 1 :], paths[entry.depth + 1 :]
        below, here = levels[-1], f"{paths[-1]}/{entry.name}"
        _compare(entry, below, here, found)
        if entry.is_directory:
            levels.append(below.enter(entry.name))
            paths.append(here)
            with suppress(FileNotFoundError, NotADirectoryError):  # gone, or replaced, while we were looking
                for lost in _hidden(entry, levels[-1]):
                    _note(found, f"{here}/{lost}", DELETED)
    return sorted(found.items())


def size(upper: str) -> int:
    """Bytes of the regular files in a tree that may be changing."""
    total = 0
    with suppress(FileNotFoundError):
        for entry in trees.walk(upper):
            total += entry.status.st_size if stat.S_ISREG(entry.status.st_mode) else 0
    return total


def _compare(entry: trees.Entry, below: Level, here: str, found: dict[str, int]) -> None:
    """Note what an entry at the path ``here`` changes in the level ``below``."""
    before = below.status(entry.name)
    if whiteouts.is_whiteout(entry.status):
        if before is not None:
            _note(found, here, DELETED)
        return
    if before is None:
        _note(found, here, ADDED)
    elif not entry.is_directory or not _same_directory(before, entry.status):
        found.setdefault(here, MODIFIED)


def _hidden(entry: trees.Entry, below: Level) -> Iterator[str]:
    """Names that the directory of an entry hides altogether, being opaque, and does not have itself."""
    child = os.open(entry.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=entry.directory)
    try:
        if whiteouts.is_opaque(child):
            own = set(os.listdir(child))
            yield from (name for name in below.names() if name not in own)
    finally:
        os.close(child)


def _note(found: dict[str, int], path: str, kind: int) -> None:
    """Record a change; its directory counts as modified unless more is known of it."""
    found[path] = kind
    parent = os.path.dirname(path)
    if parent != "/":
        found.setdefault(parent, MODIFIED)


def _same_directory(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_mode, before.st_uid, before.st_gid, before.st_mtime_ns) == (
        after.st_mode,
        after.st_uid,
        after.st_gid,
        after.st_mtime_ns,
    )
