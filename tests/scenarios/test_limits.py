"""Limits that protect the daemon: clients that do not read, too many of them, no descriptors, DNS floods."""

import contextlib
import json
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root
FILES = 256
"""Descriptors that the daemon may open."""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    try:
        made = running_host(tmp_path_factory.mktemp("limits"))
        running = made.__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as stack:
        stack.push(made.__exit__)
        yield running


class Client:
    """A connection that reads only when told to, with little room for what it does not read."""

    def __init__(self, host: Host) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(host.reachable_socket)

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> None:
        head = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
        if body:
            head.append("Content-Type: application/json")
        self.socket.sendall("\r\n".join([*head, "", ""]).encode() + body)

    def attach(self, container: str) -> None:
        path = f"/containers/{container}/attach?stream=1&stdout=1"
        self.ask("POST", path, "Connection: Upgrade", "Upgrade: tcp")

    def head(self) -> str:
        """Status and headers of the answer, and what has come with them."""
        text = b""
        while b"\r\n\r\n" not in text and (chunk := self.socket.recv(4096)):
            text += chunk
        return text.decode(errors="replace")


@pytest.fixture
def client(host: Host) -> Iterator["Clients"]:
    with contextlib.ExitStack() as stack:
        yield Clients(host, stack)


class Clients:
    def __init__(self, host: Host, stack: contextlib.ExitStack) -> None:
        self._host, self._stack = host, stack

    def __call__(self) -> Client:
        made = Client(self._host)
        self._stack.enter_context(made.socket)
        return made


def memory(host: Host) -> int:
    """Resident bytes of the daemon."""
    text = Path(f"/proc/{host.daemon_pid}/status").read_text()
    return 1024 * int(text.partition("VmRSS:")[2].split()[0])


def processor(host: Host) -> float:
    """Seconds that the daemon has computed."""
    fields = Path(f"/proc/{host.daemon_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(condition: object, what: str, seconds: float = 20) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_streams_leave_descriptors_for_other_work(host: Host, client: Clients) -> None:
    refused = ""
    for _ in range(FILES):
        following = client()
        following.ask("GET", "/events")
        answer = following.head()
        if " 200 " not in answer.partition("\r\n")[0]:
            refused = answer
            break
    assert refused.startswith("HTTP/1.1 503")
    assert f"of {FILES} files open" in refused
    assert "LimitNOFILE" in refused
    assert host.run("docker logs nobody").stdout.count("No such container") == 1
    assert host.ok("docker run --rm -d busybox true"), "needs some thirty descriptors for a moment"
    # An exec is a stream, a list is not.
    assert "too many streams" in host.run("docker events --since 1 --until 2").stdout
    assert host.ok("docker network ls")


def test_connections_leave_descriptors_for_other_work(host: Host, client: Clients) -> None:
    for _ in range(FILES):
        client()

    def told() -> bool:
        late = client()
        with contextlib.suppress(ConnectionError):  # a few at a time are told
            late.ask("GET", "/_ping")
            return f"too many connections: the daemon may open {FILES} files" in late.head()
        return False

    until(told, "nobody is told why")


def test_no_descriptor_at_all_does_not_make_it_spin(host: Host, client: Clients) -> None:
    directory = Path(f"/proc/{host.daemon_pid}/fd")
    until(lambda: len(list(directory.iterdir())) < FILES // 4, "clients of other tests are still there")
    used = {int(fd.name) for fd in directory.iterdir()}
    following = next(number for number in range(FILES) if number not in used)
    resource.prlimit(host.daemon_pid, resource.RLIMIT_NOFILE, (following + 3, FILES))
    try:
        waiting = [client() for _ in range(20)]
        before = processor(host)
        time.sleep(1)
        assert processor(host) - before < 0.5
    finally:
        resource.prlimit(host.daemon_pid, resource.RLIMIT_NOFILE, (FILES, FILES))
    for each in waiting:
        each.ask("GET", "/_ping", "Connection: close")
        assert each.head().startswith("HTTP/1.1 200"), "once there are descriptors again"
    assert "cannot accept connections" in host.log()


def test_clients_that_go_away_are_no_error(host: Host, client: Clients) -> None:
    following = [client() for _ in range(100)]
    for each in following:
        each.ask("GET", "/events")
        assert each.head()
    before = host.log()
    worker = client()
    for number, each in enumerate(following):
        worker.ask("POST", "/volumes/create", body=json.dumps({"Name": f"v{number}"}).encode())
        each.socket.close()
        assert " 201 " in worker.head()
    host.ok("docker volume prune -af")
    assert host.log() == before


def test_who_does_not_read_an_attached_output_keeps_nobody_from_stopping(host: Host, client: Clients) -> None:
    host.ok("docker run -d --name mute busybox sh -c 'sleep 0.3; yes'")
    stuck = client()
    stuck.attach("mute")
    assert stuck.head().startswith("HTTP/1.1 101")
    log = Path(host.ok("docker inspect -f '{{.LogPath}}' mute").strip())

    def still() -> bool:
        before = log.stat().st_size
        time.sleep(0.3)
        return 0 < before == log.stat().st_size

    until(still, "the client that does not read slows the container down")
    others = [client() for _ in range(12)]  # conmon lets ten wait
    for each in others:
        each.attach("mute")
    assert host.ok("docker network ls", timeout=10)
    last = client()
    last.attach("mute")
    assert "a client that does not read its output holds it up" in last.head()
    host.ok("docker stop -t 0 mute", timeout=20)
    assert host.ok("docker inspect -f '{{.State.ExitCode}}' mute") == "137\n"
    host.ok("docker rm mute")
    received = 0
    while chunk := stuck.socket.recv(1 << 20):
        received += len(chunk)
    assert received > 100_000, "what had been taken from the container can still be read"


def test_who_does_not_read_costs_no_memory(host: Host, client: Clients) -> None:
    host.ok(f"docker run --name much busybox sh -c 'yes {40 * 'x'} | head -c 20000000' >/dev/null")
    host.ok("docker run -d --name idle busybox sleep 600")
    before = memory(host)
    silent = [client() for _ in range(20)]
    for each, path in zip(
        silent,
        [
            *["/containers/much/logs?stdout=1&follow=1"] * 8,
            *["/containers/much/logs?stdout=1"] * 4,
            *["/containers/much/export"] * 2,
            *["/containers/much/archive?path=/bin"] * 2,
            *["/containers/idle/stats"] * 2,
            *["/events"] * 2,
        ],
        strict=True,
    ):
        each.ask("GET", path)
    for each in silent[:12]:
        each.socket.recv(1)
    time.sleep(0.5)
    for number in range(4):
        assert host.ok(f"docker network create n{number}; docker network rm n{number}")
    assert memory(host) - before < 30_000_000
    for each in silent:
        each.socket.close()
    host.ok("docker rm -f much idle", timeout=20)
