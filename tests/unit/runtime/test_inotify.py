"""Watches of files share one descriptor, and each hears of its own file."""

import asyncio
import os
from pathlib import Path

import pytest

from fairway.model.errors import System
from fairway.runtime.inotify import CREATE, MODIFY, Watch


def descriptors() -> int:
    """Of inotify, in this process."""
    return sum(map(_of_inotify, os.listdir("/proc/self/fd")))


def _of_inotify(fd: str) -> bool:
    try:
        return "inotify" in os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:  # closed meanwhile
        return False


async def test_many_watches_are_one_descriptor(tmp_path: Path) -> None:
    before = descriptors()
    files = [tmp_path / f"{number}" for number in range(300)]
    for file in files:
        file.touch()
    watches = [Watch(file, MODIFY) for file in files]
    assert descriptors() == before + 1
    files[7].write_text("x")
    await asyncio.wait_for(watches[7].wait(), 5)
    assert [number for number, watch in enumerate(watches) if watch.changed.is_set()] == [7]
    for watch in watches:
        watch.close()
        watch.close()
    while descriptors() > before:
        await asyncio.sleep(0)


async def test_several_watch_the_same_file_for_different_things(tmp_path: Path) -> None:
    with Watch(tmp_path, CREATE) as created:
        with Watch(tmp_path, MODIFY) as other:
            (tmp_path / "new").touch()
            await asyncio.wait_for(created.wait(), 5)
            assert other.changed.is_set(), "what one asks for wakes the other as well"
        created.reset()
        (tmp_path / "another").touch()
        await asyncio.wait_for(created.wait(), 5)


async def test_what_is_missing_cannot_be_watched(tmp_path: Path) -> None:
    before = descriptors()
    with pytest.raises(System, match="No such file or directory"):
        Watch(tmp_path / "nothing", MODIFY)
    while descriptors() > before:
        await asyncio.sleep(0)
