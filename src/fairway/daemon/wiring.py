"""The composition root: which implementation stands behind each protocol of the engine.

    <data-root>/  engine-id  fairway.db[.backup]  images/  layers-rw/  containers/  volumes/        kept
    <exec-root>/  netns/  rootfs/  oci/ …  dns/  ports/                                    gone after a reboot

The run directory is made a shared mount, so that an unmount reaches every copy of the mount table that a
container's monitor may hold.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

import structlog

from fairway.daemon.companions import Companions
from fairway.daemon.facts import host_facts
from fairway.engine.core import Core
from fairway.engine.engine import Engine
from fairway.engine.events import Events
from fairway.engine.identity import Identity
from fairway.engine.settings import Settings
from fairway.engine.state import State
from fairway.firewall import guard
from fairway.firewall.ruleset import ruleset
from fairway.ipam import Ipam
from fairway.ipam.subnets import ula_pool
from fairway.kernel.linux import LinuxKernel
from fairway.kernel.namespaces import prepare_run_directory, release_run_directory
from fairway.model.errors import Conflict, Fault, System
from fairway.runtime.files import HostFiles
from fairway.runtime.images.store import ImageStore
from fairway.runtime.runtime import OciRuntime
from fairway.store.sqlite import SqliteStore


class WallClock:
    def now(self) -> int:
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Options:
    """What the daemon's configuration says about the engine."""

    settings: Settings
    runtime: str = ""
    """``crun``, ``runc``, or empty for the better one that works."""
    insecure_registries: tuple[str, ...] = ()


def identity(data_root: Path) -> str:
    """The daemon's id, made at its first start. Raises System."""
    path = data_root / "engine-id"
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        data_root.chmod(0o710)  # whatever it was: what containers make in there, others must not run
        if not path.exists():
            path.write_text(secrets.token_hex(16))
        return path.read_text().strip()
    except OSError as e:
        raise System(f"cannot use the data root {data_root}: {e.strerror}") from e


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """The directory is this daemon's alone: another one would take what it finds there for its own leftovers.

    The lock ends with the process, however that ends. Raises Conflict, System.
    """
    try:
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as e:
        raise System(f"cannot use the directory {directory}: {e.strerror}") from e
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{directory} is in use by another fairwayd") from None
        yield
    finally:
        os.close(handle)


@contextlib.asynccontextmanager
async def assembled(options: Options) -> AsyncIterator[Engine]:
    """A started engine; on leaving, the daemon's part ends and containers go on.

    Raises System naming what this machine lacks.
    """
    settings, log = options.settings, structlog.get_logger()
    data_root, exec_root = Path(settings.data_root), Path(settings.exec_root)
    clock, companions = WallClock(), Companions(exec_root)
    async with contextlib.AsyncExitStack() as stack:
        for directory in (data_root, exec_root):
            stack.enter_context(claimed(directory))
        prepare_run_directory(settings.exec_root)
        stack.callback(_release, exec_root, log)
        for name in ("netns", "rootfs", "dns", "ports"):
            (exec_root / name).mkdir(exist_ok=True)
            # A set-user-id program of a container is none for the host's users.
            (exec_root / name).chmod(0o700)
        # Programs are tried out, which takes as long as all the rest: meanwhile the kernel is asked.
        opening = asyncio.ensure_future(OciRuntime.open(exec_root, data_root, options.runtime))
        stack.callback(opening.cancel)
        store = SqliteStore(data_root / "fairway.db")
        stack.callback(companions.disconnect)
        families = {"ipv4": settings.iptables, "ipv6": settings.ip6tables}
        kernel = LinuxKernel(
            settings.id,
            ruleset=ruleset(**families) + guard.rules(**families),
            namespaces=str(exec_root / "netns"),
            mounts=[str(exec_root / "rootfs")],
            listeners=companions.handover,
            ports=companions.ports,
        )
        stack.push_async_callback(kernel.close)
        missing = await kernel.features()
        if required := [str(feature) for feature in missing if not feature.optional]:
            raise System("; ".join(required))
        for feature in missing:
            log.warning("this host lacks an optional feature", feature=str(feature))
        runtime = await opening
        await stack.enter_async_context(companions.running())
        await kernel.install()
        stack.push_async_callback(runtime.cleanup)
        core = Core(
            settings=settings,
            state=State(store),
            ipam=Ipam((*settings.address_pools, ula_pool(settings.id))),
            kernel=kernel,
            resolver=companions.resolver,
            runtime=runtime,
            images=ImageStore(
                data_root / "images",
                data_root / "layers-rw",
                exec_root / "rootfs",
                insecure_registries=options.insecure_registries,
            ),
            files=HostFiles(data_root),
            clock=clock,
            identity=Identity(SystemRandom()),
            events=Events(clock),
            log=log,
        )
        engine = Engine(core, host_facts(settings, runtime, clock.now()))
        stack.push_async_callback(engine.close)
        await engine.start()
        restore = {"resolver": engine.resolver_lost, "port holder": engine.ports_lost}
        await stack.enter_async_context(companions.kept(restore, log))
        yield engine


def _release(exec_root: Path, log: structlog.stdlib.BoundLogger) -> None:
    """The run directory's own mount goes when nothing is mounted below it any more."""
    used = any(os.scandir(exec_root / "netns")) or any(os.scandir(exec_root / "rootfs"))
    if not used:
        try:
            release_run_directory(str(exec_root))
        except Fault as fault:
            log.warning("while stopping", error=fault.message)
