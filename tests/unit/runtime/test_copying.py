"""Paths of copies, pipes to the helper, and files that change while they are packed."""

import asyncio
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fairway.runtime.copying import names
from fairway.runtime.images import pack
from fairway.runtime.pipes import ReadEnd, WriteEnd, pipe


@pytest.mark.parametrize(
    ("path", "absolute", "base"),
    [
        ("/etc", "/etc", "etc"),
        ("etc/", "/etc/", "etc"),
        ("/etc/.", "/etc/.", "."),
        ("/", "/", "/"),
        (".", "/.", "."),
        ("//a//b/../c", "/a/c", "c"),
        ("../../x", "/x", "x"),
        ("/a/..", "/", "/"),
    ],
)
def test_paths(path: str, absolute: str, base: str) -> None:
    assert (names.absolute(path), names.base(names.absolute(path))) == (absolute, base)


def test_names_in_the_archive() -> None:
    assert [names.entry("etc", b) for b in ("", "a", "a/b")] == ["etc", "etc/a", "etc/a/b"]
    assert [names.entry(".", b) for b in ("", "a")] == [".", "./a"]
    assert [names.entry("/", b) for b in ("", "a")] == ["/", "/a"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a", "/d/a"),
        ("./a/", "/d/a"),
        ("/etc/a", "/d/etc/a"),
        (".", "/d"),
        ("/", "/d"),
        ("", "/d"),
        ("a/../b", "/d/b"),
        ("..", None),
        ("../a", None),
        ("a/../../b", None),
        ("/../a", None),
        ("..a", "/d/..a"),
    ],
)
def test_where_entries_go(name: str, path: str | None) -> None:
    assert names.inside("/d", name) == path
    if path is not None:
        assert names.inside("/", name) == path.removeprefix("/d") or "/"


def by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("replace", [by_pipe, by_link, by_directory, Path.unlink])
def test_what_replaces_a_file_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: Callable[[Path], None]
) -> None:
    """A container may put a device of the host's in a file's place between the look and the reading."""
    (tmp_path / "a").write_text("first")
    (tmp_path / "b").write_text("last")
    out = io.BytesIO()
    packer = pack.Packer(out, layer=False)
    real = packer._file

    def late(path: str, entry: tarfile.TarInfo, status: os.stat_result) -> None:
        if path.endswith("/a"):
            replace(Path(path))
        real(path, entry, status)

    monkeypatch.setattr(packer, "_file", late)
    packer.resource(str(tmp_path), lambda below: below or ".")
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        assert archive.getnames() == [".", "b"]


async def test_a_pipe_carries_more_than_it_holds() -> None:
    reading, writing = pipe()
    source, sink = ReadEnd(reading), WriteEnd(writing)
    data = os.urandom(1 << 20) * 5

    async def send() -> None:
        await sink.write(b"head\nrest")
        await sink.write(data)
        sink.close()

    sending = asyncio.create_task(send())
    assert await source.line() == b"head"
    received = b"".join([chunk async for chunk in chunks(source)])
    assert received == b"rest" + data
    await sending
    source.close()


async def chunks(source: ReadEnd):  # type: ignore[no-untyped-def]
    while chunk := await source.read():
        yield chunk


async def test_ends_of_pipes() -> None:
    reading, writing = pipe()
    source, sink = ReadEnd(reading), WriteEnd(writing)
    await sink.write(b"half a line")
    sink.close()
    assert (await source.line(), await source.read()) == (b"half a line", b"")
    source.close()
    reading, writing = pipe()
    sink = WriteEnd(writing)
    ReadEnd(reading).close()
    with pytest.raises(BrokenPipeError):
        await sink.write(b"x")
    sink.close()
    sink.close()
