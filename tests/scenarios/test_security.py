"""What containers and local users cannot get at: descriptors, files, programs; and files that mean harm."""

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon_host import Host, running_host

pytestmark = pytest.mark.root
NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups"
_TRY = """
import os, socket, sys
for path in sys.stdin.read().splitlines():
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        print("read", path)
    except OSError:
        pass
    if os.access(path, os.X_OK) and not os.path.isdir(path):
        print("run", path)
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("connect", path)
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """In a directory that everybody may enter, with a daemon that was started with an odd umask."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    (directory / "data").mkdir(mode=0o755)
    mask = os.umask(0o077)
    try:
        with contextlib.ExitStack() as stack:
            made = stack.enter_context(running_host(directory))
            os.umask(mask)
            yield made
    finally:
        os.umask(mask)
        shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def nothing_left(host: Host) -> Iterator[None]:
    yield
    host.ok("docker ps -aq | xargs -r docker rm -fv; docker volume prune -af; docker network prune -f")


def descriptors(pid: int) -> dict[int, str]:
    """Open files of a process, as the kernel shows them."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(entry.name)] = os.readlink(entry)
    return found


def number(host: Host, command: str) -> int:
    return int(host.ok(command).split()[0])


def test_no_descriptor_of_the_daemon_is_inherited(host: Host) -> None:
    with socket.socket(socket.AF_UNIX) as following:
        following.connect(host.reachable_socket)
        following.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        following.recv(100)
        host.ok("docker run -d --name first busybox sleep 600")
        host.ok("docker exec -d first sleep 601")
        host.ok("docker run -dit --name box busybox sleep 600")
        host.ok("docker exec -d box sleep 602")
        daemon = descriptors(host.daemon_pid)
        own = {what for what in daemon.values() if what.startswith(("socket:", "/")) and what != "/dev/null"}
        assert any(what.endswith("fairway.db") for what in own)
        inside = [number(host, "docker inspect -f '{{.State.Pid}}' " + name) for name in ("first", "box")]
        inside += [number(host, f"pgrep -f 'sleep {seconds}'") for seconds in (601, 602)]
        for pid in inside:
            assert set(descriptors(pid)) <= {0, 1, 2, 255}, descriptors(pid)
            assert not own & set(descriptors(pid).values())
        log = host.directory / "fairwayd.log"
        for pid in (*(number(host, f"pgrep -f 'conmon.*--name {n}'") for n in ("first", "box")),):
            others = set(descriptors(pid).values()) & own - {str(log)}
            assert not others, others
        for name in ("fairway.dns", "fairway.ports"):
            pid = number(host, f"pgrep -f {name}")
            assert not set(descriptors(pid).values()) & own - {str(log)}


def test_local_users_reach_no_file_and_no_program(host: Host) -> None:
    host.ok("docker network create net")
    host.ok("docker run -d --name box --network net -p 8080:80 -e SECRET=1 -v vol:/v busybox sleep 600")
    for program in ("/v/root", "/root/busybox"):
        host.ok(f"docker exec box sh -c 'cp /bin/busybox {program} && chmod 4755 {program}'")
    script = host.directory / "try.py"
    script.write_text(_TRY)
    paths = (
        f"find /run/fairway {host.directory}/data -xdev; find /run/fairway/rootfs/*/root /run/fairway/bundles"
    )
    assert "config.json" in host.ok(paths)
    assert "/root/busybox" in host.ok(paths)
    reached = host.ok(f"({paths}; echo /bin/sh) | {NOBODY} python3 {script}").splitlines()
    assert reached == ["read /run/fairway", "read /bin/sh", "run /bin/sh"], "names, and what proves the test"
    denied = host.run(f"{NOBODY} curl -sS --unix-socket {host.socket} http://x/_ping").stdout
    assert "Could" in denied or "Permission" in denied


def test_modes_inside_do_not_depend_on_the_daemons_umask(host: Host) -> None:
    host.ok("docker volume create vol")
    seen = host.ok(
        "docker run --rm -u 1000 -v vol:/v -w /new/deep busybox stat -c '%a %n' / /v /new /new/deep "
        "/etc/hosts /etc/resolv.conf /etc/hostname /tmp"
    )
    assert seen.splitlines() == [
        *("755 /", "755 /v", "755 /new", "755 /new/deep"),
        *("644 /etc/hosts", "644 /etc/resolv.conf", "644 /etc/hostname", "1777 /tmp"),
    ]


def test_an_etc_hosts_of_any_content_harms_nobody(host: Host) -> None:
    host.ok("docker network create net; docker run -d --name box --network net busybox sleep 600")
    address = host.ok("docker inspect -f '{{.NetworkSettings.Networks.net.IPAddress}}' box").strip()
    host.ok("docker exec box sh -c 'printf \"\\377\\n\" >>/etc/hosts'")
    host.ok("docker network disconnect net box")
    text = host.ok("docker exec box od -An -tx1 /etc/hosts; docker exec box cat /etc/hosts")
    assert "ff 0a" in text
    assert address not in text
    host.ok("docker network connect net box; docker exec box truncate -s 4G /etc/hosts")
    status = Path(f"/proc/{host.daemon_pid}/status")
    host.ok("docker network disconnect net box")
    peak = int(status.read_text().partition("VmHWM:")[2].split()[0])
    assert peak < 300 * 1024
    host.ok("docker restart -t 0 box")
    assert host.ok("docker exec box stat -c %s /etc/hosts").strip() < "500"


@pytest.mark.parametrize("kind", ["p", "c 1 5", "d", "link"])
def test_a_passwd_that_is_no_file(host: Host, kind: str) -> None:
    """A pipe must not be waited for, and a device not read: /dev/zero never ends."""
    make = {"d": "mkdir /etc/passwd", "link": "ln -s /proc/1/environ /etc/passwd"}.get(
        kind, f"mknod /etc/passwd {kind}"
    )
    host.ok(f"docker run -d --name box busybox sh -c 'rm -f /etc/passwd; {make}; sleep 600'")
    host.ok(
        "until docker exec -u 0 box test -e /etc/passwd -o -L /etc/passwd; do sleep 0.05; done", timeout=10
    )
    assert "Uid:\t7\t7" in host.ok("docker exec -u 7 box cat /proc/self/status", timeout=10)
    assert "unable to find user app" in host.run("docker exec -u app box id", timeout=10).stdout
    host.ok("docker restart -t 0 box", timeout=20)


def test_containers_see_no_socket_of_the_daemon_or_its_companions(host: Host) -> None:
    host.ok("docker network create net; docker run -d --name box --network net busybox sleep 600")
    host.ok("docker run -d --name other --network net busybox sleep 600")
    for name in ("box", "other"):
        assert host.ok(f"docker exec {name} nslookup other 127.0.0.11 | tail -2").strip()
    address = host.ok("docker inspect -f '{{.NetworkSettings.Networks.net.IPAddress}}' other").strip()
    gateway = host.ok("docker inspect -f '{{.NetworkSettings.Networks.net.Gateway}}' other").strip()
    for server in (address, gateway):
        asked = host.run(f"docker exec box timeout 3 nc -w 2 {server} 53 </dev/null")
        assert asked.returncode != 0, "the resolver answers on the sandbox's own 127.0.0.11 only"
    # With the host's network, sockets without a path would be in reach.
    unix = host.ok("docker run --rm --network host busybox cat /proc/net/unix")
    assert "/run/fairway/fairway.sock" in unix
    assert not [line for line in unix.splitlines() if " @" in line and "fairway" in line]
    assert host.run("docker run --rm --network host busybox ls /run/fairway").returncode != 0
