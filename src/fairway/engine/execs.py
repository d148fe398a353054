"""The verbs of exec: further processes in a running container."""

import asyncio

import msgspec

from fairway.engine.core import Core
from fairway.engine.lifecycle import exit_code_of_failure
from fairway.model.container import Container
from fairway.model.errors import Conflict, InvalidParameter, NotFound
from fairway.model.process import Exec, ExecProcess, ExecRequest

KEEP = 512
"""Ended instances that stay inspectable; Docker forgets them with their container."""


class Execs:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._execs: dict[str, Exec] = {}
        self._processes: dict[str, ExecProcess] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, id_: str) -> Exec:
        found = self._execs.get(id_)
        if found is None:
            raise NotFound(f"No such exec instance: {id_}")
        return found

    def of(self, container_id: str) -> list[str]:
        """Ids of the container's running instances."""
        return [e.id for e in self._execs.values() if e.container_id == container_id and e.running]

    async def create(self, container: str, request: ExecRequest) -> str:
        target = self._core.state.container(container)
        self._must_run(target)
        if not request.argv or not request.argv[0]:
            raise InvalidParameter("No exec command specified")
        id_ = self._core.identity.id()
        self._execs[id_] = Exec(id=id_, container_id=target.id, request=request)
        self._trim()
        self._core.events.container(target, f"exec_create: {' '.join(request.argv)}", execID=id_)
        return id_

    def check(self, id_: str) -> None:
        """Raises Conflict when it runs or has run, or when its container does not run."""
        instance = self.find(id_)
        if instance.exit_code is not None:
            raise Conflict(f"exec {id_} has already run")
        if instance.running:
            raise Conflict(f"exec {id_} is already running")
        self._must_run(self._core.state.container(instance.container_id))

    async def start(self, id_: str, *, console_size: tuple[int, int] = (0, 0)) -> ExecProcess:
        """Start it, once. Raises Conflict as ``check`` does."""
        self.check(id_)
        instance = self.find(id_)
        container = self._core.state.container(instance.container_id)
        request = instance.request
        if any(console_size):
            request = msgspec.structs.replace(request, console_size=console_size)
        self._execs[id_] = msgspec.structs.replace(instance, running=True)
        self._core.events.container(container, f"exec_start: {' '.join(request.argv)}", execID=id_)
        try:
            process = await self._core.runtime.exec(container, request)
        except BaseException as e:
            code = exit_code_of_failure(str(e))
            self._execs[id_] = msgspec.structs.replace(instance, running=False, exit_code=code)
            raise
        self._execs[id_] = msgspec.structs.replace(instance, running=True, pid=process.pid)
        self._processes[id_] = process
        task = asyncio.get_running_loop().create_task(self._watch(id_, container, process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return process

    async def _watch(self, id_: str, container: Container, process: ExecProcess) -> None:
        code = await process.exit
        self._execs[id_] = msgspec.structs.replace(self._execs[id_], running=False, exit_code=code)
        self._processes.pop(id_, None)
        self._core.events.container(container, "exec_die", execID=id_, exitCode=str(code))

    async def resize(self, id_: str, height: int, width: int) -> None:
        self.find(id_)
        process = self._processes.get(id_)
        if process is None:
            raise NotFound(f"exec process is not started: {id_}")
        process.resize(height, width)

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _must_run(self, container: Container) -> None:
        if container.state.status == "paused":
            raise Conflict(f"container {container.id} is paused, unpause the container before exec")
        if not container.state.running:
            raise Conflict(f"container {container.id} is not running")
        if container.state.status == "restarting":
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")

    def _trim(self) -> None:
        """Forget instances of removed containers and, beyond ``KEEP``, the oldest ended ones."""
        if len(self._execs) <= KEEP:
            return
        for id_, instance in list(self._execs.items()):
            gone = instance.container_id not in self._core.state.containers
            if not instance.running and (gone or len(self._execs) > KEEP):
                del self._execs[id_]
