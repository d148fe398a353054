"""A host of one's own per test: a fresh network namespace, in which a LinuxKernel works as on a real host.

The kernel's worker thread enters the namespace; the test itself stays outside and looks in with ``run``.
Everything made below the test's directory is taken down at the end, and what a test leaked is an error.
"""

import contextlib
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from fairway.companion.loop import Loop
from fairway.firewall.guard import RULES
from fairway.firewall.ruleset import RULESET
from fairway.kernel.libc import unmount
from fairway.kernel.linux import LinuxKernel
from fairway.kernel.mounts import mounts
from fairway.kernel.namespaces import Namespaces, prepare_run_directory, release_run_directory, remove
from fairway.ports.holder import Holder


class HeldListeners:
    """Holds the DNS sockets of sandboxes and never answers."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[socket.socket, socket.socket]] = {}

    def open(self, sandbox: str, udp: socket.socket, tcp: socket.socket) -> None:
        self.held[sandbox] = (udp, tcp)

    def close(self, sandbox: str) -> None:
        for each in self.held.pop(sandbox, ()):
            each.close()

    def sandboxes(self) -> frozenset[str]:
        return frozenset(self.held)


class NetnsHost:
    """``file`` is the host's namespace, ``namespaces`` the directory for sandboxes, ``root`` holds mounts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = str(root / "host")
        self.namespaces = str(root / "run" / "netns")
        self.listeners = HeldListeners()
        self.ports = Holder(Loop(), 1 << 14)
        """Binds in the namespace of who asks, the kernel's worker, and never proxies."""

    def kernel(self, owner: str = "test", ruleset: str = RULESET + RULES) -> LinuxKernel:
        return LinuxKernel(
            owner,
            ruleset=ruleset,
            namespaces=self.namespaces,
            mounts=[str(self.root)],
            listeners=self.listeners,
            ports=self.ports,
            host_namespace=self.file,
        )

    def sandbox(self, name: str) -> str:
        """Path for a sandbox's namespace file; nothing is made."""
        return f"{self.namespaces}/{name}"

    def run(self, command: str, namespace: str = "") -> subprocess.CompletedProcess[str]:
        """A shell command inside the host's or a sandbox's namespace."""
        argv = ["nsenter", f"--net={namespace or self.file}", "sh", "-c", command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)

    def tables(self) -> str:
        """The firewall's tables as nft lists them, without what counters show."""
        listed = [self.run(f"nft list table {family} fairway").stdout for family in ("inet", "bridge")]
        return re.sub(r" packets \d+ bytes \d+", "", "".join(listed))

    def leftovers(self) -> list[str]:
        """Mounts below the directory apart from its own."""
        own = {self.file, str(self.root / "run")}
        return [m.target for m in mounts() if m.target.startswith(f"{self.root}/") and m.target not in own]


@contextlib.contextmanager
def netns_host(root: Path) -> Iterator[NetnsHost]:
    """A host below ``root``; takes everything down afterwards, whatever the test did."""
    host = NetnsHost(root)
    prepare_run_directory(str(root / "run"))
    try:
        os.mkdir(host.namespaces)
        _make_namespace(host.file)
        yield host
    finally:
        for sandbox in list(host.listeners.held):
            host.listeners.close(sandbox)
        host.ports.close()
        for target in reversed(host.leftovers()):
            unmount(target)
        remove(host.file)
        release_run_directory(str(root / "run"))


def _make_namespace(file: str) -> None:
    """Make the host's namespace in a thread: the one that calls this never leaves its own."""

    def make() -> None:
        namespaces = Namespaces(None)
        try:
            namespaces.create(file)
        finally:
            namespaces.close()

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not Path(file).exists():
        raise RuntimeError(f"could not make a network namespace at {file}")
