"""The engines that are compared, each on a host of its own: network, mount, UTS namespace, tmpfs on /run.

    sh (holds the namespaces) ── fairwayd                   api.sock, data/, exec/ in a private directory
    sh (holds the namespaces) ── dockerd ── containerd      api.sock, data/ there, the rest on its /run

Both are asked by the same client on a unix socket. When a host is closed, nothing of it is left.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from visits import inside

from fairway.api.client import ApiError, Client, Unreachable
from fairway.kernel.netlink import Channel
from fairway.kernel.rtnetlink import get_link
from fairway.model.errors import Fault
from fairway.runtime.images.busybox import make_busybox_image

IMAGE = "busybox:latest"
READY_SECONDS, STOP_SECONDS = 60.0, 30.0
HOST, OUTSIDE_HOST = "192.168.56.1", "192.168.56.2"
"""Addresses of an engine's host and of its neighbour on a wire of their own."""
_SETUP = """
set -e
mount -t tmpfs tmpfs /run
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
"""
_POOLS = '{"default-address-pools": [{"base": "10.64.0.0/10", "size": 24}]}'
"""Docker's default pools have room for 31 networks, measures need hundreds."""
_CONTAINERD = "/run/containerd/containerd.sock"
_OUTSIDE = """
set -e
ip link add wire type veth peer name wire netns {outside}
ip addr add {host}/24 dev wire
ip link set wire up
nsenter -t {outside} -n -- ip addr add {neighbour}/24 dev wire
nsenter -t {outside} -n -- ip link set wire up
"""


class Engine:
    """A daemon on a host of its own. ``client`` talks to it, ``cli`` is its command line."""

    name: str
    version = ""
    load_seconds = 2.0
    """How long each load of connections or bytes lasts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.url = f"unix://{directory}/api.sock"
        self.client = Client(self.url)
        self._daemon: subprocess.Popen[bytes] | None = None
        command = ["unshare", "--net", "--mount", "--uts", "--propagation", "private"]
        self._anchor = subprocess.Popen(
            [*command, "--", "sh", "-c", f"{_SETUP}\necho ready\nexec sleep infinity"],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._anchor.stdout
        with self._anchor.stdout as out:
            if out.readline() != b"ready\n":
                raise RuntimeError("cannot make a host of its own: this needs root and the ip program")
        self._channel = inside(self._anchor.pid, Channel)
        self._outside: subprocess.Popen[bytes] | None = None

    # What differs.

    def command(self) -> list[str]:
        """The daemon's."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Compiled modules are kept, as where Fairway is installed: to compile them takes 0.3 s."""
        dropped = ("DOCKER_", "FAIRWAY_", "PYTHONDONTWRITEBYTECODE")
        return {k: v for k, v in os.environ.items() if not k.startswith(dropped)}

    def cli(self, *words: str) -> list[str]:
        """A command line of the engine's own CLI."""
        raise NotImplementedError

    def describe(self) -> str:
        """The daemon's version and what runs its containers."""
        info, version = self.client.get("/info"), self.client.get("/version")
        parts = (
            version["Version"],
            info["DefaultRuntime"],
            info["Driver"],
            f"cgroup v{info['CgroupVersion']}",
        )
        return ", ".join(parts)

    # Its life.

    def start(self) -> None:
        """Until it answers and has the image. Raises RuntimeError with the end of its log."""
        self.launch()
        self.await_answer()
        self.version = self.describe()
        busybox = Path(shutil.which("busybox") or "/bin/busybox")
        archive = {"Content-Type": "application/x-tar"}
        self.client.request(
            "POST", "/images/load", data=[make_busybox_image(busybox)], headers=archive
        ).read()

    def launch(self) -> None:
        """Run the daemon's command."""
        with self._log().open("ab") as log:
            self._daemon = subprocess.Popen(
                [*self.enter(), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                start_new_session=True,
            )

    def await_answer(self, pause: float = 0.05) -> None:
        """Until the daemon answers, looking again after ``pause`` seconds. Raises RuntimeError."""
        assert self._daemon
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not start:\n{self._end_of_log()}")
            time.sleep(pause)

    def kill(self) -> None:
        """End the daemon as a crash does; its containers and companions go on."""
        assert self._daemon
        self._daemon.kill()
        self._daemon.wait()

    def close(self) -> None:
        """Stop the daemon and take away everything on its host."""
        if self._daemon:
            with contextlib.suppress(ApiError, Unreachable, OSError):
                for container in self.client.get("/containers/json", {"all": True}):
                    self.remove_container(container["Id"])
            self._daemon.send_signal(signal.SIGTERM)
            try:
                self._daemon.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._channel.close()
        for anchor in (self._anchor, self._outside):
            if anchor:
                anchor.kill()
                anchor.wait()

    def pid(self) -> int:
        assert self._daemon
        return self._daemon.pid

    # Its host.

    def anchor(self) -> int:
        """The process that holds its namespaces."""
        return self._anchor.pid

    def enter(self) -> list[str]:
        """Words that make a command run there."""
        return ["nsenter", "-t", str(self._anchor.pid), "-n", "-m", "-u", "--"]

    def outside(self) -> list[str]:
        """Words that make a command run on another host, a wire away from this one."""
        if self._outside is None:
            command = ["unshare", "--net", "--", "sh", "-c", "echo ready; exec sleep infinity"]
            self._outside = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
            assert self._outside.stdout
            with self._outside.stdout as out:
                out.readline()
            script = _OUTSIDE.format(outside=self._outside.pid, host=HOST, neighbour=OUTSIDE_HOST)
            subprocess.run([*self.enter(), "sh", "-c", script], check=True)
        return ["nsenter", "-t", str(self._outside.pid), "-n", "--"]

    def has_link(self, name: str) -> bool:
        """Whether its kernel has an interface of that name."""
        (answer,) = self._channel.exchange([get_link(name)])
        return bool(answer.code == 0)

    def processes(self) -> Iterator[int]:
        """Processes on its host, the daemon included: nobody else is in its mount namespace."""
        own = os.readlink(f"/proc/{self._anchor.pid}/ns/mnt")
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self._anchor.pid:
                with contextlib.suppress(OSError):
                    if os.readlink(entry / "ns/mnt") == own:
                        yield int(entry.name)

    # What measures use to prepare.

    def run_container(self, network: str = "bridge", name: str | None = None) -> str:
        """A running container that sleeps; its id."""
        container = self.create_container(network, name)
        self.client.post(f"/containers/{container}/start")
        return container

    def create_container(self, network: str, name: str | None = None) -> str:
        body = {
            "Image": IMAGE,
            "Cmd": ["sleep", "1000000"],
            "HostConfig": {"NetworkMode": network},
            "NetworkingConfig": {"EndpointsConfig": {network: {}}},
        }
        return str(self.client.post("/containers/create", {"name": name}, body)["Id"])

    def remove_container(self, container: str) -> None:
        self.client.delete(f"/containers/{container}", {"force": True, "v": True})

    def create_network(self, name: str) -> str:
        """A bridge network; its id."""
        body = {"Name": name, "Driver": "bridge", "CheckDuplicate": True}
        return str(self.client.post("/networks/create", None, body)["Id"])

    # Details.

    def _answers(self) -> bool:
        try:
            self.client.request("GET", "/_ping").read()
        except Fault:  # not there yet, or closing what it cannot serve yet
            return False
        return True

    def _log(self) -> Path:
        return self.directory / "daemon.log"

    def _end_of_log(self) -> str:
        return "\n".join(self._log().read_text(errors="replace").splitlines()[-15:])


class Fairway(Engine):
    name = "fairway"

    def __init__(self, directory: Path, runtime: str = "") -> None:
        """``runtime`` is crun or runc; the daemon chooses when it is empty."""
        self._runtime = [f"--default-runtime={runtime}"] if runtime else []
        super().__init__(directory)

    def command(self) -> list[str]:
        configuration = self.directory / "daemon.json"
        configuration.write_text(_POOLS)
        return [
            str(Path(sys.executable).parent / "fairwayd"),
            f"--host={self.url}",
            f"--config-file={configuration}",
            f"--data-root={self.directory}/data",
            f"--exec-root={self.directory}/exec",
            "--pidfile=/run/fairwayd.pid",
            *self._runtime,
        ]

    def cli(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).parent / "fairway"), "-H", self.url, *words]


class Docker(Engine):
    """containerd runs by itself, as Debian's service has it: it goes on when dockerd is killed."""

    name = "dockerd"

    def __init__(self, directory: Path, path: str) -> None:
        """``path`` is a ``PATH`` with dockerd and what it starts."""
        self._path = path
        self._cgroup = f"fairway-bench-{os.getpid()}"
        self._containerd: subprocess.Popen[bytes] | None = None
        super().__init__(directory)

    def launch(self) -> None:
        if self._containerd is None:
            command = ["containerd", "--root", f"{self.directory}/containerd", "--address", _CONTAINERD]
            with (self.directory / "containerd.log").open("ab") as log:
                self._containerd = subprocess.Popen(
                    [*self.enter(), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self.environment(),
                    start_new_session=True,
                )
        super().launch()

    def command(self) -> list[str]:
        return [
            "dockerd",
            f"--host={self.url}",
            f"--data-root={self.directory}/data",
            "--exec-root=/run/docker",
            "--pidfile=/run/docker.pid",
            "--storage-driver=overlay2",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--cgroup-parent=/{self._cgroup}",
            "--iptables=true",
            "--live-restore",
            f"--containerd={_CONTAINERD}",
        ]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"PATH": self._path}

    def cli(self, *words: str) -> list[str]:
        return [shutil.which("docker", path=self._path) or "docker", "-H", self.url, *words]

    def close(self) -> None:
        super().close()
        if self._containerd:
            self._containerd.wait()
        for parent in Path("/sys/fs/cgroup").glob(f"*/{self._cgroup}"):
            for file in parent.rglob("cgroup.procs"):  # of containers that it could not remove any more
                for pid in file.read_text().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
        for parent in Path("/sys/fs/cgroup").glob(f"*/{self._cgroup}"):
            for directory, _, _ in os.walk(parent, topdown=False):
                _remove_cgroup(Path(directory))


def _remove_cgroup(directory: Path) -> None:
    """Processes that were killed leave it a moment later. Raises OSError."""
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        try:
            directory.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
