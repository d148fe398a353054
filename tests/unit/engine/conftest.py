"""A started engine on fakes for each test."""

from collections.abc import AsyncIterator

import pytest_asyncio

from unit.engine.world import World


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    await made.engine.start()
    yield made
    await made.engine.close()
