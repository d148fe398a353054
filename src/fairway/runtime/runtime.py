"""``OciRuntime``: containers through conmon and crun or runc. Implements the engine's ``Runtime`` protocol.

A container's way: *create* writes a bundle and has conmon run the runtime's ``create`` (namespaces, mounts,
cgroup, process waiting on a pipe); clients attach; *start* lets the process go; *wait* follows conmon;
*delete* clears everything but the log. All that is known about a container is on disk or in /proc, nothing
only in memory, so a restarted daemon picks up where the last one was killed.
"""

import asyncio
import contextlib
import functools
import os
import shutil
import signal as signals
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from fairway.model.container import Container, Exit, HostConfig
from fairway.model.errors import Conflict, InvalidParameter, NotFound, System
from fairway.model.process import ExecRequest, Launch, LogLine
from fairway.model.tree import PathStat, Tree
from fairway.model.usage import Usage
from fairway.runtime import (
    attach,
    cgroups,
    command,
    conmon,
    devices,
    faults,
    log_options,
    logs,
    machine,
    mounting,
    oci,
    process,
    resources,
    rotation,
    usage,
)
from fairway.runtime import exec as execution
from fairway.runtime.copying import transfer
from fairway.runtime.openat import make_directory
from fairway.runtime.paths import Paths
from fairway.runtime.select import Program, choose
from fairway.runtime.settling import settle
from fairway.runtime.users import look_up

_log = structlog.get_logger("runtime")
LOST = 255
"""Exit code, as Docker's, of a container whose exit nobody saw."""
_DOCKERS_NAMES = ("runc", "io.containerd.runc.v2")
"""What Docker calls its default runtime: who asks for it wants the default, which here may be crun."""


def _told(container: str, keeping: "asyncio.Task[None]") -> None:
    """A log that cannot be kept within its limits must not be the container's end."""
    if not keeping.cancelled() and (error := keeping.exception()):
        _log.warning("log is not rotated", container=container, error=str(error))


class OciRuntime:
    """Make one with ``OciRuntime.open``. ``run_root`` and ``data_root`` belong to this daemon alone."""

    def __init__(self, paths: Paths, program: Program, conmon_path: str, facts: machine.Machine) -> None:
        self.name = program.name
        self.path = program.path
        self.version = program.version
        self.names = frozenset((program.name, *_DOCKERS_NAMES))
        self._program = program
        self._conmon = conmon_path
        self._paths = paths
        self._machine = facts
        self._attached = attach.Attached()
        self._ends: dict[str, asyncio.Task[Exit]] = {}

    @classmethod
    async def open(cls, run_root: Path, data_root: Path, prefer: str = "") -> "OciRuntime":
        """Choose a runtime that works (only ``prefer``: crun or runc, if given) and make the directories.

        Raises System naming what is missing.
        """
        paths = Paths(run_root, data_root)
        conmon_path = command.find("conmon", "conmon")
        program = await choose(prefer)
        paths.make()
        _clear_execs(paths)  # a daemon that was killed left them; it alone waited for them
        return cls(paths, program, conmon_path, machine.read())

    def settle(self, host: HostConfig) -> HostConfig:
        """See ``Runtime``."""
        return settle(host, self._machine, self.name, self.names)

    async def create(self, launch: Launch) -> int:
        """See ``Runtime``."""
        container = launch.container
        if self._paths.bundle(container.id).exists():
            await self.delete(container.id)
        try:
            with faults.system(f"create container {container.id}"):
                config = await asyncio.to_thread(self._prepare, launch)
                return await conmon.start(
                    self._conmon, self._program, self._paths, container, config["process"]["args"]
                )
        except BaseException:
            await asyncio.shield(self.delete(container.id))
            raise

    def _prepare(self, launch: Launch) -> dict[str, Any]:
        """Write the bundle. Blocking."""
        container = launch.container
        host = container.host
        user = look_up(launch.rootfs, container.config.user, host.group_add)
        nodes = devices.everything() if host.privileged else devices.requested(host.devices)
        bundle = self._paths.bundle(container.id)
        bundle.mkdir(mode=0o700)
        self._paths.home(container.id).mkdir(mode=0o700, exist_ok=True)
        given = oci.Given(user=user, devices=nodes, shm=self._shm(launch))
        config = oci.build(launch, given, self._machine)
        self._paths.spec(container.id).write_bytes(msgspec.json.encode(config))
        self._make_working_directory(launch)
        if limits := log_options.parse(host.log_config):
            self._paths.log_limits(container.id).write_bytes(msgspec.json.encode(limits))
            rotation.begin(self._paths.log(container.id), limits)
        return config

    def _make_working_directory(self, launch: Launch) -> None:
        path = launch.container.config.working_dir
        try:
            make_directory(launch.rootfs, path)
        except NotADirectoryError:
            raise InvalidParameter(f"Cannot mkdir: {path} is not a directory") from None
        except OSError as error:
            raise System(f"Cannot mkdir: {path}: {error.strerror}") from error

    def _shm(self, launch: Launch) -> str:
        """Host directory for /dev/shm: the host's, another container's, one that others may use, or none."""
        host = launch.container.host
        if host.ipc_mode == "host":
            return "/dev/shm"
        if "ipc" in launch.joins:
            owner = self._owner(launch.joins["ipc"])
            return str(self._paths.shm(owner)) if owner and self._paths.shm(owner).is_dir() else ""
        if host.ipc_mode == "shareable":
            directory = self._paths.shm(launch.container.id)
            mounting.mount_shm(directory, host.shm_size)
            return str(directory)
        return ""

    def _owner(self, pid: int) -> str:
        for bundle in self._paths.bundles.iterdir():
            if conmon.read_pid(bundle / "pid") == pid:
                return bundle.name
        return ""

    async def start(self, container: str) -> None:
        """See ``Runtime``."""
        await self._run("start", container)

    async def update(self, container: str, host: HostConfig) -> None:
        """See ``Runtime``."""
        if not self._alive(container):
            raise Conflict(f"container {container} is not running")
        limits = resources.build(host, block_weight=self._machine.block_weight, unlimited=True)
        with faults.system(f"update container {container}"):
            await asyncio.to_thread(self._paths.limits(container).write_bytes, msgspec.json.encode(limits))
        await self._run("update", container, "--resources", str(self._paths.limits(container)))

    async def pause(self, container: str) -> None:
        """See ``Runtime``."""
        if not cgroups.frozen(container):
            await self._run("pause", container)

    async def resume(self, container: str) -> None:
        """See ``Runtime``."""
        if cgroups.frozen(container):
            await self._run("resume", container)

    async def _run(self, verb: str, container: str, *options: str) -> None:
        """One verb of the runtime. Raises Conflict when the container is not there for it, else System."""
        argv = [self.path, "--root", str(self._paths.state), verb, *options, container]
        status, output = await command.run(argv)
        if status == 0:
            return
        if not self._alive(container):
            raise Conflict(f"container {container} is not running")
        raise System(f"cannot {verb} container {container}: {output}")

    def _alive(self, container: str) -> int:
        """Pid of the container's first process; 0 if it has ended."""
        pid = conmon.read_pid(self._paths.pid(container))
        return pid if pid and cgroups.holds(pid, container) else 0

    async def wait(self, container: str) -> Exit:
        """See ``Runtime``. Raises NotFound for a container that was never created or is deleted.

        One that is being created has no conmon yet, and must not be taken for one that has lost it.
        """
        task = self._ends.get(container)
        if task is None:
            if not self._paths.monitor_pid(container).exists():
                raise NotFound(f"No such container: {container}")
            task = self._ends[container] = asyncio.create_task(self._exit(container))
        return await asyncio.shield(task)

    async def _exit(self, container: str) -> Exit:
        await self._monitored(container)
        path = self._paths.exit(container)
        if not path.exists():
            await self._end_unmonitored(container)
        oom = self._paths.oom(container).exists() or await asyncio.to_thread(cgroups.out_of_memory, container)
        try:
            return Exit(code=int(path.read_text()), finished=path.stat().st_mtime_ns, oom_killed=oom)
        except (FileNotFoundError, ValueError):  # deleted meanwhile; there was no room for it
            return Exit(code=LOST, finished=0, oom_killed=oom)

    async def _end_unmonitored(self, container: str) -> None:
        """conmon was killed: as when Docker's shim is, what it ran is killed, too, and has ended by that.

        The next daemon finds the same exit code, where conmon would have left it.
        """
        first, pause = conmon.read_pid(self._paths.pid(container)), 0.001
        while await asyncio.to_thread(cgroups.kill, container, first):
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1)
        if self._paths.bundle(container).exists():
            with contextlib.suppress(OSError):
                self._paths.exit(container).write_text(f"{128 + signals.SIGKILL}")

    async def _monitored(self, container: str) -> None:
        """Until conmon has ended: its log is kept within its limits, and no client keeps it from ending."""
        tasks = [asyncio.create_task(self._let_go(container))]
        log, stored, limits = self._paths.log(container), self._paths.log_limits(container), None
        if stored.exists():
            limits = msgspec.json.decode(stored.read_bytes(), type=log_options.Limits)
            keeping = asyncio.create_task(rotation.keep(log, self._paths.control(container), limits))
            keeping.add_done_callback(functools.partial(_told, container))
            tasks.append(keeping)
        try:
            await conmon.ended(self._paths, container)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if limits:
            try:
                await asyncio.to_thread(rotation.finish, log, limits)
            except OSError as error:
                _log.warning("log is not rotated", container=container, error=str(error))

    async def _let_go(self, container: str) -> None:
        if pid := self._alive(container):
            await conmon.gone(pid)
        await self._attached.release(container)

    async def kill(self, container: str, signal: int) -> None:
        """See ``Runtime``."""
        if pid := conmon.read_pid(self._paths.pid(container)):
            cgroups.signal(pid, container, signal)

    async def delete(self, container: str) -> None:
        """See ``Runtime``. A process that still runs is killed; deleting twice is no error."""
        bundle = self._paths.bundle(container)
        if not bundle.exists():
            return
        monitor = conmon.read_pid(self._paths.monitor_pid(container))
        output = await self._have_deleted(container)
        await self._let_monitor_end(monitor, container)
        if output and self._alive(container):
            raise System(f"cannot delete container {container}: {output}")
        if task := self._ends.pop(container, None):
            await asyncio.wait({task}, timeout=1)
        with faults.system(f"delete container {container}"):
            await asyncio.to_thread(self._clear, container)

    async def _have_deleted(self, container: str) -> str:
        """The runtime's ``delete``; why it failed, empty if well. Then, too, the process is killed.

        What it does not delete of an ended container is cleared here: the program may be missing, or broken.
        """
        if not (self._paths.state / container).exists():
            return ""
        argv = [self.path, "--root", str(self._paths.state), "delete", "--force", container]
        try:
            status, output = await command.run(argv)
        except System as fault:
            status, output = 1, fault.message
        if not status:
            return ""
        await self.kill(container, signals.SIGKILL)
        return output or f"{self.name} delete: exit status {status}"

    async def _let_monitor_end(self, monitor: int, container: str) -> None:
        """conmon ends by itself after its container; one that does not is ended."""
        if not monitor or not conmon.is_monitor(monitor, container):
            return
        try:
            await asyncio.wait_for(conmon.gone(monitor), 5)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(monitor, signals.SIGKILL)

    def _clear(self, container: str) -> None:
        """The bundle last: by it the next start finds what a daemon that was killed here has left."""
        mounting.unmount(self._paths.shm(container))
        cgroups.remove(container)
        self._paths.exit(container).unlink(missing_ok=True)
        (self._paths.sockets / container).unlink(missing_ok=True)
        for directory in (self._paths.state / container, self._paths.bundle(container)):
            if directory.exists():
                shutil.rmtree(directory)

    async def attach(self, container: str) -> attach.AttachStreams:
        """See ``Runtime``. Raises NotFound or System when the container is not there."""
        bundle = self._paths.bundle(container)
        if not bundle.exists():
            raise NotFound(f"No such container: {container}")
        return await self._attached.connect(bundle)

    async def resize(self, container: str, height: int, width: int) -> None:
        """See ``Runtime``. Raises System when the container has ended."""
        conmon.resize(self._paths.bundle(container), height, width)

    async def exec(self, container: Container, request: ExecRequest) -> execution.OciExec:
        """See ``Runtime``."""
        pid = self._alive(container.id)
        if not pid:
            raise Conflict(f"container {container.id} is not running")
        config = msgspec.json.decode(self._paths.spec(container.id).read_bytes())
        user_spec = request.user or container.config.user
        user = await asyncio.to_thread(look_up, f"/proc/{pid}/root", user_spec, container.host.group_add)
        spec = process.for_exec(
            config["process"],
            request,
            user,
            own_home=user_spec == container.config.user,
            available=self._machine.capabilities,
        )
        with faults.system(f"exec in container {container.id}"):
            return await execution.start(self._program, self._paths, container.id, request, spec)

    def logs(
        self,
        container: str,
        *,
        stdout: bool,
        stderr: bool,
        since: int,
        until: int,
        tail: int,
        follow: bool,
    ) -> AsyncGenerator[LogLine, None]:
        """See ``Runtime``."""
        selection = logs.Selection(stdout=stdout, stderr=stderr, since=since, until=until, tail=tail)
        following = follow and self._paths.monitor_pid(container).exists()
        ended = functools.partial(self.wait, container) if following else None
        return logs.read(self._paths.log(container), selection, ended)

    def log_path(self, container: str) -> str:
        """Where the container's log is, or will be."""
        return str(self._paths.log(container))

    async def processes(self, container: str) -> Sequence[int]:
        """See ``Runtime``."""
        return await asyncio.to_thread(cgroups.processes, container)

    async def usage(self, container: str) -> Usage | None:
        """See ``Runtime``."""
        pid = self._alive(container)
        return await asyncio.to_thread(usage.read, pid, container) if pid else None

    async def describe(self, tree: Tree, path: str) -> PathStat:
        """See ``Runtime``."""
        return await transfer.describe(tree, path)

    def archive(
        self, tree: Tree, path: str
    ) -> contextlib.AbstractAsyncContextManager[tuple[PathStat, AsyncGenerator[bytes, None]]]:
        """See ``Runtime``."""
        return transfer.archive(tree, path)

    async def extract(
        self, tree: Tree, path: str, content: AsyncIterator[bytes], *, keep_kinds: bool, user: str
    ) -> None:
        """See ``Runtime``."""
        owner = await asyncio.to_thread(look_up, tree.root, user) if user else None
        await transfer.extract(
            tree, path, content, keep_kinds=keep_kinds, owner=(owner.uid, owner.gid) if owner else None
        )

    async def running(self) -> Mapping[str, int]:
        """See ``Runtime``."""
        return {name: pid for name in await self.kept() if (pid := self._alive(name))}

    async def kept(self) -> Sequence[str]:
        """See ``Runtime``."""
        return [bundle.name for bundle in self._paths.bundles.iterdir()]

    async def forget(self, container: str) -> None:
        """See ``Runtime``."""
        await self.delete(container)
        await asyncio.to_thread(shutil.rmtree, self._paths.home(container), ignore_errors=True)

    async def cleanup(self) -> None:
        """At shutdown: remove the parent cgroup if no container uses it, and leftovers of execs."""
        _clear_execs(self._paths)
        await asyncio.to_thread(cgroups.remove_parent, oci.CGROUP_PARENT)


def _clear_execs(paths: Paths) -> None:
    for directory in paths.execs.iterdir():
        shutil.rmtree(directory, ignore_errors=True)
