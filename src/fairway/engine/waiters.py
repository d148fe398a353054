"""Who waits for a container to exit or to be removed."""

import asyncio
import functools
from collections.abc import Awaitable, Iterable

from fairway.model.container import Container, Exit
from fairway.model.errors import Fault
from fairway.model.request import WaitCondition


class Waiters:
    """Futures by container; a waiter that goes away costs nothing."""

    def __init__(self) -> None:
        self._exit: dict[str, set[asyncio.Future[Exit]]] = {}
        self._removed: dict[str, set[asyncio.Future[Exit]]] = {}

    def register(self, container: Container, condition: WaitCondition) -> Awaitable[Exit]:
        """The next exit or removal; for ``not-running`` at once when it does not run."""
        future: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        state = container.state
        if condition == "not-running" and not state.running:
            future.set_result(Exit(code=state.exit_code, finished=state.finished))
        else:
            table = self._removed if condition == "removed" else self._exit
            table.setdefault(container.id, set()).add(future)
            future.add_done_callback(functools.partial(_forget, table, container.id))
        return future

    def exited(self, container_id: str, exit_: Exit) -> None:
        _resolve(self._exit.pop(container_id, ()), exit_)

    def removed(self, container_id: str, exit_: Exit) -> None:
        _resolve(self._exit.pop(container_id, ()), exit_)
        _resolve(self._removed.pop(container_id, ()), exit_)

    def stays(self, container_id: str, why: Fault) -> None:
        """Its removal has failed: nobody waits for that any more."""
        for future in self._removed.pop(container_id, ()):
            if not future.done():
                future.set_exception(why)
                future.exception()  # seen, should its waiter have gone away


def _forget(
    table: dict[str, set[asyncio.Future[Exit]]], container_id: str, future: asyncio.Future[Exit]
) -> None:
    """Of somebody who has gone away."""
    futures = table.get(container_id)
    if futures is not None:
        futures.discard(future)
        if not futures:
            del table[container_id]


def _resolve(futures: Iterable[asyncio.Future[Exit]], exit_: Exit) -> None:
    for future in futures:
        if not future.done():
            future.set_result(exit_)
