"""A whole host for tests: namespaces of its own (network, mount, UTS), its own ``/run``, a daemon in it.

    outside (198.51.100.75, 192.168.56.1) ── veth ── eth0 192.168.56.101  host  /run on tmpfs, fairwayd

The host's namespaces are held by a sleeping process; commands enter them with nsenter. Everything is gone
when it ends, and ``leftovers`` says what the daemon's containers left in it.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

OUTSIDE_IP = "198.51.100.75"
NODE_IP = "192.168.56.101"
NODE_NAME = "fairhost"
BIN = Path(sys.executable).parent

_SETUP = """
set -e
mount -t tmpfs tmpfs /run
hostname {name}
echo 0 >/proc/sys/net/ipv4/ip_forward
ip link set lo up
ip link add eth0 type veth peer name peer netns {outside}
ip addr add {ip}/24 dev eth0
ip link set eth0 up
ip route add default via 192.168.56.1
"""
_OUTSIDE = """
set -e
ip link set lo up
ip addr add 192.168.56.1/24 dev peer
ip addr add {outside_ip}/32 dev lo
ip link set peer up
"""


def docker_version() -> int:
    """Major version of the docker command on this machine; 0 without one."""
    if not shutil.which("docker"):
        return 0
    shown = subprocess.run(["docker", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)\.", shown)
    return int(found[1]) if found else 0


class Host:
    """A host. ``run`` executes a shell command on it; ``daemon`` keeps its fairwayd running."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.configuration = directory / "daemon.json"
        self.socket = "/run/fairway/fairway.sock"
        self.url = f"unix://{self.socket}"
        self._anchors: list[subprocess.Popen[bytes]] = []
        self._daemon: subprocess.Popen[bytes] | None = None
        self._outside = self._anchor("--net")
        self._host = self._anchor("--net", "--mount", "--uts", "--propagation", "private")
        setup = _SETUP.format(name=NODE_NAME, outside=self._outside.pid, ip=NODE_IP)
        self._checked(self.enter(), setup)
        self._checked(["nsenter", "-t", str(self._outside.pid), "-n"], _OUTSIDE.format(outside_ip=OUTSIDE_IP))

    def _anchor(self, *namespaces: str) -> "subprocess.Popen[bytes]":
        """A process that holds fresh namespaces; it has them when this returns."""
        command = ["unshare", *namespaces, "--", "sh", "-c", "echo; exec sleep infinity"]
        anchor = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        self._anchors.append(anchor)
        assert anchor.stdout
        anchor.stdout.readline()
        anchor.stdout.close()
        return anchor

    def _checked(self, prefix: list[str], script: str) -> None:
        subprocess.run([*prefix, "bash", "-c", script], check=True)

    def enter(self) -> list[str]:
        """Words that make a command run on this host."""
        return ["nsenter", "-t", str(self._host.pid), "-n", "-m", "-u", "--"]

    def outside(self) -> list[str]:
        """Words that make a command run outside, on the neighbour that the host's uplink leads to."""
        return ["nsenter", "-t", str(self._outside.pid), "-n", "--"]

    def environment(self) -> dict[str, str]:
        # Compiled modules are kept: to compile them takes 0.3 s of each start.
        dropped = ("DOCKER_", "FAIRWAY_", "PYTHONDONTWRITEBYTECODE")
        keep = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        path = f"{BIN}:{keep.get('PATH', '')}:/usr/sbin:/sbin"
        return keep | {"DOCKER_HOST": self.url, "PATH": path, "HOME": str(self.directory)}

    def run(
        self, command: str, timeout: float = 60, *, outside: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Standard output and error together, as a person at a terminal sees them; on the host or outside."""
        return subprocess.run(
            [*(self.outside() if outside else self.enter()), "bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            env=self.environment(),
            check=False,
        )

    def ok(self, command: str, timeout: float = 60) -> str:
        """The output of a command that must succeed."""
        done = self.run(command, timeout)
        assert done.returncode == 0, f"{command}\nexit {done.returncode}\n{done.stdout}"
        return done.stdout

    @property
    def reachable_socket(self) -> str:
        """The daemon's socket as processes outside of this host's mount namespace find it."""
        return f"/proc/{self._host.pid}/root{self.socket}"

    # The daemon.

    @property
    def daemon(self) -> int:
        """Its pid."""
        assert self._daemon
        return self._daemon.pid

    def start_daemon(self, *options: str) -> None:
        if not self.configuration.exists():
            self.configuration.write_text("{}")
        log = (self.directory / "fairwayd.log").open("ab")
        self._daemon = subprocess.Popen(
            [
                *self.enter(),
                str(BIN / "fairwayd"),
                f"--host={self.url}",
                f"--data-root={self.directory}/data",
                f"--config-file={self.configuration}",
                *options,
            ],
            stdout=log,
            stderr=log,
            env=self.environment(),
            start_new_session=True,
        )
        log.close()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._daemon.poll() is not None:
                raise AssertionError(f"fairwayd ended: {self.log()}")
            if self.run(f"curl -fsS --unix-socket {self.socket} http://x/_ping").returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError(f"fairwayd does not answer: {self.log()}")

    @property
    def daemon_pid(self) -> int:
        assert self._daemon
        return self._daemon.pid

    def stop_daemon(self, how: int = signal.SIGTERM) -> int:
        """Stop it and return its exit code."""
        assert self._daemon
        self._daemon.send_signal(how)
        code = self._daemon.wait(30)
        self._daemon = None
        return code

    def log(self) -> str:
        return (self.directory / "fairwayd.log").read_text(errors="replace")

    def load_busybox(self) -> None:
        """``busybox:latest`` from this machine's static busybox."""
        archive = self.directory / "busybox.tar"
        if not archive.exists():
            from fairway.runtime.images.busybox import make_busybox_image

            archive.write_bytes(make_busybox_image(Path(shutil.which("busybox") or "/bin/busybox")))
        self.ok(f"docker load -i {shlex.quote(str(archive))}")

    # What is left.

    def settle(self, seconds: float = 10) -> None:
        """Wait for what the kernel does behind the daemon's back: links that are being deleted."""
        deadline = time.monotonic() + seconds
        while any(name.startswith("gone-") for name in self.links()) and time.monotonic() < deadline:
            time.sleep(0.05)

    def links(self) -> list[str]:
        return sorted(line.split()[0].partition("@")[0] for line in self.ok("ip -br link").splitlines())

    def processes(self) -> list[str]:
        """Command lines of all processes in the host's mount namespace but the anchor's and the daemon's."""
        own = os.readlink(f"/proc/{self._host.pid}/ns/net")
        result = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self._host.pid:
                continue
            with contextlib.suppress(OSError):
                if os.readlink(entry / "ns/net") == own:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                    result.append(line)
        return [p for p in result if p]

    def mounts(self) -> list[str]:
        """Mounts below the daemon's directories."""
        text = self.ok("cat /proc/self/mounts")
        return [
            line.split()[1] for line in text.splitlines() if "fairway" in line or str(self.directory) in line
        ]

    def close(self) -> None:
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            if self._daemon:
                self.run("docker ps -aq | xargs -r docker rm -f", timeout=120)
                self.stop_daemon()
        for process in self._processes_of_namespaces():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for anchor in self._anchors:
            anchor.kill()
            anchor.wait()

    def _processes_of_namespaces(self) -> list[int]:
        """Processes that this host's daemon left running in its mount namespaces: ours by construction."""
        own = os.readlink(f"/proc/{self._host.pid}/ns/mnt")
        marker = str(self.directory).encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) in (self._host.pid, os.getpid()):
                continue
            with contextlib.suppress(OSError):
                same = os.readlink(entry / "ns/mnt") == own
                if same or (marker in (entry / "cmdline").read_bytes() and entry.name != str(os.getpid())):
                    found.append(int(entry.name))
        found += self._processes_of_containers()
        return [p for p in found if p not in (os.getpid(), os.getppid())]

    def _processes_of_containers(self) -> list[int]:
        """Those whose monitor was killed belong to a container's cgroup and to nothing else of this host."""
        found: list[int] = []
        for container in (self.directory / "data/containers").glob("*"):
            for group in Path("/sys/fs/cgroup").glob(f"*/fairway/{container.name}/cgroup.procs"):
                with contextlib.suppress(OSError):
                    found += map(int, group.read_text().split())
        return found


@contextlib.contextmanager
def running_host(directory: Path, *options: str, image: bool = True) -> Iterator[Host]:
    """A host with a running daemon and, unless told otherwise, a busybox image."""
    host = Host(directory)
    try:
        host.start_daemon(*options)
        if image:
            host.load_busybox()
        yield host
    finally:
        host.close()
