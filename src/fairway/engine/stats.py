"""What containers use: one sample, or one each second.

A sample is taken when the last one has been passed on, so a client that reads slowly gets fewer of them.
"""

from collections.abc import AsyncGenerator

import msgspec

from fairway.engine.core import Core
from fairway.model.container import Container
from fairway.model.usage import Usage

INTERVAL = 1.0
"""Seconds, as in Docker."""


class Stats:
    def __init__(self, core: Core) -> None:
        self._core = core

    async def once(self, reference: str) -> tuple[Container, Usage]:
        """A sample; an empty one of a container that does not run."""
        container = self._core.state.container(reference)
        return container, await self._sample(container)

    async def stream(self, reference: str) -> AsyncGenerator[tuple[Container, Usage], None]:
        """Samples until the container is removed."""
        container_id = self._core.state.container(reference).id
        while container := self._core.state.containers.get(container_id):
            yield container, await self._sample(container)
            await self._core.clock.sleep(INTERVAL)

    async def _sample(self, container: Container) -> Usage:
        usage = await self._core.runtime.usage(container.id) if container.state.active else None
        if usage is None:
            return Usage()
        names = self._interfaces(container)
        shown = {name: count for name, count in usage.interfaces.items() if name in names}
        return msgspec.structs.replace(usage, interfaces=shown)

    def _interfaces(self, container: Container) -> frozenset[str]:
        """Names of those that its networks gave to the sandbox that it runs in; none in the host's."""
        state = self._core.state
        sandbox = container.sandbox or container.joined
        owner = next((c for c in state.containers.values() if sandbox and c.sandbox == sandbox), None)
        if owner is None:
            return frozenset()
        return frozenset(endpoint.interface for _, endpoint in state.attachments(owner.id))
