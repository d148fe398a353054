"""The port holder as a process: its ports and other processes, deaths and restarts.

The test's main thread moves into a fresh network namespace, "the host": the holder is started there, and
servers on its loopback stand for containers.
"""

import asyncio
import errno
import os
import select
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fairway.companion import launch
from fairway.companion.launch import Companion
from fairway.kernel.holding import PortHolder
from fairway.model.hold import CHANGED, UNCHANGED, Hold
from fairway.ports.control import HolderClient, PortLine, companion
from thread_host import own_namespace

pytestmark = pytest.mark.root

CONTAINER = ("127.0.0.2", 80)
EVERYWHERE = Hold("tcp", "", 8080, *CONTAINER)
MANY = tuple(Hold("tcp", "", port, *CONTAINER) for port in range(20_000, 30_000))


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Companion]:
    """Where the holder of a host lives; it is ended with the host, and had nothing to complain about."""
    made = companion(str(tmp_path / "control"), str(tmp_path / "state"))
    with own_namespace():
        yield made
        launch.shutdown(made)
    assert not Path(made.socket).exists()
    log = Path(made.state, "port-holder.log")
    assert not log.exists() or log.read_text() == ""


@pytest.fixture
def line(holder: Companion) -> Iterator[PortLine]:
    made = PortLine(holder)
    yield made
    made.disconnect()


def pid(line: PortLine) -> int:
    assert line._connection
    return launch.process_id(line._connection)


def kill(process: int) -> None:
    """Kill it and wait until it is gone."""
    watched = os.pidfd_open(process)
    os.kill(process, signal.SIGKILL)
    assert select.select([watched], [], [], 5)[0]
    os.close(watched)


def refused(address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def echo(sock: socket.socket) -> None:
    """Send everything back, then the end."""
    with sock:
        while data := sock.recv(1 << 16):
            sock.sendall(data)


class Server:
    """Echoes each connection in a thread of its own."""

    def __init__(self, address: tuple[str, int], backlog: int = 4096) -> None:
        self.listening = socket.socket()
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind(address)
        self.listening.listen(backlog)
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                accepted, _ = self.listening.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=echo, args=(accepted,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self._thread.join()


@pytest.fixture
def container(holder: Companion) -> Iterator[Server]:
    made = Server(CONTAINER)
    yield made
    made.close()


def test_ports_belong_to_nobody_else_until_they_are_released(line: PortLine) -> None:
    dns = Hold("udp", "", 53, "127.0.0.2", 53)
    assert line.change((), (EVERYWHERE, dns)) == (CHANGED, CHANGED)
    for address in ("0.0.0.0", "127.0.0.1", "::", "::1"):
        assert refused(address, 8080)
        assert refused(address, 53, socket.SOCK_DGRAM)
    assert line.change((EVERYWHERE, dns), ()) == (CHANGED, CHANGED)
    for address in ("0.0.0.0", "127.0.0.1", "::", "::1"):
        assert not refused(address, 8080)
        assert not refused(address, 53, socket.SOCK_DGRAM)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_link_local_addresses(line: PortLine, kind: socket.SocketKind) -> None:
    """The kernel cannot forward what is sent there; the answer must come from there, by that interface."""
    subprocess.run(["ip", "addr", "add", "fe80::5/64", "dev", "lo", "nodad"], check=True)
    with socket.socket(socket.AF_INET, kind) as container, socket.socket(socket.AF_INET6, kind) as client:
        container.bind(CONTAINER)
        for sock in (container, client):
            sock.settimeout(5)
        if kind == socket.SOCK_STREAM:
            container.listen()
        line.change((), (EVERYWHERE._replace(protocol="tcp" if kind == socket.SOCK_STREAM else "udp"),))
        client.connect(("fe80::5", 8080, 0, socket.if_nametoindex("lo")))
        client.send(b"question")
        if kind == socket.SOCK_STREAM:
            accepted, _ = container.accept()
            with accepted:
                assert accepted.recv(100) == b"question"
                accepted.send(b"answer")
        else:
            data, flow = container.recvfrom(100)
            assert data == b"question"
            container.sendto(b"answer", flow)
        assert client.recv(100) == b"answer"


def test_a_host_that_switched_ipv6_off(line: PortLine, container: Server) -> None:
    subprocess.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"], check=True)
    assert line.change((), (EVERYWHERE,)) == (CHANGED,)
    assert refused("127.0.0.1", 8080)
    socket.create_connection(("127.0.0.1", 8080), 5).close()


def test_a_large_transfer_both_ways(line: PortLine, container: Server) -> None:
    """More than all buffers on the way hold, sent and read at the same time."""
    line.change((), (EVERYWHERE,))
    data = os.urandom(1 << 16) * 256
    with socket.create_connection(("::1", 8080), 30) as sock:

        def send() -> None:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received = bytearray()
        while part := sock.recv(1 << 16):
            received += part
        sender.join()
    assert received == data


def test_hundreds_of_connections_at_once(line: PortLine, container: Server) -> None:
    line.change((), (EVERYWHERE,))
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("::1", 8080), 30)) for _ in range(500)]
        for i, sock in enumerate(socks):
            sock.sendall(b"%d" % i)
        for i, sock in enumerate(socks):
            assert sock.recv(100) == b"%d" % i


def test_ten_thousand_ports_are_one_message(line: PortLine) -> None:
    assert set(line.change((), MANY)) == {CHANGED}
    assert set(line.change((), MANY)) == {UNCHANGED}
    assert sorted(line.held()) == sorted(MANY)
    assert refused("127.0.0.1", MANY[-1].port)
    assert set(line.change(MANY, ())) == {CHANGED}
    assert line.held() == ()
    assert not refused("127.0.0.1", MANY[-1].port)


def test_it_needs_little_memory(line: PortLine) -> None:
    line.change((), MANY)
    rollup = Path(f"/proc/{pid(line)}/smaps_rollup").read_text()
    assert int(rollup.split("Pss:")[1].split()[0]) < 32 * 1024


def test_one_that_is_taken_is_named(line: PortLine) -> None:
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", MANY[5].port))
        other.listen()
        outcomes = line.change((), MANY[:10])
    assert [each.changed for each in outcomes] == [True] * 5 + [False] + [True] * 4
    assert outcomes[5].text == f"listen tcp6 [::]:{MANY[5].port}: bind: address already in use"


def test_ports_stay_held_while_the_daemon_is_down(line: PortLine, container: Server) -> None:
    line.change((), (EVERYWHERE,))
    first = pid(line)
    line.disconnect()
    assert refused("0.0.0.0", 8080)
    with socket.create_connection(("127.0.0.1", 8080), 5) as sock:
        sock.sendall(b"still there")
        assert sock.recv(100) == b"still there"
    assert line.held() == (EVERYWHERE,)
    assert pid(line) == first


async def test_a_killed_holder_is_noticed_and_replaced(holder: Companion, line: PortLine) -> None:
    died = asyncio.Event()
    client = HolderClient(holder, died.set)
    assert await client.start() is True
    assert line.change((), (EVERYWHERE,)) == (CHANGED,)
    first = client.pid
    os.kill(first, signal.SIGKILL)
    await asyncio.wait_for(died.wait(), 5)
    assert not refused("0.0.0.0", 8080), "on_exit is called when its ports are free again"
    assert await client.start() is True
    assert client.pid != first
    assert await client.held() == ()
    assert line.change((), (EVERYWHERE,)) == (CHANGED,)
    await client.close()


def test_an_operation_that_meets_a_dead_holder_succeeds(line: PortLine) -> None:
    line.change((), (EVERYWHERE,))
    kill(pid(line))
    assert line.change((), (EVERYWHERE,)) == (CHANGED,)
    assert refused("0.0.0.0", 8080)


async def test_it_ends_when_it_is_told_to(holder: Companion, line: PortLine) -> None:
    client = HolderClient(holder)
    await client.start()
    line.change((), (EVERYWHERE,))
    await client.shutdown()
    assert not refused("0.0.0.0", 8080)


def test_it_keeps_a_socket_open(line: PortLine) -> None:
    """Until it is told to keep another one, or none; ours is closed."""
    near, far = socket.socketpair()
    with near:
        near.setblocking(False)
        line.keep(far)
        assert far.fileno() == -1
        with pytest.raises(BlockingIOError):
            near.recv(1)
        line.keep(None)
        assert near.recv(1) == b""


def test_who_may_speak_to_it_and_what_it_is_called(holder: Companion, line: PortLine) -> None:
    line.held()
    process = pid(line)
    assert stat.S_IMODE(os.stat(holder.socket).st_mode) == 0o600
    assert Path(f"/proc/{process}/comm").read_text() == "fairway-ports\n"
    assert os.getsid(process) != os.getsid(0)


def test_the_client_is_what_the_kernel_needs(holder: Companion) -> None:
    ports: PortHolder = PortLine(holder)
    assert ports.held is not None
