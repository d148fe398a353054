"""Timers and descriptors of the event loop; nothing here waits."""

import os
from collections.abc import Iterator

import pytest

from fairway.companion import loop as module
from fairway.companion.loop import READ, Loop


class VirtualLoop(Loop):
    """Time stands until somebody moves it."""

    time = 0.0

    def now(self) -> float:
        return self.time


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    virtual = VirtualLoop()
    yield virtual
    virtual.close()


def test_timers_run_in_order_and_not_before_their_time(loop: VirtualLoop) -> None:
    ran: list[str] = []
    loop.call_at(2.0, lambda: ran.append("second"))
    loop.call_at(1.0, lambda: ran.append("first"))
    loop.call_at(3.0, lambda: ran.append("later"))
    loop.call_at(1.5, lambda: ran.append("cancelled")).cancel()
    loop.call_at(2.0, loop.stop)
    loop.time = 2.0
    loop.run()
    assert ran == ["first", "second"]


def test_cancelled_timers_are_swept_out(loop: VirtualLoop) -> None:
    kept = loop.call_at(5.0, lambda: None)
    for _ in range(10 * module.KEEP_CANCELLED):
        timer = loop.call_at(1.0, lambda: None)
        timer.cancel()
        timer.cancel()
    assert len(loop._timers) <= 2 * module.KEEP_CANCELLED + 2
    assert any(entry[2] is kept for entry in loop._timers)


def test_a_handler_may_close_another_ones_descriptor(loop: VirtualLoop) -> None:
    """Both are ready in the same round; the second must not be called once it is unwatched."""
    pipes = [os.pipe(), os.pipe()]
    called: list[int] = []

    def handle(own: int, other: int) -> None:
        called.append(own)
        loop.unwatch(other)
        loop.unwatch(own)
        loop.stop()

    for (own, tell), (other, _) in (pipes, reversed(pipes)):
        os.write(tell, b"x")
        loop.watch(own, READ, lambda _events, own=own, other=other: handle(own, other))  # type: ignore[misc]
    loop.run()
    assert len(called) == 1
    for ends in pipes:
        for end in ends:
            os.close(end)
