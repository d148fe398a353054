"""The API over a unix socket, in front of an engine in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from fairway.api.app import create_app
from unit.api.fake_engine import FakeEngine


@pytest.fixture
async def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def socket(engine: FakeEngine, tmp_path: Path) -> AsyncIterator[str]:
    path = str(tmp_path / "api.sock")
    runner = web.AppRunner(
        create_app(engine), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    await web.UnixSite(runner, path).start()
    yield path
    await runner.cleanup()


@pytest.fixture
async def http(socket: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        "http://docker", connector=aiohttp.UnixConnector(socket), timeout=aiohttp.ClientTimeout(10)
    ) as session:
        yield session
