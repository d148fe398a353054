"""A log within its limits, read while it is rotated."""

from pathlib import Path

import pytest

from fairway.runtime import log_files, logs, rotation
from fairway.runtime.log_options import Limits

ROW = "2026-11-20T22:47:00.673326365+00:00 stdout F {:05}\n"
LENGTH = len(ROW.format(0))


class Writer:
    """Writes and begins new files as conmon does."""

    def __init__(self, log: Path) -> None:
        self._log, self.written = log, 0

    def write(self, rows: int) -> None:
        with self._log.open("a") as file:
            file.writelines(ROW.format(n) for n in range(self.written, self.written + rows))
        self.written += rows

    def begin_new(self) -> None:
        temporary = Path(f"{self._log}.tmp")
        temporary.touch()
        temporary.rename(self._log)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "0a.log"


async def read(log: Path, tail: int = -1) -> list[int]:
    chosen = logs.Selection(stdout=True, stderr=True, tail=tail)
    return [int(line.text) async for line in logs.read(log, chosen, None)]


def sizes(log: Path) -> list[int]:
    return [part.path.stat().st_size for part in log_files.parts(log)]


async def test_a_rotated_log_reads_as_one(log: Path) -> None:
    limits = Limits(10 * LENGTH, 3)
    rotation.begin(log, limits)
    writer = Writer(log)
    for rows in (10, 10, 5):
        writer.begin_new()
        log_files.settle(log)
        writer.write(rows)
    assert await read(log) == list(range(25))
    assert await read(log, tail=7) == list(range(18, 25))
    assert await read(log, tail=5) == list(range(20, 25))
    assert await read(log, tail=99) == list(range(25))


@pytest.mark.parametrize("files", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 9, 10, 11, 12, 25, 1000])
async def test_what_has_grown_too_large_is_divided_and_the_oldest_goes(
    log: Path, files: int, rows: int
) -> None:
    limits = Limits(10 * LENGTH, files)
    rotation.begin(log, limits)
    Writer(log).write(rows)
    rotation.finish(log, limits)
    found = await read(log)
    assert found == list(range(rows))[-len(found) :]
    assert len(found) >= min(rows, 10 * (files - 1) + 1)
    assert sum(sizes(log)) <= files * limits.size
    assert max(sizes(log)) <= limits.size * (1.25 if files > 1 else 1)


async def test_the_next_run_goes_on_with_the_same_log(log: Path) -> None:
    limits = Limits(10 * LENGTH, 3)
    for rows in (4, 4, 4, 13):
        rotation.begin(log, limits)
        writer = Writer(log)
        writer.written = len(await read(log))
        writer.write(rows)
        rotation.finish(log, limits)
    assert await read(log) == list(range(25))


async def test_what_conmon_replaced_by_itself_is_kept(log: Path) -> None:
    rotation.begin(log, Limits(10 * LENGTH, 3))
    writer = Writer(log)
    writer.write(3)
    writer.begin_new()  # nobody has told it to
    writer.write(3)
    assert [part.path.read_bytes().count(b"\n") for part in log_files.parts(log)] == [3]
    assert await read(log) == list(range(6))


def test_a_reader_goes_on_through_rotation_and_division(log: Path) -> None:
    limits = Limits(10 * LENGTH, 9)
    rotation.begin(log, limits)
    writer = Writer(log)
    writer.write(35)
    reader = next(log_files.readers(log, newest_first=False))
    assert reader.file.read().count(b"\n") == 35
    assert reader.following() is None, "it is still written"
    writer.write(1)
    writer.begin_new()
    writer.write(2)
    log_files.settle(log)
    rotation.finish(log, limits)  # divides what the reader has open
    assert len(log_files.parts(log)) == 5
    following = reader.following()
    assert following, "the next, none of the pieces of its own"
    assert reader.file.read().count(b"\n") == 1
    assert following.file.read().split()[-1] == b"00037"
    for each in (reader, following):
        each.file.close()


def test_a_full_disk_leaves_the_whole(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(10 * LENGTH, 9)
    rotation.begin(log, limits)
    Writer(log).write(30)

    def full(*_: object) -> bytes:
        Path(f"{log}.1-1").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rotation, "_copy", full)
    rotation.finish(log, limits)
    assert [path.name for path in log.parent.iterdir()] == ["0a.log.1"]
    assert sizes(log) == [30 * LENGTH]
