"""Published ports with real packets through a whole host: who gets them, who does not, and while they change.

The test itself serves in the containers and calls from the host and from outside: a socket belongs for ever
to the namespace in which it was made.
"""

import contextlib
import os
import random
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from daemon_host import NODE_IP, Host, running_host
from thread_host import enter, in_thread

pytestmark = pytest.mark.root
PATIENCE, BRIEF = 5.0, 0.3
"""Seconds after which what should come, or should not, counts as lost."""
CLIENTS = 5


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host")) as made:
        yield made


@pytest.fixture
def host(running: Host) -> Iterator[Host]:
    """A host without containers or networks of ours."""
    yield running
    running.ok("docker ps -aq | xargs -r docker rm -f; docker network prune -f")


class Place:
    """A network namespace: the host's, the neighbour's, a container's."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def _socket(
        self, kind: int, port: int = 0, peer: tuple[str, int] | None = None, listens: bool = False
    ) -> socket.socket:
        """Bound, then connected or listening. Raises OSError."""

        def make() -> socket.socket:
            namespace = os.open(f"/proc/{self._pid}/ns/net", os.O_RDONLY)
            try:
                enter(namespace)
                return socket.socket(socket.AF_INET, kind)
            finally:
                os.close(namespace)

        made = in_thread(make)
        made.settimeout(PATIENCE)
        try:
            if kind == socket.SOCK_STREAM:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(("", port))
            if peer:
                made.connect(peer)
            elif listens:
                made.listen(100)
        except OSError:
            made.close()
            raise
        return made

    def listening(self, port: int) -> socket.socket:
        return self._socket(socket.SOCK_STREAM, port, listens=True)

    def connected(self, address: str, port: int, source_port: int = 0) -> socket.socket:
        return self._socket(socket.SOCK_STREAM, source_port, (address, port))

    def bound(self, port: int) -> socket.socket:
        """A UDP server."""
        return self._socket(socket.SOCK_DGRAM, port)

    def sending(self, address: str, port: int) -> socket.socket:
        """A UDP client."""
        return self._socket(socket.SOCK_DGRAM, 0, (address, port))


def outside(host: Host) -> Place:
    return Place(int(host.outside()[2]))


def inside(host: Host, container: str) -> Place:
    return Place(int(host.ok(f"docker inspect -f '{{{{.State.Pid}}}}' {container}")))


def here(host: Host) -> Place:
    return Place(int(host.enter()[2]))


def run(host: Host, name: str, options: str = "") -> Place:
    host.ok(f"docker run -d --name {name} {options} busybox sleep 600")
    return inside(host, name)


def talks(client: socket.socket, server: socket.socket, words: bytes = b"hello") -> bool:
    """Both ways."""
    client.send(words)
    server.send(server.recv(100)[::-1])
    return client.recv(100) == words[::-1]


def reaches(client: socket.socket, listening: socket.socket) -> bool:
    """Whether the next connection accepted is the client's."""
    with listening.accept()[0] as peer:
        return talks(client, peer)


def arrives(client: socket.socket, server: socket.socket, words: bytes) -> bool:
    """A datagram."""
    client.send(words)
    server.settimeout(BRIEF)
    with contextlib.suppress(TimeoutError):
        while data := server.recv(100):
            if data == words:
                return True
    return False


def ports(host: Host, container: str) -> list[str]:
    return host.ok(f"docker port {container}").splitlines()


def test_a_process_of_the_host_has_the_port(host: Host) -> None:
    with here(host).listening(8080):
        refused = host.run("docker run -d --name web -p 8080:80 busybox sleep 600")
        assert refused.returncode == 125
        assert "failed to bind host port 0.0.0.0:8080/tcp: address already in use" in refused.stdout
        assert host.ok("docker ps -a --format '{{.Names}} {{.Status}}'") == "web Created\n"
        udp = run(host, "udp", "-p 8080:80/udp")  # another protocol is another port
        with udp.bound(80) as server, here(host).sending(NODE_IP, 8080) as client:
            assert arrives(client, server, b"hello")
    host.ok("docker start web")
    with inside(host, "web").listening(80) as server, outside(host).connected(NODE_IP, 8080) as client:
        assert reaches(client, server)


@pytest.mark.parametrize("how", ["docker stop -t 0 web", "fairway port rm web 80", "docker kill web"])
def test_a_port_is_free_at_once(host: Host, how: str) -> None:
    run(host, "web", "-p 8080:80")
    with pytest.raises(OSError, match="Address already in use"):
        here(host).listening(8080)
    host.ok(how)
    here(host).listening(8080).close()
    refused = host.run("docker run --rm -p 8080:80 busybox true")
    assert refused.returncode == 0, refused.stdout


def test_automatic_ports_pass_by_what_the_host_has(host: Host) -> None:
    first = run(host, "first", "-p 80")
    number = int(ports(host, "first")[0].rpartition(":")[2])
    assert ports(host, "first") == [f"80/tcp -> 0.0.0.0:{number}", f"80/tcp -> [::]:{number}"]
    with here(host).listening(number + 1), here(host).bound(number + 2):
        run(host, "second", "-p 80")
        assert ports(host, "second")[0] == f"80/tcp -> 0.0.0.0:{number + 2}"
        refused = host.run(f"docker run -p {number}-{number + 2}:80 busybox true")
        assert refused.returncode == 125
        assert "all ports are allocated" in refused.stdout
        host.ok(f"docker run -d --name third -p {number}-{number + 3}:80 busybox sleep 600")
        assert ports(host, "third")[0] == f"80/tcp -> 0.0.0.0:{number + 3}"
    with first.listening(80) as server, here(host).connected("127.0.0.1", number) as client:
        assert reaches(client, server)


def test_adjacent_ports_never_deliver_to_each_other(host: Host) -> None:
    """A range that is shifted, called by many from the same few source ports, all at the same time."""
    count = 20
    web = run(host, "web", f"-p 9000-{9000 + count - 1}:{80}-{80 + count - 1} -p 9500:80 -p 9501:80")
    wanted = [(9000 + i, 80 + i) for i in range(count)] + [(9500, 80), (9501, 80)]
    with contextlib.ExitStack() as stack:
        servers = {80 + i: stack.enter_context(web.listening(80 + i)) for i in range(count)}
        for place, address in ((outside(host), NODE_IP), (here(host), "127.0.0.1"), (here(host), NODE_IP)):
            calls = [(source, *pair) for source in range(40_000, 40_000 + CLIENTS) for pair in wanted]
            random.Random(1).shuffle(calls)
            for source, number, port in calls:
                client = stack.enter_context(place.connected(address, number, source))
                peer = stack.enter_context(servers[port].accept()[0])
                assert talks(client, peer, f"{source} {number}".encode())


def test_other_ports_go_on_while_one_comes_and_goes(host: Host) -> None:
    web = run(host, "web", "-p 8080:80 -p 5000:50/udp")
    with (
        web.listening(80) as server,
        outside(host).connected(NODE_IP, 8080) as remote,
        server.accept()[0] as of_remote,
        here(host).connected("127.0.0.1", 8080) as local,
        server.accept()[0] as of_local,
        web.bound(50) as udp,
        outside(host).sending(NODE_IP, 5000) as client_udp,
    ):
        for change in (
            "port add web 8081:80 9000-9100:9000-9100",
            "port rm web 8081:80 9050:9050",
            "port add web 127.0.0.1:8081:80",
            "port rm web 9000-9049:9000-9049",
            "network connect other web",
            "network disconnect other web",
        ):
            if "connect" in change:
                host.run("docker network create other")
            host.ok(f"fairway {change}")
            assert talks(remote, of_remote, change.encode()), change
            assert talks(local, of_local, change.encode()), change
            assert arrives(client_udp, udp, change.encode()), change
        with here(host).connected("127.0.0.1", 8081) as client, server.accept()[0] as peer:
            assert talks(client, peer)
        with pytest.raises(ConnectionRefusedError):
            outside(host).connected(NODE_IP, 8081)
        host.ok("fairway port rm web 127.0.0.1:8081:80")
        with pytest.raises(ConnectionRefusedError):
            here(host).connected("127.0.0.1", 8081)
        assert talks(remote, of_remote)


def test_connections_of_a_port_end_with_it(host: Host) -> None:
    """A datagram's sender that never pauses must not keep reaching whoever had the port before."""
    first, second = run(host, "first", "-p 5000:50/udp -p 5001:50/udp"), run(host, "second")
    with first.bound(50) as old, second.bound(50) as new, contextlib.ExitStack() as stack:
        gone, kept = (stack.enter_context(outside(host).sending(NODE_IP, port)) for port in (5000, 5001))
        assert arrives(gone, old, b"one")
        assert arrives(kept, old, b"one")
        host.ok("fairway port rm first 5000:50/udp")
        host.ok("fairway port add second 5000:50/udp")
        assert arrives(gone, new, b"two")
        assert not arrives(gone, old, b"three")
        assert arrives(kept, old, b"four")


def test_ports_move_with_the_way_in(host: Host) -> None:
    host.ok("docker network create --internal inner; docker network create aaa")
    web = run(host, "web", "--network inner -p 8080:80 -p 5000:50/udp")
    with pytest.raises(ConnectionRefusedError):
        outside(host).connected(NODE_IP, 8080)
    with web.listening(80) as server, web.bound(50) as udp, contextlib.ExitStack() as stack:
        sender = stack.enter_context(outside(host).sending(NODE_IP, 5000))
        for change in ("connect bridge", "connect aaa", "disconnect aaa"):
            host.ok(f"docker network {change} web")
            client = stack.enter_context(outside(host).connected(NODE_IP, 8080))
            assert reaches(client, server), change
            assert arrives(sender, udp, change.encode()), change
        host.ok("docker network disconnect bridge web")
        assert ports(host, "web") == []
        assert not arrives(sender, udp, b"still there?")
        with pytest.raises(ConnectionRefusedError):
            outside(host).connected(NODE_IP, 8080)


@pytest.mark.parametrize("how", ["container", "daemon", "killed daemon"])
def test_live_ports_survive_restarts(host: Host, how: str) -> None:
    run(host, "web")
    host.ok("fairway port add web 8080:80 127.0.0.1::81")
    before = ports(host, "web")
    assert len(before) == 3
    if how == "container":
        host.ok("docker restart -t 0 web")
        assert ports(host, "web")[:2] == before[:2]
    else:
        host.stop_daemon(signal.SIGKILL if how == "killed daemon" else signal.SIGTERM)
        host.start_daemon()
        assert ports(host, "web") == before
    with inside(host, "web").listening(80) as server, outside(host).connected(NODE_IP, 8080) as client:
        assert reaches(client, server)


def test_a_conflict_changes_nothing(host: Host) -> None:
    web = run(host, "web", "-p 8080:80")
    other = run(host, "other", "-p 8090:80")
    with here(host).listening(8099), web.listening(80) as server, other.listening(80):
        for taken, text in (("8090", "port is already allocated"), ("8099", "address already in use")):
            refused = host.run(f"fairway port add web 8081:80 {taken}:80 8082:80")
            assert refused.returncode == 1
            assert text in refused.stdout
            assert ports(host, "web") == ["80/tcp -> 0.0.0.0:8080", "80/tcp -> [::]:8080"]
            here(host).listening(8081).close()
            with outside(host).connected(NODE_IP, 8080) as client:
                assert reaches(client, server)


def test_many_ports_at_once(host: Host) -> None:
    web = run(host, "web")
    host.ok("fairway port add web 20000-21999:20000-21999")
    chosen: Sequence[int] = random.Random(2).sample(range(20_000, 22_000), 10)
    with contextlib.ExitStack() as stack:
        servers = {port: stack.enter_context(web.listening(port)) for port in chosen}
        for port in chosen:
            client = stack.enter_context(outside(host).connected(NODE_IP, port))
            assert reaches(client, servers[port])
        host.ok("fairway port rm web 20000-21998:20000-21998")
        assert ports(host, "web") == ["21999/tcp -> 0.0.0.0:21999", "21999/tcp -> [::]:21999"]


def test_update_reaches_the_kernel(host: Host) -> None:
    """Limits of a running container, as stock docker and fairway set them."""
    run(host, "web", "-m 64m --memory-swap 128m")
    identifier = host.ok("docker inspect -f '{{.Id}}' web").strip()
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("needs cgroup v1, whose files it reads: boot with systemd.unified_cgroup_hierarchy=0")
    (group,) = Path("/sys/fs/cgroup/memory").rglob(identifier)
    assert host.ok("docker update -m 96m web") == "web\n"
    assert (group / "memory.limit_in_bytes").read_text() == f"{96 << 20}\n"
    assert host.ok("fairway update -m 32m --memory-swap 64m --restart always web") == "web\n"
    assert (group / "memory.limit_in_bytes").read_text() == f"{32 << 20}\n"
    assert (group / "memory.memsw.limit_in_bytes").read_text() == f"{64 << 20}\n"
    shown = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.RestartPolicy.Name}}"
    assert host.ok(f"docker inspect -f '{shown}' web") == f"{32 << 20} {64 << 20} always\n"
