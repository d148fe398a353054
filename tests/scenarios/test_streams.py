"""Connections that move data go on whatever happens to the daemon: not one byte is lost, and nobody waits.

    outside ──── published port ──── server          a neighbour's connection
    other ────── network ─────────── server          one between containers
    loopback of a namespace of its own               the control: what the machine itself makes wait

Each stream moves data both ways all the time and keeps count (``tests/stream_peer.py``). Its longest pause
may be 200 ms, or twice the control's where the machine is slower than that.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from daemon_host import NODE_IP, Host, running_host
from load.wire import Client, Reply

pytestmark = pytest.mark.root
PEER = str(Path(__file__).parents[1] / "stream_peer.py")
LONGEST = 0.2
AT_ONCE = 200
CONTAINERS = 20


class Stream:
    """Two ends; ``server`` and ``client`` are the words with which a command gets where they are."""

    def __init__(
        self, server: Sequence[str], client: Sequence[str], address: str, ports: tuple[int, int]
    ) -> None:
        listening, at = ports
        self._ends = [_peer(server, "listen", "0.0.0.0", listening)]
        self._ends.append(_peer(client, "connect", address, at))

    def longest(self) -> float:
        """Seconds of the longest pause at either end since the last time."""
        return max(float(_ask(end)) for end in self._ends)

    def finish(self) -> int:
        """No more; the bytes moved. What either end sent, the other one has received."""
        for end in self._ends:
            assert end.stdin
            end.stdin.close()
        first, second = (json.loads(end.stdout.read()) for end in self._ends if end.stdout)
        assert first["sent"] == second["received"]
        assert second["sent"] == first["received"]
        return int(first["sent"][0] + second["sent"][0])

    def close(self) -> None:
        for end in self._ends:
            end.kill()
            end.wait()
            for pipe in (end.stdin, end.stdout):
                if pipe:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _peer(where: Sequence[str], *how: object) -> "subprocess.Popen[str]":
    end = subprocess.Popen(
        [*where, sys.executable, PEER, *map(str, how)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert end.stdout
    assert end.stdout.readline() == "ready\n"
    return end


def _ask(end: "subprocess.Popen[str]") -> str:
    assert end.stdin
    assert end.stdout
    end.stdin.write("\n")
    end.stdin.flush()
    return end.stdout.readline()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host")) as made:
        made.ok("docker network create net")
        made.ok("docker run -d --name server --network net -p 8080:80 busybox sleep 1000")
        made.ok("docker run -d --name other --network net busybox sleep 1000")
        yield made


class Streams:
    """The three; they have begun to move."""

    def __init__(self, host: Host, stack: contextlib.ExitStack) -> None:
        inside = {name: _inside(host, name) for name in ("server", "other")}
        control = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "ip link set lo up; echo; exec sleep 1000"], stdout=-1
        )
        stack.callback(control.wait)
        stack.callback(control.kill)
        assert control.stdout
        with control.stdout as out:
            out.readline()
        alone = _inside_of(control.pid)
        address = host.ok("docker inspect -f '{{.NetworkSettings.Networks.net.IPAddress}}' server").strip()
        self.all: dict[str, Stream] = {}
        for name, *how in (
            ("published", inside["server"], host.outside(), NODE_IP, (80, 8080)),
            ("between", inside["server"], inside["other"], address, (81, 81)),
            ("control", alone, alone, "127.0.0.1", (81, 81)),
        ):
            self.all[name] = Stream(*how)  # type: ignore[arg-type]
            stack.callback(self.all[name].close)
        time.sleep(0.3)
        self._longest()

    def _longest(self) -> dict[str, float]:
        return {name: stream.longest() for name, stream in self.all.items()}

    def judge(self, what: str) -> None:
        """Let them move on for a moment, then look."""
        time.sleep(0.5)
        pauses = self._longest()
        moved = {name: stream.finish() for name, stream in self.all.items()}
        told = ", ".join(f"{n} {pauses[n] * 1000:.0f} ms ({moved[n] >> 20} MB)" for n in pauses)
        print(f"{what}: longest pause {told}")
        for name, pause in pauses.items():
            assert pause < max(LONGEST, 2 * pauses["control"]), name


def _inside(host: Host, container: str) -> list[str]:
    return _inside_of(int(host.ok(f"docker inspect -f '{{{{.State.Pid}}}}' {container}")))


def _inside_of(pid: int) -> list[str]:
    return ["nsenter", "-t", str(pid), "-n", "--"]


@pytest.fixture
def streams(host: Host) -> Iterator[Streams]:
    with contextlib.ExitStack() as stack:
        yield Streams(host, stack)


def test_the_daemon_is_killed_and_started_again(host: Host, streams: Streams) -> None:
    host.stop_daemon(signal.SIGKILL)
    time.sleep(0.2)
    host.start_daemon()
    streams.judge("kill and restart")


def test_the_daemon_is_stopped_and_started_again(host: Host, streams: Streams) -> None:
    host.stop_daemon()
    host.start_daemon()
    streams.judge("stop and start")


def test_reload(host: Host, streams: Streams) -> None:
    host.configuration.write_text('{"debug": true, "labels": ["a=b"]}')
    os.kill(host.daemon, signal.SIGHUP)
    streams.judge("reload")
    assert "a=b" in host.ok("docker info -f '{{.Labels}}'")


def test_two_hundred_operations_elsewhere(host: Host, streams: Streams) -> None:
    asyncio.run(busy(host.reachable_socket))
    streams.judge(f"{2 * AT_ONCE} operations, {AT_ONCE} at a time")


async def busy(socket: str) -> None:
    """Twice two hundred requests, all of them under way at once."""

    async def ask(method: str, path: str, body: object = None) -> Reply:
        client = Client(socket, 60)
        reply = await client.call(method, path, body)
        client.close()
        assert reply.status < 300, (path, reply)
        return reply

    made = {"Image": "busybox", "Cmd": ["sleep", "1000"], "StopSignal": "SIGKILL"}
    await asyncio.gather(ask("POST", "/networks/create", {"Name": "elsewhere"}))
    numbers = range(CONTAINERS)
    await asyncio.gather(*(ask("POST", f"/containers/create?name=run{i}", made) for i in numbers))
    looking = ("/containers/json?all=1", "/networks", "/networks/elsewhere", "/containers/server/json")
    looks = [path for _ in range((AT_ONCE - 3 * CONTAINERS) // len(looking)) for path in looking]
    await asyncio.gather(
        *(ask("POST", f"/containers/run{i}/start") for i in numbers),
        *(ask("POST", f"/containers/create?name=made{i}", made) for i in numbers),
        *(ask("POST", "/networks/elsewhere/connect", {"Container": f"run{i}"}) for i in numbers),
        *(ask("GET", path) for path in looks),
    )
    await asyncio.gather(
        *(ask("POST", "/networks/elsewhere/disconnect", {"Container": f"run{i}"}) for i in numbers),
        *(ask("DELETE", f"/containers/made{i}") for i in numbers),
        *(ask("POST", f"/containers/run{i}/update", {"PortBindings": {"80/tcp": [{}]}}) for i in numbers),
        *(ask("GET", path) for path in looks),
    )
    await asyncio.gather(*(ask("DELETE", f"/containers/run{i}?force=1") for i in numbers))
    await ask("DELETE", "/networks/elsewhere")


def test_the_ruleset_is_flushed(host: Host, streams: Streams) -> None:
    host.ok("nft flush ruleset")
    deadline = time.monotonic() + 5
    while "8080" not in host.run("nft list table inet fairway").stdout:
        assert time.monotonic() < deadline, "the table does not come back"
        time.sleep(0.02)
    streams.judge("nft flush ruleset")


def test_the_doctor_puts_right(host: Host, streams: Streams) -> None:
    host.ok("nft delete table inet fairway; fairway doctor --fix")
    streams.judge("fairway doctor --fix")
