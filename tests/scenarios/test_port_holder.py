"""Published ports of a whole host: who else gets them, what the kernel cannot forward, deaths, restarts."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root

SERVE = "sh -c 'mkdir /w; echo hello > /w/index.html; exec httpd -f -p 80 -h /w'"
ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 53))
for _ in range(2): s.sendto(*s.recvfrom(99))
"""
ASK = """
import socket
c = socket.socket(socket.AF_INET6 if ':' in '{0}' else socket.AF_INET, socket.SOCK_DGRAM)
c.settimeout(5)
c.connect(('{0}', 5353))
c.send(b'ping')
print(c.recv(99).decode())
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running_host(tmp_path_factory.mktemp("host")) as made:
        yield made


@pytest.fixture
def web(host: Host) -> Iterator[str]:
    """A web server published on port 8080 of everywhere; ``hello`` is what it says."""
    host.ok(f"docker run -d --name web -p 8080:80 busybox {SERVE}")
    eventually(lambda: fetch(host, "127.0.0.1"))
    yield "web"
    host.ok("docker rm -f web")


def eventually(check: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def fetch(host: Host, address: str, port: int = 8080) -> bool:
    return host.run(f"curl -gsS -m 5 http://{address}:{port}/").stdout == "hello\n"


def binds(host: Host, address: str, port: int = 8080) -> str:
    """What a process of the host is told that wants to listen there; empty if it may."""
    program = (
        "import socket, sys\n"
        f"s = socket.socket(socket.AF_INET6 if ':' in '{address}' else socket.AF_INET)\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        f"try: s.bind(('{address}', {port})); s.listen()\n"
        "except OSError as e: print(e.strerror)\n"
    )
    return host.ok(f'python3 -c "{program}"').strip()


def holder(host: Host) -> int:
    """The pid of this host's port holder."""
    own = host.ok("readlink /proc/self/ns/net").strip()
    pids = host.ok("pgrep -f fairway.ports.holder").split()
    (found,) = [int(p) for p in pids if _namespace(p) == own]
    return found


def _namespace(process: str) -> str:
    try:
        return os.readlink(f"/proc/{process}/ns/net")
    except OSError:
        return ""


def test_a_published_port_answers_everywhere_and_is_taken(host: Host, web: str) -> None:
    for address in ("127.0.0.1", "[::1]", "192.168.56.101"):
        assert fetch(host, address), address
    listeners = host.ok("ss -ltnp")
    assert "*:8080" in listeners
    assert "fairway-ports" in listeners
    for address in ("0.0.0.0", "127.0.0.1", "::", "::1"):
        assert binds(host, address) == "Address already in use"
    host.ok("docker stop -t 0 web")
    for address in ("0.0.0.0", "127.0.0.1", "::", "::1"):
        assert binds(host, address) == ""
    host.ok("docker start web")
    eventually(lambda: fetch(host, "[::1]"))


def test_a_link_local_address_of_the_host(host: Host, web: str) -> None:
    """The kernel cannot forward what is sent there."""
    shown = host.ok("ip -6 -o addr show dev eth0 scope link")
    address = shown.split("inet6 ")[1].split("/")[0]
    eventually(lambda: fetch(host, f"[{address}%25eth0]"))  # until duplicate address detection is over


def test_udp_on_loopback(host: Host) -> None:
    host.ok("docker run -d --name dns -p 5353:53/udp busybox sleep 1000")
    inside = "nsenter --net=$(docker inspect -f '{{.NetworkSettings.SandboxKey}}' dns)"
    host.ok(f'{inside} python3 -c "{ECHO}" >/dev/null 2>&1 &')
    eventually(lambda: ":53" in host.ok(f"{inside} ss -Hlun"))
    for address in ("::1", "127.0.0.1"):
        assert host.ok(f'python3 -c "{ASK.format(address)}"') == "ping\n"
    host.ok("docker rm -f dns")


def test_a_flushed_ruleset(host: Host, web: str) -> None:
    """Loopback and the host's own addresses answer through the port holder until the rules are back."""
    host.ok("nft flush ruleset")
    for address in ("127.0.0.1", "[::1]", "192.168.56.101"):
        assert fetch(host, address), address
    host.stop_daemon()
    host.start_daemon()
    assert fetch(host, "127.0.0.1")


def test_ports_outlive_the_daemon(host: Host, web: str) -> None:
    socket = "ss -Hltne sport = :8080"
    before, listening = holder(host), host.ok(socket)
    host.stop_daemon(signal.SIGKILL)
    assert fetch(host, "[::1]")
    assert binds(host, "0.0.0.0") == "Address already in use"
    host.start_daemon()
    assert holder(host) == before
    assert host.ok(socket) == listening, "the very same, with its inode: nobody had a chance"


def test_a_killed_holder_comes_back_with_its_ports(host: Host, web: str) -> None:
    os.kill(holder(host), signal.SIGKILL)
    eventually(lambda: binds(host, "0.0.0.0") != "")
    assert fetch(host, "[::1]")


def test_a_holder_killed_with_the_daemon(host: Host, web: str) -> None:
    host.stop_daemon(signal.SIGKILL)
    os.kill(holder(host), signal.SIGKILL)
    eventually(lambda: binds(host, "0.0.0.0") == "")
    host.start_daemon()
    assert binds(host, "0.0.0.0") == "Address already in use"


def test_a_range_of_ports_is_held(host: Host) -> None:
    host.ok("docker run -d --name many -p 20000-20999:20000-20999 busybox sleep 1000")
    assert binds(host, "0.0.0.0", 20000) == binds(host, "::", 20999) == "Address already in use"
    host.ok("docker rm -f many")
    assert binds(host, "0.0.0.0", 20000) == binds(host, "::", 20999) == ""


def test_nothing_is_left_when_nothing_is_published(host: Host) -> None:
    host.ok("docker ps -aq | xargs -r docker rm -f")
    process = holder(host)
    assert host.stop_daemon() == 0
    eventually(lambda: not Path(f"/proc/{process}").exists())
    host.start_daemon()


def test_without_rules_everything_is_proxied(tmp_path: Path) -> None:
    with running_host(tmp_path, "--iptables=false", "--ip6tables=false") as host:
        host.ok(f"docker run -d --name web -p 8080:80 busybox {SERVE}")
        for address in ("127.0.0.1", "[::1]", "192.168.56.101"):
            eventually(lambda: fetch(host, address))  # noqa: B023
        assert "fairway" not in host.ok("nft list tables")
        host.ok("docker rm -f web")
