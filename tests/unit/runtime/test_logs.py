"""conmon's log format → entries; finding the tail."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairway.model.process import LogLine
from fairway.runtime import log_files, logs

T = "2026-11-20T22:47:0{}.673326365+00:00"
SECOND = 1_795_214_820_673_326_365
"""22:47:00.673326365 in nanoseconds."""


def parse(*rows: str) -> list[LogLine]:
    parser = logs.Parser()
    lines = [line for row in rows if (line := parser.feed(row.encode()))]
    return lines + list(parser.rest())


def test_a_line() -> None:
    assert parse(f"{T.format(0)} stdout F hello world") == [LogLine(SECOND, "stdout", b"hello world\n")]


def test_empty_and_damaged_lines() -> None:
    assert [
        line.text for line in parse(f"{T.format(0)} stdout F ", "garbage", "", f"{T.format(0)} other F x")
    ] == [b"\n"]


def test_parts_are_joined_per_stream() -> None:
    lines = parse(
        f"{T.format(1)} stdout P ab",
        f"{T.format(2)} stderr F err",
        f"{T.format(3)} stdout F cd",
        f"{T.format(4)} stdout P rest",
    )
    assert [(line.stream, line.text, (line.time - SECOND) // 10**9) for line in lines] == [
        ("stderr", b"err\n", 2),
        ("stdout", b"abcd\n", 1),
        ("stdout", b"rest", 4),
    ]


def test_a_line_without_an_end_is_passed_on_in_parts() -> None:
    lines = parse(*[f"{T.format(0)} stdout P {'x' * 8192}"] * 3)
    assert [len(line.text) for line in lines] == [16384, 8192]


@pytest.mark.parametrize(
    ("stamp", "offset"),
    [
        ("2026-11-21T00:47:00.673326365+02:00", 0),
        ("2026-11-20T17:17:00.673326365-05:30", 0),
        ("2026-11-20T22:47:00.673326365Z", 0),
    ],
)
def test_time_zones(stamp: str, offset: int) -> None:
    assert parse(f"{stamp} stdout F x")[0].time == SECOND + offset


ROWS = [
    f"{T.format(0)} stdout F zero",
    f"{T.format(1)} stdout P on",
    f"{T.format(1)} stdout F e",
    f"{T.format(2)} stderr F two",
    f"{T.format(3)} stdout F three",
]


def written(directory: Path, *files: list[str]) -> Iterator[log_files.Reader]:
    """Files of a log with these rows, newest first."""
    log = directory / "log"
    for number, rows in enumerate(files, 1):
        Path(f"{log}.{number}").write_text("".join(row + "\n" for row in rows))
    log.unlink(missing_ok=True)
    log.hardlink_to(f"{log}.{len(files)}")
    return log_files.readers(log, newest_first=True)


def remaining(reader: log_files.Reader | None) -> list[str]:
    """Rows from where the reader stands to the end of the log."""
    assert reader
    rows = reader.file.read().decode().splitlines()
    reader.file.close()
    following = reader.following()
    return rows + (remaining(following) if following else [])


@pytest.mark.parametrize("cut", [(), (1,), (2,), (2, 3), (5,)])
@pytest.mark.parametrize(("tail", "first_row"), [(0, 5), (1, 4), (2, 3), (3, 1), (4, 0), (9, 0)])
@pytest.mark.parametrize("block", [7, 64, 65536])
def test_tail(
    tmp_path: Path,
    tail: int,
    first_row: int,
    block: int,
    cut: tuple[int, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "_BLOCK", block)
    files = [ROWS[first:last] for first, last in itertools.pairwise((0, *cut, len(ROWS)))]
    assert remaining(logs.tail(written(tmp_path, *files), tail)) == ROWS[first_row:]


def test_an_unfinished_last_line_counts(tmp_path: Path) -> None:
    rows = [*ROWS, f"{T.format(4)} stdout P rest"]
    assert remaining(logs.tail(written(tmp_path, rows), 2)) == rows[4:]


async def collect(path: Path, **chosen: int) -> list[bytes]:
    selection = logs.Selection(stdout=True, stderr=True, **chosen)
    return [line.text async for line in logs.read(path, selection, None)]


async def test_selection(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(row + "\n" for row in ROWS))
    assert await collect(path) == [b"zero\n", b"one\n", b"two\n", b"three\n"]
    assert await collect(path, since=SECOND + 2 * 10**9) == [b"two\n", b"three\n"]
    assert await collect(path, until=SECOND + 10**9) == [b"zero\n", b"one\n"]
    assert await collect(path, tail=1) == [b"three\n"]
    assert await collect(tmp_path / "missing") == []


async def test_a_follower_that_goes_away_leaves_no_task(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(ROWS[0] + "\n")
    arrived = asyncio.Event()

    async def follow() -> None:
        selection = logs.Selection(stdout=True, stderr=True)
        async for _ in logs.read(path, selection, asyncio.Event().wait):
            arrived.set()

    before = asyncio.all_tasks()
    following = asyncio.create_task(follow())
    await arrived.wait()
    while len(asyncio.all_tasks() - before) < 3:  # the follower, the container's end, the next change
        await asyncio.sleep(0)
    following.cancel()
    started = asyncio.all_tasks() - before
    await asyncio.wait(started)
    assert all(task.cancelled() for task in started)
