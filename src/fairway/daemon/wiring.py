"""The composition root: which implementation stands behind each protocol of the engine.

    <data-root>/  engine-id  fairway.db  images/  layers-rw/  containers/  volumes/        kept
    <exec-root>/  netns/  rootfs/  oci/ …  dns/                                            gone after a reboot

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

from fairway.daemon.facts import host_facts
from fairway.dns.control import ResolverClient, SocketHandover
from fairway.dns.launch import Location
from fairway.engine.core import Core
from fairway.engine.engine import Engine
from fairway.engine.events import Events
from fairway.engine.identity import Identity
from fairway.engine.settings import Settings
from fairway.engine.state import State
from fairway.firewall.ruleset import RULESET
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
        data_root.mkdir(mode=0o710, parents=True, exist_ok=True)
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
    clock, location = WallClock(), Location(f"{exec_root}/dns/control", f"{exec_root}/dns")
    async with contextlib.AsyncExitStack() as stack:
        for directory in (data_root, exec_root):
            stack.enter_context(claimed(directory))
        prepare_run_directory(settings.exec_root)
        stack.callback(_release, exec_root, log)
        for directory in (exec_root / "netns", exec_root / "rootfs", exec_root / "dns"):
            directory.mkdir(mode=0o711, exist_ok=True)
        store = SqliteStore(data_root / "fairway.db")
        handover = SocketHandover(location)
        stack.callback(handover.disconnect)
        kernel = LinuxKernel(
            settings.id,
            ruleset=RULESET,
            namespaces=str(exec_root / "netns"),
            mounts=[str(exec_root / "rootfs")],
            listeners=handover,
        )
        stack.push_async_callback(kernel.close)
        missing = await kernel.features()
        if missing:
            raise System("; ".join(str(feature) for feature in missing))
        await kernel.install()
        runtime = await OciRuntime.open(exec_root, data_root, options.runtime)
        lost = asyncio.Event()
        resolver = ResolverClient(location, on_exit=lost.set)
        await resolver.start()
        stack.push_async_callback(_leave_resolver, resolver)
        stack.push_async_callback(runtime.cleanup)
        core = Core(
            settings=settings,
            state=State(store),
            ipam=Ipam((*settings.address_pools, ula_pool(settings.id))),
            kernel=kernel,
            resolver=resolver,
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
        keeper = asyncio.get_running_loop().create_task(_keep_resolver(engine, resolver, lost, log))
        stack.push_async_callback(_cancel, keeper)
        yield engine


async def _keep_resolver(
    engine: Engine, resolver: ResolverClient, lost: asyncio.Event, log: structlog.stdlib.BoundLogger
) -> None:
    """A resolver that died is started again, and told everything."""
    while True:
        await lost.wait()
        lost.clear()
        log.warning("the resolver ended; starting it again")
        try:
            await resolver.start()
            await engine.resolver_lost()
        except Fault as fault:
            log.warning("cannot bring the resolver back", error=fault.message)
            await asyncio.sleep(1)
            lost.set()


async def _leave_resolver(resolver: ResolverClient) -> None:
    """It goes on while there is a sandbox that needs it."""
    with contextlib.suppress(Fault):
        if not await resolver.sandboxes():
            await resolver.shutdown()
    await resolver.close()


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _release(exec_root: Path, log: structlog.stdlib.BoundLogger) -> None:
    """The run directory's own mount goes when nothing is mounted below it any more."""
    used = any(os.scandir(exec_root / "netns")) or any(os.scandir(exec_root / "rootfs"))
    if not used:
        try:
            release_run_directory(str(exec_root))
        except Fault as fault:
            log.warning("while stopping", error=fault.message)
