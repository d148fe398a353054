"""The daemon's companions, resolver and port holder: started, brought back when they end, left behind.

Each has its directory below the exec root. A companion that ended is started anew and told everything, by
``restore``; if that fails, it is tried again, at longer and longer intervals.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from fairway.companion.client import Client
from fairway.dns.control import ResolverClient, SocketHandover
from fairway.dns.launch import Location
from fairway.model.errors import Fault
from fairway.ports.control import HolderClient, PortLine, companion

LONGEST_WAIT = 60.0
"""Seconds between attempts to bring a companion back, at most; the first come after 1, 2, 4 …"""

Used = Callable[[], Awaitable[object]]
"""Whether a companion still has something to do for containers: true if what it returns is."""


class Companions:
    """Clients of both. The directories exist."""

    def __init__(self, exec_root: Path) -> None:
        location = Location(f"{exec_root}/dns/control", f"{exec_root}/dns")
        holder = companion(f"{exec_root}/ports/control", f"{exec_root}/ports")
        self.handover, self.ports = SocketHandover(location), PortLine(holder)
        self._lost = {"resolver": asyncio.Event(), "port holder": asyncio.Event()}
        self.resolver = ResolverClient(location, on_exit=self._lost["resolver"].set)
        self._holder = HolderClient(holder, on_exit=self._lost["port holder"].set)
        self._all: dict[str, tuple[Client[Any], Used]] = {
            "resolver": (self.resolver, self.resolver.sandboxes),
            "port holder": (self._holder, self._holder.held),
        }

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Started; on leaving, those go on that containers need. Raises System."""
        try:
            await asyncio.gather(*(client.start() for client, _ in self._all.values()))
            yield
        finally:
            for client, used in self._all.values():
                await _leave(client, used)

    @contextlib.asynccontextmanager
    async def kept(
        self, restore: Mapping[str, Callable[[], Awaitable[None]]], log: structlog.stdlib.BoundLogger
    ) -> AsyncIterator[None]:
        """Brought back whenever they end; ``restore`` tells a companion by name everything it must know."""
        loop = asyncio.get_running_loop()
        keepers = [
            loop.create_task(_keep(name, client, self._lost[name], restore[name], log))
            for name, (client, _) in self._all.items()
        ]
        try:
            yield
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    def disconnect(self) -> None:
        """The kernel worker needs them no more."""
        self.handover.disconnect()
        self.ports.disconnect()


async def _keep(
    name: str,
    client: Client[Any],
    lost: asyncio.Event,
    restore: Callable[[], Awaitable[None]],
    log: structlog.stdlib.BoundLogger,
) -> None:
    while True:
        await lost.wait()
        log.warning(f"the {name} ended; starting it again")
        wait = 1.0
        while lost.is_set():
            lost.clear()
            try:
                await client.start()
                await restore()
            except (Fault, OSError) as error:
                log.warning(f"cannot bring the {name} back", error=str(error))
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
                lost.set()


async def _leave(client: Client[Any], used: Used) -> None:
    with contextlib.suppress(Fault):
        if not await used():
            await client.shutdown()
    await client.close()
