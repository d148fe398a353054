"""What this machine lacks for Fairway, each thing with how to get it.

``python -m fairway.daemon.requirements`` prints one line per missing thing and exits 1, or nothing and 0.
"""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairway.firewall.ruleset import RULESET
from fairway.kernel.linux import LinuxKernel
from fairway.model.errors import Fault
from fairway.model.hold import Held, Hold
from fairway.runtime import command
from fairway.runtime.select import choose

PROGRAMS = (("conmon", "conmon"), ("skopeo", "skopeo"), ("unshare", "util-linux"))
SECCOMP = Path("/usr/share/containers/seccomp.json")


class _NoListeners:
    """The probe opens no resolver."""

    def open(self, sandbox: str, udp: socket.socket, tcp: socket.socket) -> None:
        raise AssertionError(sandbox)

    def close(self, sandbox: str) -> None:
        raise AssertionError(sandbox)

    def sandboxes(self) -> frozenset[str]:
        return frozenset()


class _NoPorts:
    """The probe publishes nothing."""

    def change(self, release: Sequence[Hold], hold: Sequence[Hold]) -> Sequence[Held]:
        raise AssertionError(hold)

    def held(self) -> Sequence[Hold]:
        return ()

    def keep(self, owner: socket.socket | None) -> None:
        raise AssertionError(owner)


def missing() -> Iterator[str]:
    """What is missing, in words."""
    if os.geteuid() != 0:
        yield "root: namespaces, bridges and mounts need it; run with sudo"
        return
    for program, package in PROGRAMS:
        try:
            command.find(program, package)
        except Fault as fault:
            yield fault.message
    if not SECCOMP.exists():
        yield f"{SECCOMP}: the default seccomp profile; apt-get install golang-github-containers-common"
    try:
        asyncio.run(choose())
    except Fault as fault:
        yield fault.message
    yield from asyncio.run(_kernel())


async def _kernel() -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        kernel = LinuxKernel(
            "requirements",
            ruleset=RULESET,
            namespaces=directory,
            mounts=(),
            listeners=_NoListeners(),
            ports=_NoPorts(),
        )
        try:
            return [str(feature) for feature in await kernel.features() if not feature.optional]
        finally:
            await kernel.close()


def main() -> int:
    try:
        lacking = list(missing())
    except Fault as fault:
        lacking = [fault.message]
    for line in lacking:
        sys.stderr.write(f"missing: {line}\n")
    if lacking:
        sys.stderr.write("what still works: make unit (the unit tests, on a kernel in memory)\n")
    return bool(lacking)


if __name__ == "__main__":
    sys.exit(main())
