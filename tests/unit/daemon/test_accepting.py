"""Connections: those without a request end, those that are too many are told so."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairway.api import routing
from fairway.api.descriptors import Budget
from fairway.daemon import server
from fairway.daemon.config import Config
from fairway.daemon.listeners import Listener
from fairway.model.errors import Unavailable
from unit.api.fake_engine import FakeEngine

PING = b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Descriptors that the daemon believes it may open."""
    limit = getattr(request, "param", 4096)
    monkeypatch.setattr(server, "budget", lambda: Budget(limit))
    return limit


@pytest.fixture
async def path(tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(server, "KEEPALIVE_SECONDS", 0.05)
    monkeypatch.setattr(routing, "BODY_SECONDS", 0.05)
    path = str(tmp_path / "api.sock")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    with listening:
        async with server.serving(FakeEngine(), [Listener(listening)], Config(shutdown_timeout=0)):
            yield path


async def answer(path: str, request: bytes, end: bytes = b"") -> bytes:
    """All that comes back, up to ``end`` or until the daemon closes the connection."""
    reader, writer = await asyncio.open_unix_connection(path)
    if request:
        writer.write(request)
    try:
        async with asyncio.timeout(5):
            return await (reader.readuntil(end) if end else reader.read())
    finally:
        writer.close()


@pytest.mark.parametrize("sent", [b"", PING[:-2], PING[:10]], ids=["nothing", "half a head", "half a line"])
async def test_a_connection_without_a_request_ends(path: str, sent: bytes) -> None:
    assert await answer(path, sent) == b""


async def test_an_idle_connection_ends(path: str) -> None:
    assert (await answer(path, PING)).endswith(b"OK")


async def test_a_body_that_does_not_come(path: str) -> None:
    head = (
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    found = await answer(path, head, b" seconds")
    assert found.startswith(b"HTTP/1.1 503")
    assert b"the request's body did not arrive within 0 seconds" in found


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\n" + b"".join(b"X%d: x\r\n" % n for n in range(1000)) + b"\r\n",
    ],
    ids=["URL", "header", "headers"],
)
async def test_heads_are_bounded(path: str, request_: bytes) -> None:
    assert (await answer(path, request_)).startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize("limit", [8], indirect=True)
async def test_too_many_connections_are_told_so(path: str) -> None:
    found = await answer(path, PING)
    assert found.startswith(b"HTTP/1.1 503")
    assert b"too many connections: the daemon may open 8 files" in found


def test_the_budget_counts_what_is_open() -> None:
    with socket.socket() as first:
        Budget(4 * first.fileno() + 40).check_stream(first.fileno())
        with pytest.raises(Unavailable, match=r"too many streams: .* of 8 files open .*LimitNOFILE"):
            Budget(8).check_stream(first.fileno())
