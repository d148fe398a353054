"""``make demo``: two networks on one host, with real containers and real pings (needs root).

The demonstration's host is this kernel seen through namespaces of its own: network, mount, UTS and PID. They
are held by a process that ends when this one does, however that comes; with it the kernel ends everything
inside. The daemon's state is on a tmpfs that exists in there only. So nothing on the user's host is touched
but the cgroups of the two containers, and those are removed with the containers.

    demo.py ── pipe ── holder (pid 1 inside) ─┬─ fairwayd ── resolver, conmon ── containers
                                              └─ fairway … (every command shown, one at a time)

Exit status: 0 if every step turned out as it should and nothing is left, else 1.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairway.model.errors import Fault
from fairway.runtime.images.busybox import make_busybox_image
from topology import draw

NAMESPACES = ("net", "mnt", "uts", "pid")
BIN = Path(sys.executable).parent
CGROUPS = Path("/sys/fs/cgroup")
PATIENCE = 60.0
"""Seconds that one command, or the daemon's start or stop, may take at most."""

_HOLD = "exec 3<&0; cat <&3 >/dev/null & wait $!"
"""Lives until its standard input ends, and meanwhile collects orphans, as a first process must."""
_PREPARE = """
set -e
mount -t tmpfs -o mode=0700 fairway-demo {directory}
hostname fairway-demo
ip link set lo up
"""


@dataclass(frozen=True)
class Step:
    """One command as the user would type it, and how it must turn out.

    ``{name}`` stands for what an earlier step captured; ``captures`` names this one's output.
    """

    says: str
    command: str
    succeeds: bool = True
    shows: str = ""
    """A regular expression that the output must contain."""
    captures: str = ""


WALK: tuple[Step | None, ...] = (
    Step("An image, made of this machine's static busybox.", "fairway load -i {archive}", shows="busybox"),
    Step("Two networks.", "fairway network create web", shows=r"^[0-9a-f]{64}$"),
    Step("", "fairway network create app", shows=r"^[0-9a-f]{64}$"),
    Step("", "fairway network ls", shows=r"(?s)\bapp\s+bridge\s+local.*\bweb\s+bridge\s+local"),
    Step(
        "A container in each.",
        "fairway run -itd --net=web --name web_container busybox",
        shows=r"^[0-9a-f]{64}$",
        captures="web",
    ),
    Step(
        "",
        "fairway run -itd --net=app --name app_container busybox",
        shows=r"^[0-9a-f]{64}$",
        captures="app",
    ),
    None,
    Step(
        "Networks are separate. The address of app_container …",
        "fairway inspect -f '{{.NetworkSettings.Networks.app.IPAddress}}' app_container",
        shows=r"^\d+\.\d+\.\d+\.\d+$",
        captures="address",
    ),
    Step(
        "… is out of reach from web_container,",
        "fairway exec web_container ping -c 1 -W 1 {address}",
        succeeds=False,
        shows="100% packet loss",
    ),
    Step(
        "and its name is unknown there.",
        "fairway exec web_container ping -c 1 app_container",
        succeeds=False,
        shows="bad address",
    ),
    Step(
        "Join web_container to the second network, while it runs.",
        "fairway network connect app web_container",
    ),
    Step(
        "It has a second interface at once,",
        "fairway exec web_container ip -o -4 addr",
        shows=r"(?s)eth0.*eth1",
    ),
    Step(
        "the other container answers by name,",
        "fairway exec web_container ping -c 2 app_container",
        shows=r"(?s)\({address}\).* 0% packet loss",
    ),
    Step(
        "and by name and network.",
        "fairway exec web_container ping -c 2 app_container.app",
        shows=r"(?s)\({address}\).* 0% packet loss",
    ),
    None,
    Step("Leave it again.", "fairway network disconnect app web_container"),
    Step(
        "Out of reach once more.",
        "fairway exec web_container ping -c 1 -W 1 {address}",
        succeeds=False,
        shows="100% packet loss|Network is unreachable",
    ),
    None,
    Step(
        "Remove all of it.",
        "fairway rm -f web_container app_container",
        shows="(?s)web_container.*app_container",
    ),
    Step("", "fairway network rm web app", shows="(?s)web.*app"),
)
"""None stands for the picture of what there is at that moment."""


class Unexpected(Exception):
    """A step did not turn out as it should."""


def fill(text: str, known: Mapping[str, str]) -> str:
    """``{name}`` replaced where the name is known; other braces are the text's own."""
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), text)


def fault_of(step: Step, code: int, output: str, known: Mapping[str, str]) -> str:
    """What is wrong with a step's outcome, empty if nothing is."""
    if step.succeeds != (code == 0):
        return f"exit status {code}, where {'0' if step.succeeds else 'a failure'} was expected"
    wanted = fill(step.shows, {name: re.escape(value) for name, value in known.items()})
    if not re.search(wanted, output, re.MULTILINE):
        return f"expected in the output: {wanted}"
    return ""


class Host:
    """The demonstration's own host, below ``directory`` (a temporary one)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "fairway.sock"
        words = [
            "unshare",
            *(f"--{kind}" for kind in ("net", "mount", "uts", "pid")),
            "--fork",
            "--mount-proc",
        ]
        self._holder = subprocess.Popen(
            [*words, "sh", "-c", _HOLD], stdin=subprocess.PIPE, start_new_session=True
        )
        self._daemon: subprocess.Popen[bytes] | None = None
        self.pid = self._first_process()
        self.namespaces = {kind: str(Path(f"/proc/{self.pid}/ns/{kind}").readlink()) for kind in NAMESPACES}
        self.command(_PREPARE.format(directory=shlex.quote(str(directory))), check=True)

    def _first_process(self) -> int:
        """Host pid of the holder's shell, once it is there with its own /proc."""
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._holder.poll() is None:
            for pid in children.read_text().split():
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{pid}/comm").read_text().strip() == "sh":
                        return int(pid)
            time.sleep(0.005)
        raise Unexpected("cannot make namespaces: unshare failed")

    def _enter(self) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "-p", "--"]

    def environment(self) -> dict[str, str]:
        """The user's, but no other daemon's address and no settings of clients."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "FAIRWAY_"))}
        path = f"{BIN}:{kept.get('PATH', '')}:/usr/sbin:/sbin"
        return kept | {"FAIRWAY_HOST": f"unix://{self.socket}", "PATH": path, "HOME": str(self.directory)}

    def command(self, text: str, *, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a shell command there; its output holds both streams."""
        done = subprocess.run(
            [*self._enter(), "sh", "-c", text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            env=self.environment(),
            check=False,
        )
        if check and done.returncode:
            raise Unexpected(done.stdout.strip())
        return done

    def read(self, path: str) -> str:
        """A file as processes there see it."""
        return (Path(f"/proc/{self.pid}/root") / path.lstrip("/")).read_text()

    def start_daemon(self) -> None:
        log = f"{self.directory}/fairwayd.log"
        words = [
            *("fairwayd", f"--host=unix://{self.socket}", f"--config-file={self.directory}/daemon.json"),
            *(f"--data-root={self.directory}/data", f"--exec-root={self.directory}/run"),
            f"--pidfile={self.directory}/fairwayd.pid",
        ]
        self.command(f"echo '{{}}' > {self.directory}/daemon.json", check=True)
        line = f"exec {shlex.join(words)} >{shlex.quote(log)} 2>&1"
        self._daemon = subprocess.Popen(
            [*self._enter(), "sh", "-c", line], env=self.environment(), start_new_session=True
        )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._daemon.poll() is None:
            if self.command("fairway network ls -q").returncode == 0:
                return
        raise Unexpected("fairwayd does not answer")

    def log(self) -> str:
        return self.read(f"{self.directory}/fairwayd.log")

    def stop_daemon(self) -> None:
        """In order. nsenter only waits for the daemon, so the signal goes to the pid in its pid file.

        A daemon that has not come so far as to write one ends with the host.
        """
        if self._daemon and not self.command(f"kill $(cat {self.directory}/fairwayd.pid)").returncode:
            self._daemon.wait(PATIENCE)

    def leftovers(self) -> list[str]:
        """What the daemon's containers and networks left inside, the default bridge and its rules excepted.

        Those stay while the host exists, as containers and their networks outlive the daemon.
        """
        root = Path(f"/proc/{self.pid}/root")
        links = self.command("ip -br link").stdout.splitlines()
        left = [f"interface {name}" for line in links if (name := line.split()[0]) not in ("lo", "docker0")]
        for entry in (root / "proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and entry.name != "1":
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                    left += [f"process {words}"] if words != "cat" else []
        mounts = [line.split()[4] for line in self.read("/proc/1/mountinfo").splitlines()]
        left += [f"mount {m}" for m in mounts if m.startswith(f"{self.directory}/")]
        run = root / str(self.directory).lstrip("/") / "run" / "netns"
        left += [f"network namespace {file.name}" for file in (run.iterdir() if run.is_dir() else ())]
        rules = self.command("nft list table inet fairway").stdout
        left += [f"firewall element {name}" for name in re.findall(r'"((?:br-|veth)\w+)"', rules)]
        return left

    def close(self) -> None:
        """End everything inside."""
        assert self._holder.stdin
        self._holder.stdin.close()
        try:
            self._holder.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self._holder.wait()
        if self._daemon:
            self._daemon.wait(PATIENCE)


def remains(host: Host, containers: Sequence[str]) -> list[str]:
    """What of a closed host is still on this machine: directory, processes, mounts, namespaces, cgroups."""
    left = [f"directory {host.directory}"] if host.directory.exists() else []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            for kind, name in host.namespaces.items():
                with contextlib.suppress(OSError):
                    if str((process / "ns" / kind).readlink()) == name:
                        left.append(f"process {process.name} in namespace {name}")
    table = Path("/proc/self/mountinfo").read_text()
    left += [f"mount {line.split()[4]}" for line in table.splitlines() if str(host.directory) in line]
    left += [f"namespace {name}" for name in host.namespaces.values() if name in table]
    for container in containers:
        left += [f"cgroup {path}" for path in CGROUPS.glob(f"*/*/{container}")]
        left += [f"cgroup {path}" for path in CGROUPS.glob(f"*/{container}")]
    return left


def cgroup_parents() -> set[Path]:
    """The directories, one a hierarchy, in which containers' cgroups lie."""
    return {p for p in (CGROUPS / "fairway", *CGROUPS.glob("*/fairway")) if p.is_dir()}


def nothing(left: Sequence[str]) -> None:
    """Raises Unexpected if anything is left."""
    if left:
        raise Unexpected("left behind: " + ", ".join(left))


@contextlib.contextmanager
def own_host() -> Iterator[Host]:
    """A host in a temporary directory, gone afterwards whatever happened."""
    before = cgroup_parents()
    with tempfile.TemporaryDirectory(prefix="fairway-demo-") as directory:
        host = Host(Path(directory))
        try:
            yield host
        finally:
            host.close()
            for parent in cgroup_parents() - before:
                with contextlib.suppress(OSError):  # another daemon's containers are in it by now
                    parent.rmdir()


class Show:
    """Prints what happens."""

    def __init__(self) -> None:
        self._bold, self._plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")

    def heading(self, text: str) -> None:
        print(f"\n{self._bold}{text}{self._plain}", flush=True)

    def typed(self, command: str) -> None:
        print(f"$ {self._bold}{command}{self._plain}", flush=True)

    def output(self, text: str) -> None:
        for line in text.replace("\r", "").splitlines():
            print(f"  {line}".rstrip(), flush=True)


def picture(host: Host) -> str:
    """The user's networks as the API tells them."""
    told = host.command("fairway network inspect $(fairway network ls -q --filter type=custom)", check=True)
    return draw(json.loads(told.stdout))


def walk(host: Host, show: Show, known: dict[str, str]) -> None:
    """All steps, one after the other. Raises Unexpected at the first that goes wrong."""
    for step in WALK:
        if step is None:
            show.heading("What there is now:")
            show.output(picture(host))
            continue
        if step.says:
            show.heading(step.says)
        command = fill(step.command, known)
        show.typed(command)
        done = host.command(command)
        show.output(done.stdout)
        if fault := fault_of(step, done.returncode, done.stdout, known):
            raise Unexpected(f"{command}: {fault}")
        if step.captures:
            known[step.captures] = done.stdout.strip()


def demonstrate(show: Show, known: dict[str, str]) -> Host:
    """The whole demonstration; returns its host, closed. Raises Unexpected, Fault."""
    with own_host() as host:
        show.heading("A host of its own: network, mount, UTS and PID namespaces. Yours is not touched.")
        busybox = shutil.which("busybox")
        if busybox is None:
            raise Unexpected("busybox is missing; as root: apt-get install busybox-static")
        known["archive"] = f"{host.directory}/busybox.tar"
        Path(f"/proc/{host.pid}/root{known['archive']}").write_bytes(make_busybox_image(Path(busybox)))
        show.typed(f"fairwayd --host=unix://{host.socket} --data-root={host.directory}/data …")
        show.typed(f"export FAIRWAY_HOST=unix://{host.socket}")
        try:
            host.start_daemon()
            walk(host, show, known)
        except Unexpected as fault:
            raise Unexpected(f"{fault}\nThe daemon's log:\n{host.log()}") from None
        finally:
            host.command("fairway ps -aq | xargs -r fairway rm -f")
            host.stop_daemon()
        show.heading("The daemon has stopped. Looking for what its containers and networks left behind …")
        nothing(host.leftovers())
        show.output("no interface, no process, no mount, no network namespace, no firewall element")
    return host


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    show, known = Show(), dict[str, str]()
    try:
        host = demonstrate(show, known)
        nothing(remains(host, [known[name] for name in ("web", "app")]))
    except (Unexpected, Fault, subprocess.TimeoutExpired) as error:
        print(f"\nThe demonstration failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; everything is taken down.", file=sys.stderr)
        return 130
    show.heading(
        "Its host is gone, too: no namespace, no mount, no process, no cgroup, no directory is left."
    )
    print("\nEvery step turned out as it should.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
