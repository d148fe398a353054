"""Trees of directories that a container or an archive made, of any depth: walking and removing them.

``shutil.rmtree``, ``os.walk`` and ``os.makedirs`` call themselves for each level, and Python's stack ends at
a thousand. A container that makes more could not be removed, and its size not be told. Nothing here grows
with the depth but a list. Links are not followed, and paths are no longer than a name, as the kernel refuses
those of more than 4,096 bytes.
"""

# ruff: noqa: PTH102, PTH106, PTH112, PTH120
# Names here are whatever an archive or a container made them; os takes them as they are, one call each.

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT = 64
"""Levels whose directory stays open; the way back to deeper ones is ``..``, if it still leads there."""


class Entry(NamedTuple):
    directory: int
    """A descriptor, open until the next entry is asked for."""
    depth: int
    """0 in the top directory."""
    name: str
    status: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)


class _Level(NamedTuple):
    descriptor: int
    names: list[str]
    """Those still to come, backwards."""
    identity: tuple[int, int]


def walk(top: str) -> Iterator[Entry]:
    """All entries, sorted by name, a directory before what it holds. What vanishes meanwhile is left out.

    Raises OSError, FileNotFoundError if ``top`` is not there.
    """
    levels = [_level(os.open(top, _FLAGS))]
    try:
        while levels:
            here = levels[-1]
            if not here.names:
                _leave(levels)
                continue
            name = here.names.pop()
            try:
                entry = Entry(here.descriptor, len(levels) - 1, name, _status(here.descriptor, name))
                yield entry
                if entry.is_directory:
                    _enter(levels, name)
            except (FileNotFoundError, NotADirectoryError):
                continue  # gone, or replaced, while we were looking
    finally:
        for level in levels:
            if level.descriptor >= 0:
                os.close(level.descriptor)


def _status(directory: int, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def _level(descriptor: int) -> _Level:
    status = os.fstat(descriptor)
    return _Level(descriptor, sorted(os.listdir(descriptor), reverse=True), (status.st_dev, status.st_ino))


def _enter(levels: list[_Level], name: str) -> None:
    here = levels[-1]
    child = os.open(name, _FLAGS, dir_fd=here.descriptor)
    if len(levels) > _KEPT:
        os.close(here.descriptor)
        levels[-1] = here._replace(descriptor=-1)
    levels.append(_level(child))


def _leave(levels: list[_Level]) -> None:
    left = levels.pop()
    if levels and levels[-1].descriptor < 0:
        above = os.open("..", _FLAGS, dir_fd=left.descriptor)
        status = os.fstat(above)
        levels[-1] = levels[-1]._replace(descriptor=above)
        if levels[-1].identity != (status.st_dev, status.st_ino):
            levels[-1].names.clear()  # it was moved to elsewhere
    os.close(left.descriptor)


def remove(path: str) -> None:
    """A directory with all that is in it. Raises OSError.

    Directories are brought up to ``path`` one after another and emptied there.
    """
    top = os.open(path, _FLAGS)
    try:
        serial = 0
        while directories := _unlink_files(top):
            for name in directories:
                serial = _empty(top, name, serial)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def _unlink_files(directory: int) -> list[str]:
    """Remove what is no directory; the names of those that are."""
    directories = []
    with os.scandir(directory) as entries:
        kinds = [(each.name, each.is_dir(follow_symlinks=False)) for each in entries]
    for name, is_directory in kinds:
        if is_directory:
            directories.append(name)
        else:
            os.unlink(name, dir_fd=directory)
    return directories


def _empty(top: int, name: str, serial: int) -> int:
    """Move the directories in ``name`` up to ``top``, under numbers that are free there."""
    child = os.open(name, _FLAGS, dir_fd=top)
    try:
        for below in _unlink_files(child):
            while _exists(top, str(serial)):
                serial += 1
            os.rename(below, str(serial), src_dir_fd=child, dst_dir_fd=top)
    finally:
        os.close(child)
    return serial


def _exists(directory: int, name: str) -> bool:
    try:
        _status(directory, name)
    except FileNotFoundError:
        return False
    return True


def make_directories(path: str) -> None:
    """``path`` and what is missing above it, with mode 0777 less the umask. Raises OSError."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for each in reversed(missing):
        try:
            os.mkdir(each)
        except FileExistsError:
            if not os.path.isdir(each):  # else a running container was faster
                raise
