"""What hangs delays nobody else: networks are made and used beside it as fast as without.

Two hosts, and the same requests to both in turns, so that both have the same weather. On one of them hang

    starts whose OCI runtime does not come back          copies and exports that nobody reads
    stops of processes that ignore the signal            commands whose output nobody reads
    images that trickle in                               pulls from a registry that says nothing

eight of each: more than the daemon has threads to wait in. ``make load`` takes more samples.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import Host
from load.wire import Client

pytestmark = pytest.mark.root
EACH = 8
ROUNDS = int(os.environ.get("LOAD_ROUNDS", "20"))
RATIO, SLACK = 3.0, 20.0
"""How much longer a request may take beside what hangs, and milliseconds that no scheduler owes anybody."""
HANGS = 60
"""Seconds that what hangs does so: nobody else may come near it."""
SLOW_RUNTIME = r"""
mount -t tmpfs tmpfs /usr/local/sbin
cat >/usr/local/sbin/crun <<'END'
#!/bin/sh
case " $* " in *" start "*) while [ -e /run/stuck ]; do sleep 0.2; done ;; esac
exec /usr/bin/crun "$@"
END
chmod +x /usr/local/sbin/crun
"""
BIG = "dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null"
SILENT = """python3 -c '
import socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
time.sleep(1000)
' 2>/dev/null >/run/registry & until [ -s /run/registry ]; do sleep 0.05; done; cat /run/registry"""
DEAF = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """One where things will hang, and a quiet one."""
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("busy", "quiet"):
            (tmp_path / name).mkdir()
            host = Host(tmp_path / name)
            stack.callback(host.close)
            host.ok(SLOW_RUNTIME)
            host.start_daemon("--default-runtime=crun")
            host.load_busybox()
            made.append(host)
        yield made[0], made[1]


class Hanging:
    """Requests whose answers are not awaited, and clients that send a little now and then."""

    def __init__(self, host: Host) -> None:
        self._path = host.reachable_socket
        self._sockets: list[socket.socket] = []
        self._trickling: list[socket.socket] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._trickle)
        self._thread.start()

    def ask(self, method: str, path: str, body: str = "", *, trickle: bool = False) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        how = "Transfer-Encoding: chunked" if trickle else f"Content-Length: {len(body)}"
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{how}\r\n\r\n"
        connection.sendall(head.encode() + body.encode())
        (self._trickling if trickle else self._sockets).append(connection)

    def _trickle(self) -> None:
        while not self._over.wait(0.2):
            for connection in tuple(self._trickling):
                with contextlib.suppress(OSError):
                    connection.sendall(b"1\r\n\0\r\n")

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for connection in (*self._sockets, *self._trickling):
            connection.close()


async def prepare(host: Host, hanging: Hanging | None) -> None:
    """A container to connect; and all that hangs, see above."""
    client = Client(host.reachable_socket, 60)

    async def create(name: str, command: list[str], network: str) -> None:
        body = {"Image": "busybox", "Cmd": command, "HostConfig": {"NetworkMode": network}}
        assert (await client.call("POST", f"/containers/create?name={name}", body)).status == 201

    async def run(name: str, command: list[str], network: str = "busy") -> None:
        await create(name, command, network)
        assert (await client.call("POST", f"/containers/{name}/start")).status == 204

    await run("free", ["sleep", "1000"], "bridge")
    if hanging:
        assert (await client.call("POST", "/networks/create", {"Name": "busy"})).status == 201
        await run("full", ["sh", "-c", f"{BIG}; sleep 1000"])
        await run("loud", ["sleep", "1000"])
        for number in range(EACH):
            await run(f"deaf{number}", DEAF)
            await create(f"stuck{number}", ["sleep", "1000"], "busy")
        host.ok("docker exec full sh -c 'while ! [ -e /big ]; do sleep 0.1; done'; touch /run/stuck")
        registry = host.ok(SILENT).strip()
        for number in range(EACH):
            body = {"Cmd": ["yes"], "AttachStdout": True}
            made = await client.call("POST", "/containers/loud/exec", body)
            hanging.ask("POST", f"/exec/{made.json()['Id']}/start", "{}")
            hanging.ask("POST", f"/containers/deaf{number}/stop?t={HANGS}")
            hanging.ask("GET", "/containers/full/archive?path=/big")
            hanging.ask("GET", "/containers/full/export")
            hanging.ask("POST", "/images/load", trickle=True)
            hanging.ask("POST", f"/images/create?fromImage=127.0.0.1:{registry}/slow{number}&tag=1")
            hanging.ask("POST", f"/containers/stuck{number}/start")
        await until_all_hang(host)
    client.close()


async def until_all_hang(host: Host) -> None:
    """To begin is work like any other; what is measured is the waiting."""
    async with asyncio.timeout(30):
        while True:
            lines = host.processes()
            starts = sum("/crun" in line and " start " in line for line in lines)
            if starts >= EACH and sum("skopeo" in line for line in lines) >= EACH:
                return
            await asyncio.sleep(0.1)


async def sample(hosts: tuple[Host, Host]) -> dict[str, tuple[list[float], list[float]]]:
    """Milliseconds of each verb on both hosts."""
    clients = [Client(host.reachable_socket, 60) for host in hosts]
    samples: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))

    async def take(verb: str, which: int, method: str, path: str, body: object = None) -> None:
        reply = await clients[which].call(method, path, body)
        assert reply.status < 300, (verb, reply)
        samples[verb][which].append((reply.answered - reply.sent) * 1000)

    for number in range(ROUNDS):
        for which in (0, 1) if number % 2 else (1, 0):
            name, body = f"n{number}", {"Container": "free"}
            await take("network create", which, "POST", "/networks/create", {"Name": name})
            await take("connect", which, "POST", f"/networks/{name}/connect", body)
            await take("inspect", which, "GET", f"/networks/{name}")
            await take("disconnect", which, "POST", f"/networks/{name}/disconnect", body)
            await take("network remove", which, "DELETE", f"/networks/{name}")
            await take("list", which, "GET", "/containers/json")
    for client in clients:
        client.close()
    return samples


def share(samples: list[float], part: float) -> float:
    return sorted(samples)[min(int(len(samples) * part), len(samples) - 1)]


@pytest.mark.timeout(120 + ROUNDS)
def test_what_hangs_delays_nobody(hosts: tuple[Host, Host]) -> None:
    busy, quiet = hosts
    hanging = Hanging(busy)
    try:
        asyncio.run(prepare(busy, hanging))
        asyncio.run(prepare(quiet, None))
        samples = asyncio.run(sample(hosts))
        states = busy.ok("docker ps -a --format '{{.Names}} {{.State}}'").splitlines()
    finally:
        hanging.close()
        busy.ok("rm -f /run/stuck")
    assert sum(line.startswith("stuck") and line.endswith("created") for line in states) == EACH, states
    assert sum(line.startswith("deaf") and line.endswith("running") for line in states) == EACH, states
    print(f"{'':16} beside what hangs   without (median, p90, p99 of {ROUNDS}, ms)")
    for verb, both in samples.items():
        shown = [" ".join(f"{share(each, part):5.0f}" for part in (0.5, 0.9, 0.99)) for each in both]
        print(f"{verb:16} {shown[0]}   {shown[1]}")
    part = 0.99 if ROUNDS >= 300 else 0.9
    for verb, (beside, without) in samples.items():
        assert share(beside, part) <= RATIO * share(without, part) + SLACK, verb
        assert max(beside) < HANGS * 1000 / 2, verb
