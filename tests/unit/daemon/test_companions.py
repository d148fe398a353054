"""Bringing a companion back, with clients that only count; time is not waited for."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from fairway.daemon import companions
from fairway.model.errors import System, Unavailable


class FakeClient:
    """Starts after so many failures; has something to do or not."""

    def __init__(self, failures: int = 0, used: object = True) -> None:
        self.failures = failures
        self.used = used
        self.calls: list[str] = []

    async def start(self) -> bool:
        self.calls.append("start")
        if self.failures:
            self.failures -= 1
            raise System("cannot start")
        return True

    async def holds(self) -> object:
        if isinstance(self.used, Exception):
            raise self.used
        return self.used

    async def shutdown(self) -> None:
        self.calls.append("shutdown")

    async def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have waited."""
    slept: list[float] = []
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await pause(0)

    monkeypatch.setattr(companions, "asyncio", SimpleNamespace(sleep=sleep))
    return slept


async def test_it_is_told_everything_once_it_is_back(waits: list[float]) -> None:
    client, lost, told = FakeClient(failures=8), asyncio.Event(), asyncio.Event()

    async def restore() -> None:
        told.set()

    log = structlog.get_logger()
    keeper = asyncio.ensure_future(companions._keep("companion", cast(Any, client), lost, restore, log))
    lost.set()
    await told.wait()
    assert client.calls == ["start"] * 9
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


@pytest.mark.parametrize(
    ("used", "calls"),
    [
        ((), ["shutdown", "close"]),
        (("something",), ["close"]),
        (Unavailable("it has ended"), ["close"]),
    ],
)
async def test_it_goes_on_while_it_is_needed(used: object, calls: list[str]) -> None:
    client = FakeClient(used=used)
    await companions._leave(cast(Any, client), client.holds)
    assert client.calls == calls
