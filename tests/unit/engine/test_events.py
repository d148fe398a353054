"""The stream of events: what is remembered, and subscribers that lag behind."""

import asyncio

from fairway.engine.events import BACKLOG, QUEUE, Events


class Time:
    def __init__(self) -> None:
        self.moment = 0

    def now(self) -> int:
        self.moment += 1
        return self.moment

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def emit(events: Events, number: int) -> None:
    for index in range(number):
        events.emit("volume", "create", f"v{index}", {})


async def test_a_bounded_past_is_remembered() -> None:
    events = Events(Time())
    emit(events, BACKLOG + 100)
    past = [event.id async for event in events.subscribe(0, 10_000)]
    assert past == [f"v{index}" for index in range(100, BACKLOG + 100)]


async def test_who_does_not_read_is_dropped_and_others_go_on() -> None:
    events = Events(Time())
    silent, reader = events.subscribe(None, None), events.subscribe(None, None)
    waiting = [asyncio.ensure_future(anext(each)) for each in (silent, reader)]
    await asyncio.sleep(0)
    emit(events, 1)
    for each in waiting:
        assert (await each).id == "v0"
    read = 0
    for _ in range(3):
        emit(events, QUEUE // 2)
        for _ in range(QUEUE // 2):
            await anext(reader)
            read += 1
    assert read == 3 * (QUEUE // 2)
    assert len([event async for event in silent]) == QUEUE, "and then it ends"
    emit(events, 1)
    assert (await anext(reader)).id == "v0"
