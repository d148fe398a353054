"""The event loop of a companion: epoll and timers.

Rejected: asyncio. It makes the process twice as large (20 MB instead of 10 before a line of ours), and adds
a callback's cost to each datagram.
"""

import select
import time
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count

READ, WRITE = select.EPOLLIN, select.EPOLLOUT

KEEP_CANCELLED = 256
"""Cancelled timers are swept out above this: connections that come and go must not pile them up."""

Handler = Callable[[int], None]
"""Called with the epoll events of its descriptor."""


class Timer:
    """A call to come; ``cancel`` forgets it."""

    __slots__ = ("_loop", "call")

    def __init__(self, loop: "Loop", call: Callable[[], None]) -> None:
        self._loop = loop
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        if self.call is not None:
            self.call = None
            self._loop.cancelled += 1


class Loop:
    """Level-triggered: a handler may leave data unread, to let others have their turn."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._running = False
        self.cancelled = 0
        """Timers that wait in the heap for nothing."""

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def watch(self, descriptor: int, events: int, handler: Handler) -> None:
        self._epoll.register(descriptor, events)
        self._handlers[descriptor] = handler

    def change(self, descriptor: int, events: int) -> None:
        self._epoll.modify(descriptor, events)

    def unwatch(self, descriptor: int) -> None:
        """Must precede closing the descriptor, whose number is reused."""
        del self._handlers[descriptor]
        self._epoll.unregister(descriptor)

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        if self.cancelled > KEEP_CANCELLED and self.cancelled > len(self._timers) // 2:
            self._timers = [entry for entry in self._timers if entry[2].call is not None]
            heapify(self._timers)
            self.cancelled = 0
        timer = Timer(self, call)
        heappush(self._timers, (when, next(self._order), timer))
        return timer

    def run(self) -> None:
        """Until ``stop``."""
        self._running = True
        while self._running:
            for descriptor, events in self._epoll.poll(self._patience(), 256):
                # A handler called earlier in this round may have closed this one.
                handler = self._handlers.get(descriptor)
                if handler is not None:
                    handler(events)
            self._run_timers()

    def stop(self) -> None:
        self._running = False

    def close(self) -> None:
        self._epoll.close()

    def _patience(self) -> float:
        """Seconds to the next timer, -1 for ever."""
        while self._timers and self._timers[0][2].call is None:
            heappop(self._timers)
            self.cancelled -= 1
        return max(0.0, self._timers[0][0] - self.now()) if self._timers else -1

    def _run_timers(self) -> None:
        if not self._timers:
            return
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            timer = heappop(self._timers)[2]
            if timer.call is None:
                self.cancelled -= 1
                continue
            call, timer.call = timer.call, None
            call()
