"""One lock per object, so that operations on different objects never wait for each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Lock:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    changing: int = 0


class Locks:
    """Locks by name, existing only while someone holds or awaits them."""

    def __init__(self) -> None:
        self._locks: dict[str, _Lock] = {}

    @asynccontextmanager
    async def hold(self, name: str, *, changes: bool = True) -> AsyncIterator[None]:
        """Exclusive for the name. A task that holds a container's lock may take a network's, never the
        other way round; no task holds two of a kind, but of containers that share a sandbox.

        Without ``changes``, what shall hold of the object in the kernel stays the same meanwhile.
        """
        entry = self._locks.setdefault(name, _Lock())
        entry.users += 1
        entry.changing += changes
        try:
            async with entry.lock:
                yield
        finally:
            entry.users -= 1
            entry.changing -= changes
            if not entry.users:
                del self._locks[name]

    def busy(self, name: str) -> bool:
        """Whether somebody is changing the object, or about to."""
        entry = self._locks.get(name)
        return entry is not None and entry.changing > 0

    def changing(self) -> bool:
        """Whether somebody is changing any object, or about to."""
        return any(entry.changing for entry in self._locks.values())
