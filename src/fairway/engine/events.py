"""The stream of events: a bounded past, and subscribers that follow."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from fairway.engine.protocols import Clock
from fairway.model.container import Container
from fairway.model.event import Event, EventType
from fairway.model.network import Network

BACKLOG = 1024
"""Events kept for ``since``; Docker keeps 256."""
QUEUE = 4096
"""Events a subscriber may lag behind before it is dropped: a client that never reads delays nobody."""


class Events:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._past: deque[Event] = deque(maxlen=BACKLOG)
        self._subscribers: set[asyncio.Queue[Event | None]] = set()

    def emit(self, type_: EventType, action: str, id_: str, attributes: dict[str, str]) -> None:
        event = Event(type=type_, action=action, id=id_, attributes=attributes, time=self._clock.now())
        self._past.append(event)
        for queue in tuple(self._subscribers):
            if queue.qsize() >= QUEUE:
                self._subscribers.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    def container(self, container: Container, action: str, **more: str) -> None:
        """A container event carries image, name and labels, and what is particular to the action."""
        attributes = {**container.config.labels, "image": container.config.image, "name": container.name}
        self.emit("container", action, container.id, {**attributes, **more})

    def network(self, network: Network, action: str, container_id: str = "") -> None:
        attributes = {"name": network.name, "type": network.driver}
        if container_id:
            attributes["container"] = container_id
        self.emit("network", action, network.id, attributes)

    async def subscribe(self, since: int | None, until: int | None) -> AsyncGenerator[Event, None]:
        """Events from ``since`` (None: from now) to ``until`` (None: for ever), both nanoseconds.

        Ends at ``until``, and for a subscriber that lags too far behind.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        past: list[Event] = []
        if since is not None:
            past = [e for e in self._past if since <= e.time and (until is None or e.time <= until)]
        self._subscribers.add(queue)
        try:
            for event in past:
                yield event
            while True:
                left = None if until is None else (until - self._clock.now()) / 1e9
                if left is not None and left <= 0:
                    return
                try:
                    async with asyncio.timeout(left):
                        following = await queue.get()
                except TimeoutError:
                    return
                if following is None:
                    return
                yield following
        finally:
            self._subscribers.discard(queue)
