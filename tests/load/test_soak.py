"""Containers that come and go, with all that people do to them: the daemon is as large afterwards as before.

Each cycle makes a network and a container on it with a published port, talks to it through that, and removes
both. Every fifth also looks at the container in every way, attaches to it and leaves, changes what it is
connected to and publishes, restarts it, and has requests refused. ``make soak`` is 2,000 cycles; a slice is
in ``make test``. Some cycles come first and do not count: what is allocated once is no leak. The bounds are
below one thing in each full cycle.
"""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import Host, running_host
from faults.auditor import audit_host
from load.footprint import everything, left, sizes
from load.wire import Client, Reply
from thread_host import enter, in_thread

pytestmark = pytest.mark.root
CYCLES = int(os.environ.get("SOAK_CYCLES", "40"))
FULL = 5
"""One in so many cycles does everything."""
WARM_UP = max(10, CYCLES // 10)
ALLOWED = {"memory (KB)": 12_000, "size (KB)": 4_500}
"""What may be more afterwards. Of memory what the daemon's past (the last 1,024 events, 512 commands) and
garbage that waits for its collection take, 6 KB for each cycle of 2,000; objects are counted one by one in
``unit/engine/test_leaks``. Of disk the store's log, which SQLite lets grow to 4 MB. Of everything else half a
thing for each full cycle."""
_WEB = {
    "Image": "busybox",
    "Cmd": ["httpd", "-f", "-p", "80", "-h", "/etc"],
    "StopSignal": "SIGKILL",
    "HostConfig": {"NetworkMode": "soak", "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}},
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running_host(tmp_path) as running:
        yield running


class Cycle:
    """One client's life with a container."""

    def __init__(self, host: Host, client: Client) -> None:
        self._host, self._client = host, client

    async def plain(self) -> None:
        await self._must("POST", "/networks/create", {"Name": "soak"})
        await self._must("POST", "/containers/create?name=web", _WEB)
        await self._must("POST", "/containers/web/start")
        await self._fetch()
        await self._must("DELETE", "/containers/web?force=1&v=1")
        await self._must("DELETE", "/networks/soak")

    async def full(self) -> None:
        await self._must("POST", "/networks/create", {"Name": "soak"})
        await self._must("POST", "/networks/create", {"Name": "other"})
        body = _WEB | {
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 10**8},
            "Volumes": {"/data": {}},
        }
        await self._must("POST", "/containers/create?name=web", body)
        await self._leave("/containers/web/attach?stream=1&stdout=1")
        await self._leave("/containers/web/wait?condition=next-exit")
        await self._must("POST", "/containers/web/start")
        await self._fetch()
        await self._look()
        await self._must("POST", "/networks/other/connect", {"Container": "web"})
        await self._must("POST", "/containers/web/update", {"PortBindings": {"80/tcp": []}})
        await self._must("POST", "/networks/soak/disconnect", {"Container": "web"})
        await self._must("POST", "/containers/web/stop")
        await self._must("POST", "/containers/web/start")
        await self._refused()
        await self._leave("/containers/web/attach?stream=1&stdout=1")
        await self._must("DELETE", "/containers/web?force=1&v=1")
        await self._must("DELETE", "/networks/soak")
        await self._must("DELETE", "/networks/other")

    async def _look(self) -> None:
        made = await self._must("POST", "/containers/web/exec", {"Cmd": ["id"], "AttachStdout": True})
        await self._must("POST", f"/exec/{made.json()['Id']}/start", {})
        await self._leave("/containers/web/logs?follow=1&stdout=1", "GET")
        await self._leave("/containers/web/stats", "GET")
        await self._leave("/events", "GET")
        for path in ("json", "top", "changes", "stats?stream=0&one-shot=1", "archive?path=/etc"):
            await self._must("GET", f"/containers/web/{path}")
        await self._must("GET", "/networks/soak")

    async def _refused(self) -> None:
        """What fails must leave nothing either."""
        wrong: tuple[tuple[str, dict[str, object]], ...] = (
            ("/containers/create?name=web", {"Image": "busybox"}),
            ("/networks/create", {"Name": "soak"}),
            ("/networks/soak/connect", {"Container": "nobody"}),
        )
        for path, body in wrong:
            assert (await self._client.call("POST", path, body)).status in (404, 409)
        bad = {"Image": "busybox", "Cmd": ["/nosuch"], "HostConfig": {"NetworkMode": "soak"}}
        await self._must("POST", "/containers/create?name=bad", bad)
        assert (await self._client.call("POST", "/containers/bad/start")).status == 400
        await self._must("DELETE", "/containers/bad")

    async def _must(self, method: str, path: str, body: object = None) -> Reply:
        reply = await self._client.call(method, path, body)
        assert reply.status < 300, (method, path, reply)
        return reply

    async def _leave(self, path: str, method: str = "POST") -> None:
        """Ask for something that goes on, and go away once it has begun."""
        reader, writer = await asyncio.open_unix_connection(self._host.reachable_socket)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def _fetch(self) -> None:
        """One connection through the published port."""

        def fetch() -> bytes:
            namespace = os.open(f"/proc/{self._host.daemon}/ns/net", os.O_RDONLY)
            try:
                enter(namespace)
            finally:
                os.close(namespace)
            with socket.create_connection(("192.168.56.101", 8080), 10) as connection:
                connection.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
                return connection.recv(4096)

        while True:
            try:
                answer = await asyncio.to_thread(in_thread, fetch)
            except ConnectionError:  # httpd is not listening yet
                await asyncio.sleep(0.01)
                continue
            assert b"200" in answer, answer
            return


async def cycles(host: Host, count: int) -> None:
    client = Client(host.reachable_socket, 60)
    for number in range(count):
        cycle = Cycle(host, client)
        await (cycle.plain() if number % FULL else cycle.full())
    client.close()


def settled(host: Host) -> dict[str, int]:
    """Once what goes by itself, as closed connections and idle threads' work, has gone."""
    host.settle()
    found = sizes(host, host.daemon)
    for _ in range(20):
        host.run("sleep 0.25")
        before, found = found, sizes(host, host.daemon)
        if all(found[what] >= before[what] for what in found):
            break
    return found


@pytest.mark.timeout(120 + CYCLES)
def test_nothing_grows(host: Host) -> None:
    asyncio.run(cycles(host, WARM_UP))
    there, before = everything(host), settled(host)
    asyncio.run(cycles(host, CYCLES))
    after = settled(host)
    print(f"{CYCLES} cycles\n{'':28} {'before':>8} {'after':>8}")
    print("\n".join(f"{what:28} {count:8} {after[what]:8}" for what, count in before.items()))
    assert not left(there, everything(host))
    assert audit_host(host) == []
    problems = [line for line in host.log().splitlines() if "error" in line or "Traceback" in line]
    assert not problems, "\n".join(problems[:20])
    for what, count in before.items():
        allowed = next((most for end, most in ALLOWED.items() if what.endswith(end)), CYCLES // FULL // 2)
        assert after[what] - count <= allowed, what
