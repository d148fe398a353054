"""Work in the background that belongs to containers: its failures are reported, it ends with the daemon."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

from fairway.model.errors import Fault

T = TypeVar("T")


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Its result; who is cancelled meanwhile still waits until the work is done."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen, and outweighed by the cancellation
        raise cancelled
    return task.result()


class Tasks:
    """Tasks named by their container, with which a failure is logged."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, container_id: str, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except Fault as e:
                self._log.warning("while looking after a container", container=container_id, error=e.message)

        task = asyncio.get_running_loop().create_task(guarded(), name=container_id)
        self._tasks.add(task)

        def finished(ended: asyncio.Task[None]) -> None:
            self._tasks.discard(ended)
            if not ended.cancelled() and ended.exception():
                self._log.error("unexpected", container=container_id, exc_info=ended.exception())

        task.add_done_callback(finished)

    async def close(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
