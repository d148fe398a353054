"""Framing, detach keys, and the hijacked connection over a real socket."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fairway.api import detach
from fairway.api.hijack import content_type, frame
from fairway.model.container import Config
from fairway.model.errors import InvalidParameter
from fairway.model.process import ExecRequest, LogLine
from unit.api.fake_engine import CONTAINER_ID, FakeEngine, FakeStreams, container

Connect = Callable[[str, bytes], Awaitable[tuple[str, asyncio.StreamReader, asyncio.StreamWriter]]]


def test_frames() -> None:
    assert frame("stderr", b"ab") == b"\x02\x00\x00\x00\x00\x00\x00\x02ab"
    assert frame("stdout", b"x" * 300)[:8] == b"\x01\x00\x00\x00\x00\x00\x01\x2c"


def test_content_types() -> None:
    assert content_type(False, (1, 42)).endswith("multiplexed-stream")
    assert content_type(False, (1, 41)).endswith("raw-stream")
    assert content_type(True, (1, 51)).endswith("raw-stream")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-a", b"\x01"),
        ("a,ctrl-@", b"a\x00"),
        ("ctrl-[,DEL", b"\x1b\x7f"),
        ("ctrl-_", b"\x1f"),
    ],
)
def test_detach_keys(text: str, keys: bytes) -> None:
    assert detach.parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-A", "ctrl-ab", "esc", "a,,b"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        detach.parse(text)
    assert "Invalid detach keys" in caught.value.message


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize(
    ("typed", "passed", "found"),
    [
        (b"ab\x10\x11cd", b"ab", True),
        (b"a\x10b", b"a\x10b", False),
        (b"\x10\x10\x11", b"\x10", True),
        (b"a\x10", b"a\x10", False),
        (b"plain", b"plain", False),
    ],
)
def test_scanner(size: int, typed: bytes, passed: bytes, found: bool) -> None:
    scanner = detach.Scanner(b"\x10\x11")
    out = b"".join(scanner.feed(typed[i : i + size]) for i in range(0, len(typed), size) if not scanner.found)
    assert (out + scanner.rest(), scanner.found) == (passed, found)


@pytest.fixture
def connect(socket: str) -> Connect:
    async def connect(path: str, body: bytes) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(socket)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n"
        if "raw" not in path:
            head += "Connection: Upgrade\r\nUpgrade: tcp\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        return (await reader.readuntil(b"\r\n\r\n")).decode(), reader, writer

    return connect


async def test_attach_upgrades_and_frames_output(engine: FakeEngine, connect: Connect) -> None:
    engine.containers.streams = FakeStreams([("stdout", b"out"), ("stderr", b"err")])
    head, reader, writer = await connect("/v1.51/containers/web/attach?stream=1&stdout=1&stderr=1", b"")
    assert head.startswith("HTTP/1.1 101 UPGRADED\r\n")
    assert "Content-Type: application/vnd.docker.multiplexed-stream" in head
    assert await reader.read() == frame("stdout", b"out") + frame("stderr", b"err")
    writer.close()
    await asyncio.wait_for(engine.containers.streams.closed.wait(), 5)


async def test_without_upgrade_the_reply_is_200(engine: FakeEngine, connect: Connect) -> None:
    engine.containers.streams = FakeStreams([("stdout", b"out"), ("stderr", b"err")])
    head, reader, writer = await connect("/containers/web/attach?stream=1&stderr=1&raw=1", b"")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert await reader.read() == frame("stderr", b"err"), "only what was asked for"
    writer.close()


async def test_half_close_ends_stdin_and_output_goes_on(engine: FakeEngine, connect: Connect) -> None:
    engine.containers.items = [container(config=Config(open_stdin=True))]
    engine.containers.streams = FakeStreams(echo=True)
    _, reader, writer = await connect("/containers/web/attach?stream=1&stdin=1&stdout=1", b"")
    writer.write(b"hello")
    assert await reader.readexactly(13) == frame("stdout", b"hello")
    writer.write_eof()
    assert await reader.read() == frame("stdout", b"[eof]")
    writer.close()


async def test_detach_keys_end_a_terminal_session(engine: FakeEngine, connect: Connect) -> None:
    engine.containers.items = [container(config=Config(open_stdin=True, tty=True))]
    streams = engine.containers.streams = FakeStreams(echo=True)
    head, reader, writer = await connect(
        "/containers/web/attach?stream=1&stdin=1&stdout=1&detachKeys=ctrl-x", b""
    )
    assert "raw-stream" in head
    writer.write(b"ab")
    assert await reader.readexactly(2) == b"ab"
    writer.write(b"c\x18d")
    await reader.read()
    await asyncio.wait_for(streams.closed.wait(), 5)
    assert streams.written == b"abc"
    writer.close()


async def test_a_lost_client_detaches(engine: FakeEngine, connect: Connect) -> None:
    engine.containers.items = [container(config=Config(open_stdin=True))]
    streams = engine.containers.streams = FakeStreams(echo=True)
    _, _, writer = await connect("/containers/web/attach?stream=1&stdin=0&stdout=1", b"")
    writer.close()
    await asyncio.wait_for(streams.closed.wait(), 5)


async def test_attach_replays_logs_first(engine: FakeEngine, connect: Connect) -> None:
    engine.containers.lines = [LogLine(1, "stdout", b"before\n")]
    engine.containers.streams = FakeStreams([("stdout", b"after\n")])
    _, reader, writer = await connect("/containers/web/attach?stream=1&logs=1&stdout=1", b"")
    assert await reader.read() == frame("stdout", b"before\n") + frame("stdout", b"after\n")
    writer.close()


async def test_exec_stream(engine: FakeEngine, connect: Connect) -> None:
    await engine.execs.create(CONTAINER_ID, ExecRequest(argv=("ls",), tty=True))
    engine.execs.streams = FakeStreams([("stdout", b"listing")])
    head, reader, writer = await connect("/v1.51/exec/e1/start", b'{"Tty":true}')
    assert head.startswith("HTTP/1.1 101")
    assert await reader.read() == b"listing"
    writer.close()


async def test_a_command_that_cannot_start_is_told_on_the_stream(
    engine: FakeEngine, connect: Connect
) -> None:
    await engine.execs.create("web", ExecRequest(argv=("nosuch",)))
    engine.execs.fault = InvalidParameter("OCI runtime exec failed: no such file")
    head, reader, writer = await connect("/exec/e1/start", b"{}")
    assert head.startswith("HTTP/1.1 101")
    assert await reader.read() == frame("stdout", b"OCI runtime exec failed: no such file\r\n")
    writer.close()


async def test_errors_before_the_stream_are_http(connect: Connect) -> None:
    for path in ("/containers/nosuch/attach?stream=1", "/exec/nosuch/start"):
        head, _, writer = await connect(path, b"")
        assert head.startswith("HTTP/1.1 404")
        writer.close()
