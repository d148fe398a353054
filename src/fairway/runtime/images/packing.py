"""Trees to archives: runs ``pack`` as a process, see there for why."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fairway.model.errors import System

_CHUNK = 1 << 20
_COMMAND = (sys.executable, "-I", "-X", "utf8", "-m", "fairway.runtime.images.pack")


async def stream(root: str) -> AsyncGenerator[bytes, None]:
    """A directory as tar, in chunks. Raises System; leaving early ends the process."""
    async with _process(root, asyncio.subprocess.PIPE) as process:
        assert process.stdout
        while chunk := await process.stdout.read(_CHUNK):
            yield chunk


async def write(upper: str, target: Path) -> None:
    """An overlay's upper directory as a layer archive. Raises System."""
    with target.open("wb") as file:
        async with _process("--layer", file.fileno(), upper):
            pass


@asynccontextmanager
async def _process(argument: str, stdout: int, *rest: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        argument,
        *rest,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        limit=_CHUNK,
    )
    assert process.stderr
    try:
        yield process
        message = (await process.stderr.read()).decode(errors="replace").strip()
        if await process.wait():
            raise System(f"archiving failed: {message}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
