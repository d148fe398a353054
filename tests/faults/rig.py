"""A host with a daemon that can be killed and refused at will, and bystanders that must never notice.

    six     network with IPv4 and IPv6: ``web`` (HTTP on port 80, published on 18080) and ``peer``
    inner   internal network: ``peer`` is there, too
    bridge  the default one: ``plain``

The daemon is a fork of a process that has everything loaded (see ``daemon``); its companions, conmons and
containers are real and live through its death as always.
"""

import contextlib
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon_host import NODE_IP, Host
from faults.api import Api, NoReply
from faults.auditor import Audit, Said, settled
from faults.reality import Reality, Where, read

IMAGE = "busybox"
BYSTANDERS = ("web", "peer", "plain")
NETWORKS = ("bridge", "host", "none", "six", "inner")
_TESTS = Path(__file__).parent.parent


class Rig:
    def __init__(self, directory: Path, data_size: str = "") -> None:
        """``data_size``: the data root is a tmpfs of that size."""
        self._disk = data_size and f"{directory}/data"
        if self._disk:
            os.mkdir(self._disk)
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={data_size}", "none", self._disk], check=True
            )
        self.host = Host(directory)
        self.log_path = directory / "fairwayd.log"
        self.log_path.touch()
        self.where = Where(self.host._host.pid, "/run/fairway", f"{directory}/data")
        self.api = Api(self.host.reachable_socket)
        self.pid = 0
        self.limits: dict[str, int] = {}
        self.options: tuple[str, ...] = ()
        self.seen: set[str] = set()
        self.baseline: set[str] = set()
        self.accepted: set[str] = set()
        """Findings that were told once and that nothing mends; so each is told once only."""
        self.restarts = 0
        self._pidfd = -1
        self._points = str(directory / "points")
        self._nursery = self._start_nursery(directory)

    def _start_nursery(self, directory: Path) -> "subprocess.Popen[bytes]":
        (directory / "daemon.json").write_text("{}")
        path = str(directory / "nursery")
        environment = self.host.environment()
        environment["PYTHONPATH"] = f"{_TESTS}:{environment.get('PYTHONPATH', '')}"
        nursery = subprocess.Popen(
            [*self.host.enter(), sys.executable, "-m", "faults.daemon", path],
            env=environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        self._orders = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 30
        while True:
            try:
                self._orders.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline or nursery.poll() is not None:
                    raise
                time.sleep(0.02)
        self._stream = self._orders.makefile("rw")
        return nursery

    # The daemon.

    def start(self) -> None:
        """Start the daemon and wait for its first answer."""
        words = [
            f"--host={self.host.url}",
            f"--data-root={self.where.data}",
            f"--config-file={self.host.configuration}",
            *self.options,
        ]
        order = {
            "start": words,
            "log": str(self.log_path),
            "points": self._points,
            "roots": [self.where.run, self.where.data],
            "limits": self.limits,
        }
        self._stream.write(json.dumps(order) + "\n")
        self._stream.flush()
        self.pid = int(self._stream.readline())
        self._pidfd = os.pidfd_open(self.pid)
        self.restarts += 1
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.api.call("GET", "/_ping").ok:
                    return
            except NoReply:
                if self.ended(0) or time.monotonic() > deadline:
                    raise AssertionError(f"the daemon does not answer: {self.log()[-2000:]}") from None
                time.sleep(0.005)

    def ended(self, timeout: float) -> bool:
        """Whether the daemon has ended, within so many seconds."""
        return self._pidfd < 0 or bool(select.select([self._pidfd], [], [], timeout)[0])

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self._pidfd < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, how)
        assert self.ended(30), "the daemon does not stop"
        os.close(self._pidfd)
        self._pidfd = -1

    def restart(self, how: int = signal.SIGTERM) -> None:
        self.stop(how)
        self.start()

    def order(self, **what: Any) -> Any:
        """Tell the daemon's ``points``."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._points)
            with connection.makefile("rw") as stream:
                stream.write(json.dumps(what) + "\n")
                stream.flush()
                return json.loads(stream.readline())

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    # Looking.

    def look(self) -> Reality:
        return read(self.where)

    @property
    def known(self) -> frozenset[int]:
        """Processes that belong to the harness."""
        return frozenset((self.pid, self._nursery.pid))

    def audit(self, patience: float = 5.0) -> list[str]:
        """What the auditor finds once nothing moves any more."""

        def once() -> list[str]:
            try:
                said = Said.by(self.api)
            except (AssertionError, NoReply) as error:  # a container that went between two questions
                return [f"the API does not answer: {error}"]
            self.seen |= set(said.containers)
            found = Audit(self.where, self.look(), said, self.known, frozenset(self.seen))()
            return [finding for finding in found if finding not in self.accepted]

        return settled(once, patience)

    def packets(self) -> list[str]:
        """One real packet each: between bystanders over both families, by name, and from outside."""
        web, peer = (self.api.get(f"/containers/{name}/json") for name in ("web", "peer"))
        inside = shlex.quote(peer["NetworkSettings"]["SandboxKey"])
        there = web["NetworkSettings"]["Networks"]["six"]
        script = f"""
        e() {{ nsenter --net={inside} busybox "$@" >/dev/null 2>&1; }}
        e ping -c1 -W2 {there["IPAddress"]} || echo peer does not reach web over IPv4
        e ping -6 -c1 -W2 {there["GlobalIPv6Address"]} || echo peer does not reach web over IPv6
        nsenter --net={inside} busybox nslookup web 127.0.0.11 2>&1 | grep -q {there["IPAddress"]} ||
            echo peer does not find web by its name
        """
        said = self.host.run(script).stdout.splitlines()
        request = f"exec 3<>/dev/tcp/{NODE_IP}/18080; echo GET / >&3; timeout 3 head -c 20 <&3"
        if not self.host.run(request, outside=True).stdout.startswith("HTTP/"):
            said.append("web is not reached through its published port")
        return said

    # The baseline.

    def build(self) -> None:
        """Image, networks, bystanders; what there is then is the baseline."""
        self.start()
        self.host.load_busybox()
        self.api.post("/networks/create", network("six", ipv6=True, subnets=("10.7.0.0/24", "fd07::/64")))
        self.api.post("/networks/create", network("inner", internal=True))
        self.run("web", "six", ports={"80/tcp": "18080"}, command=["httpd", "-f", "-p", "80", "-h", "/etc"])
        self.run("peer", "six")
        self.api.post("/networks/inner/connect", {"Container": "peer"})
        self.run("plain", "bridge")
        findings = self.audit() + self.packets()
        assert not findings, findings
        self.baseline = self.fingerprint()

    def fingerprint(self) -> set[str]:
        """All that is there, and the bystanders as inspect shows them."""
        lines = self.look().fingerprint()
        for name in BYSTANDERS:
            shown = self.api.get(f"/containers/{name}/json")
            kept = {k: shown[k] for k in ("Id", "State", "RestartCount", "NetworkSettings")}
            lines.add(f"inspect {name}: {json.dumps(kept, sort_keys=True)}")
        return {line for line in lines if "faults.daemon" not in line}

    def reset(self) -> list[str]:
        """Remove all but the baseline through the API; what then differs from it."""
        try:
            self._remove_all()
        except (AssertionError, NoReply) as error:
            return [f"cannot be undone: {error}"]

        def once() -> list[str]:
            now = self.fingerprint()
            return [f"not as at the beginning: {x}" for x in sorted(now - self.baseline)] + [
                f"missing since the beginning: {x}" for x in sorted(self.baseline - now)
            ]

        return settled(once)

    def _remove_all(self) -> None:
        for container in self.api.get("/containers/json", all=1):
            if container["Names"][0].strip("/") not in BYSTANDERS:
                self.api.delete(f"/containers/{container['Id']}", force=1, v=1)
        for each in self.api.get("/networks"):
            if each["Name"] not in NETWORKS:
                self.api.delete(f"/networks/{each['Id']}")
        for volume in self.api.get("/volumes")["Volumes"] or ():
            self.api.delete(f"/volumes/{volume['Name']}")

    def create(self, name: str, mode: str, *, command: list[str] | None = None, **more: Any) -> str:
        body = container(mode, command or ["sleep", "86400"], **more)
        made = self.api.post("/containers/create", body, name=name)
        self.seen.add(made["Id"])
        return str(made["Id"])

    def run(self, name: str, mode: str, **more: Any) -> str:
        made = self.create(name, mode, **more)
        self.api.post(f"/containers/{made}/start")
        return made

    def close(self) -> None:
        with contextlib.suppress(Exception):
            if self.ended(0):
                self.start()
            for each in self.api.get("/containers/json", all=1):
                self.api.delete(f"/containers/{each['Id']}", force=1, v=1)
        with contextlib.suppress(Exception):
            self.stop()
        with contextlib.suppress(OSError):
            self._stream.close()
            self._orders.close()
        self._nursery.wait(10)
        self.host.close()
        if self._disk:
            subprocess.run(["umount", "-l", self._disk], check=True)


def network(
    name: str, *, ipv6: bool = False, internal: bool = False, subnets: tuple[str, ...] = (), **options: str
) -> dict[str, Any]:
    """The body of a network's creation."""
    config = [{"Subnet": subnet} for subnet in subnets]
    body: dict[str, Any] = {"Name": name, "EnableIPv6": ipv6, "Internal": internal, "Options": options}
    return body | ({"IPAM": {"Config": config}} if config else {})


def container(
    mode: str,
    command: list[str],
    *,
    ports: dict[str, str] | None = None,
    networks: dict[str, dict[str, Any]] | None = None,
    binds: list[str] | None = None,
    **host: Any,
) -> dict[str, Any]:
    """The body of a container's creation; ``ports`` as {"80/tcp": "8080"}."""
    published = {inside: [{"HostPort": outside}] for inside, outside in (ports or {}).items()}
    return {
        "Image": IMAGE,
        "Cmd": command,
        "StopTimeout": 0,
        "ExposedPorts": {inside: {} for inside in published},
        "HostConfig": {"NetworkMode": mode, "PortBindings": published, "Binds": binds or [], **host},
        "NetworkingConfig": {"EndpointsConfig": networks or {}},
    }


@contextlib.contextmanager
def rig(directory: Path, data_size: str = "") -> Iterator[Rig]:
    made = Rig(directory, data_size)
    try:
        made.build()
        yield made
    finally:
        made.close()
