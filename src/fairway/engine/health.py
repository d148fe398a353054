"""Health checks: a command run in the container at intervals, and what follows from its results.

Docker's rules (HEALTHCHECK reference): "starting" until the first success, or until ``retries`` failures in a
row after the start period; during it checks run at ``start_interval`` and failures do not count.
"""

import asyncio
import contextlib
import os
import signal

import msgspec

from fairway.engine.core import Core
from fairway.model.container import Container, Health, Healthcheck, HealthProbe
from fairway.model.errors import Fault
from fairway.model.process import ExecRequest

_INTERVAL = 30_000_000_000
_TIMEOUT = 30_000_000_000
_START_INTERVAL = 5_000_000_000
_RETRIES = 3
_LOG = 5
_OUTPUT = 4096


class HealthMonitor:
    """One task per running container that has a check."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._health: dict[str, Health] = {}

    def of(self, container_id: str) -> Health | None:
        return self._health.get(container_id)

    def start(self, container: Container) -> None:
        check = container.config.healthcheck
        if check is None or not check.test or check.test[0] == "NONE":
            return
        self._health[container.id] = Health()
        self._tasks[container.id] = asyncio.get_running_loop().create_task(self._run(container, check))

    def stop(self, container_id: str) -> None:
        task = self._tasks.pop(container_id, None)
        if task:
            task.cancel()
        health = self._health.get(container_id)
        if health:
            self._health[container_id] = msgspec.structs.replace(health, status="unhealthy")

    def forget(self, container_id: str) -> None:
        self._health.pop(container_id, None)

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, container: Container, check: Healthcheck) -> None:
        clock = self._core.clock
        began = clock.now()
        while True:
            starting = self._health[container.id].status == "starting"
            grace = check.start_period and clock.now() - began < check.start_period
            interval = check.interval or _INTERVAL
            if starting and grace:
                interval = check.start_interval or _START_INTERVAL
            await clock.sleep(interval / 1e9)
            in_grace = bool(check.start_period) and clock.now() - began < check.start_period
            probe = await self._probe(container, check)
            self._record(container, check, probe, in_grace)

    async def _probe(self, container: Container, check: Healthcheck) -> HealthProbe:
        shell = container.config.shell or ("/bin/sh", "-c")
        argv = (*shell, *check.test[1:]) if check.test[0] == "CMD-SHELL" else check.test[1:]
        started, output, code = self._core.clock.now(), bytearray(), -1
        timeout = (check.timeout or _TIMEOUT) / 1e9
        try:
            process = await self._core.runtime.exec(
                container, ExecRequest(argv=argv, env=container.config.env)
            )
            try:
                async with asyncio.timeout(timeout):
                    while chunk := await process.streams.read():
                        output += chunk[1][: max(0, _OUTPUT - len(output))]
                    code = await process.exit
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
                output = bytearray(f"Health check exceeded timeout ({timeout:g}s)".encode())
            finally:
                process.streams.close()
        except Fault as e:
            output = bytearray(e.message.encode())
        return HealthProbe(
            started=started,
            ended=self._core.clock.now(),
            exit_code=code,
            output=output.decode(errors="replace"),
        )

    def _record(self, container: Container, check: Healthcheck, probe: HealthProbe, grace: bool) -> None:
        old = self._health[container.id]
        streak, status = old.failing_streak, old.status
        if probe.exit_code == 0:
            streak, status = 0, "healthy"
        elif not (status == "starting" and grace):
            streak += 1
            if streak >= (check.retries or _RETRIES):
                status = "unhealthy"
        self._health[container.id] = Health(
            status=status, failing_streak=streak, log=(*old.log, probe)[-_LOG:]
        )
        if status != old.status:
            self._core.events.container(container, f"health_status: {status}")
