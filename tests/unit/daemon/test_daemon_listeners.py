"""Listening sockets, pid file, notifications, and the way from start to stop."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from fairway.api.backend import Backend
from fairway.daemon import listeners, pidfile, server
from fairway.daemon.config import Config
from fairway.daemon.notify import notify
from fairway.model.errors import Conflict, InvalidParameter
from unit.api.fake_engine import FakeEngine

OWN_GROUP = str(os.getgid())


def unix(path: Path) -> Config:
    return Config(hosts=(f"unix://{path}",), group=OWN_GROUP)


def test_a_unix_socket_and_its_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.sock"
    (made,) = listeners.open_all(unix(path), {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    made.close()
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_a_live_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (made,) = listeners.open_all(unix(path), {})
    with pytest.raises(Conflict) as caught:
        listeners.open_all(unix(path), {})
    assert "another daemon is listening" in caught.value.message
    made.close()


def test_another_kind_of_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    path.write_text("precious")
    with pytest.raises(Conflict):
        listeners.open_all(unix(path), {})
    assert path.read_text() == "precious"


def test_what_was_opened_is_closed_when_another_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with pytest.raises(InvalidParameter):
        listeners.open_all(Config(hosts=(f"unix://{path}", "fd://"), group=OWN_GROUP), {})
    assert not path.exists()


def test_tcp_in_use() -> None:
    (made,) = listeners.open_all(Config(hosts=("tcp://127.0.0.1:0",)), {})
    port = made.socket.getsockname()[1]
    with pytest.raises(Conflict) as caught:
        listeners.open_all(Config(hosts=(f"tcp://127.0.0.1:{port}",)), {})
    assert caught.value.message == f"listen tcp 127.0.0.1:{port}: bind: address already in use"
    made.close()


def test_sockets_of_the_service_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as given, socket.socket(socket.AF_UNIX) as other:
        given.bind("")
        monkeypatch.setattr(listeners, "FIRST_FD", os.dup(given.fileno()))
        environment = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "api"}
        with pytest.raises(InvalidParameter):
            listeners.open_all(Config(hosts=("fd://other",)), environment)
        (made,) = listeners.open_all(Config(hosts=("fd://api",)), environment)
        assert made.socket.getsockname() == given.getsockname() != other.getsockname()
        made.close()


def test_unknown_group() -> None:
    with pytest.raises(InvalidParameter) as caught:
        listeners.group_id("no-such-group")
    assert caught.value.message == "group no-such-group not found"
    assert (listeners.group_id("root"), listeners.group_id("4711")) == (0, 4711)


def test_pid_file(tmp_path: Path) -> None:
    path = tmp_path / "run" / "a.pid"
    with pidfile.held(path):
        assert path.read_text() == str(os.getpid())
    assert not path.exists()
    path.write_text("1")
    with pytest.raises(Conflict) as caught, pidfile.held(path):
        pass
    assert caught.value.message.endswith("process with PID 1 is still running")
    path.write_text("garbage")
    with pidfile.held(path):
        assert path.read_text() == str(os.getpid())


def test_notifications(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        assert notify("READY=1", {"NOTIFY_SOCKET": path})
        assert manager.recv(100) == b"READY=1"
    assert not notify("READY=1", {"NOTIFY_SOCKET": path})
    assert not notify("READY=1", {})


async def test_from_start_to_stop(tmp_path: Path) -> None:
    path, ended = tmp_path / "a.sock", asyncio.Event()

    @contextlib.asynccontextmanager
    async def assemble(config: Config) -> AsyncIterator[Backend]:
        yield FakeEngine()
        ended.set()

    running = asyncio.ensure_future(server.run(unix(path), [], assemble))
    async with asyncio.timeout(5):
        while not path.exists():
            await asyncio.sleep(0)
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
            async with session.get("http://x/_ping") as response:
                assert await response.text() == "OK"
            async with session.post("http://x/containers/web/wait") as response:
                os.kill(os.getpid(), signal.SIGTERM)
                with contextlib.suppress(aiohttp.ClientError):
                    assert await response.read() == b"", "a stream is cut, not waited for"
        await running
    assert ended.is_set()
    assert not path.exists()


async def test_a_thousand_that_come_at_once(tmp_path: Path) -> None:
    """None may be refused because the daemon has something else to do for a moment."""
    opened = listeners.open_all(unix(tmp_path / "a.sock"), {})
    async with server.serving(FakeEngine(), opened, unix(tmp_path / "a.sock")):
        with contextlib.ExitStack() as stack:
            for _ in range(1000):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(tmp_path / "a.sock"))
    for listener in opened:
        listener.close()
