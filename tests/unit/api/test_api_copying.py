"""Files of containers over the API, and samples of what they use."""

import asyncio
import base64
import json
import os
import socket as sockets
import stat

import aiohttp
import pytest

from fairway.api import archive
from fairway.model.tree import PathStat
from unit.api.fake_engine import FakeEngine


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o755, 0x80000000 | 0o755),
        (stat.S_IFLNK | 0o777, 0x08000000 | 0o777),
        (stat.S_IFDIR | 0o1777, 0x80000000 | 0x00100000 | 0o777),
        (stat.S_IFREG | 0o6755, 0x00800000 | 0x00400000 | 0o755),
        (stat.S_IFCHR | 0o600, 0x04000000 | 0x00200000 | 0o600),
        (stat.S_IFBLK | 0o600, 0x04000000 | 0o600),
        (stat.S_IFIFO | 0o600, 0x02000000 | 0o600),
        (stat.S_IFSOCK | 0o600, 0x01000000 | 0o600),
    ],
)
def test_modes_are_those_of_go(mode: int, expected: int) -> None:
    """Values of Go's io/fs.FileMode."""
    assert archive.go_mode(mode) == expected


def header(response: aiohttp.ClientResponse) -> object:
    return json.loads(base64.b64decode(response.headers["X-Docker-Container-Path-Stat"]))


MOTD = {"name": "motd", "size": 5, "mode": 0o644, "mtime": "2023-11-14T22:13:20Z", "linkTarget": ""}


def test_a_file_of_the_epoch() -> None:
    found = PathStat(name="f", size=0, mode=stat.S_IFREG, modified=0)
    shown = base64.b64decode(archive.stat_header(found)["X-Docker-Container-Path-Stat"])
    assert json.loads(shown)["mtime"] == "1970-01-01T00:00:00Z"


async def test_describe_and_download(http: aiohttp.ClientSession) -> None:
    async with http.head("/containers/web/archive", params={"path": "/etc/motd"}) as response:
        assert (response.status, header(response)) == (200, MOTD)
    async with http.get("/containers/web/archive", params={"path": "/etc/motd"}) as response:
        assert (response.content_type, header(response)) == ("application/x-tar", MOTD)
        assert await response.read() == b"tar"


async def test_refusals(http: aiohttp.ClientSession) -> None:
    async with http.get("/containers/web/archive", params={"path": "/nope"}) as response:
        text = "Could not find the file /nope in container web"
        assert (response.status, await response.json()) == (404, {"message": text})
    async with http.head("/containers/web/archive", params={"path": "/nope"}) as response:
        assert response.status == 404
    async with http.put("/containers/web/archive", data=b"x") as response:
        assert response.status == 400


async def test_upload(http: aiohttp.ClientSession, engine: FakeEngine) -> None:
    query = {"path": "/srv", "noOverwriteDirNonDir": "true", "copyUIDGID": "1"}
    async with http.put("/containers/web/archive", params=query, data=b"x" * 300_000) as response:
        assert response.status == 200
    assert engine.copying.uploads == [("/srv", b"x" * 300_000, True, True)]


async def test_a_client_that_takes_nothing_is_given_up(
    socket: str, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "PATIENCE", 0.05)
    engine.copying.endless = True
    with sockets.socket(sockets.AF_UNIX) as client:
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, socket)
        request = b"GET /containers/web/archive?path=/etc/motd HTTP/1.1\r\nHost: x\r\n\r\n"
        await asyncio.get_running_loop().sock_sendall(client, request)
        await asyncio.wait_for(engine.copying.ended.wait(), 10)
        received = os.read(client.fileno(), 1 << 20)
        assert received.startswith(b"HTTP/1.1 200 OK")


async def test_a_client_that_sends_nothing_is_given_up(
    socket: str, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "PATIENCE", 0.05)
    reader, writer = await asyncio.open_unix_connection(socket)
    head = "PUT /containers/web/archive?path=/srv HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode() + b"3\r\ntar\r\n")
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 503")
    assert engine.copying.uploads == []
    writer.close()
    await writer.wait_closed()


async def test_stats_stream(http: aiohttp.ClientSession) -> None:
    async with http.get("/containers/web/stats") as response:
        samples = [json.loads(line) async for line in response.content]
    assert [s["cpu_stats"]["cpu_usage"]["total_usage"] for s in samples] == [1, 2, 3]
    assert [s["precpu_stats"]["cpu_usage"]["total_usage"] for s in samples] == [0, 1, 2]
    assert (samples[0]["name"], samples[0]["preread"]) == ("/web", "0001-01-01T00:00:00Z")
    assert "networks" not in samples[0]


async def test_stats_once(http: aiohttp.ClientSession) -> None:
    async with http.get("/containers/web/stats", params={"stream": "false"}) as response:
        both = await response.json()
    assert both["cpu_stats"]["cpu_usage"]["total_usage"] == 2
    assert both["precpu_stats"] == {
        "cpu_usage": {"total_usage": 1, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
        "online_cpus": 2,
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    }
    async with http.get("/containers/web/stats", params={"stream": "0", "one-shot": "1"}) as response:
        one = await response.json()
    assert "online_cpus" not in one["precpu_stats"]
    async with http.get("/containers/stopped/stats", params={"stream": "0"}) as response:
        assert (await response.json())["read"] == "0001-01-01T00:00:00Z"
    async with http.get("/containers/web/stats", params={"one-shot": "1"}) as response:
        assert response.status == 400
    async with http.get("/containers/nosuch/stats", params={"stream": "0"}) as response:
        assert response.status == 404
