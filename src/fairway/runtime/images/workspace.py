"""Places for what is not finished: directories below ``tmp/``, removed when their operation ends."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from fairway.model.errors import System

_BUFFER = 4 << 20


@asynccontextmanager
async def directory(temporary: Path) -> AsyncIterator[Path]:
    """A new directory."""
    path = Path(tempfile.mkdtemp(dir=temporary))
    try:
        yield path
    finally:
        await asyncio.to_thread(shutil.rmtree, path)


@asynccontextmanager
async def spooled(temporary: Path, stream: AsyncIterator[bytes]) -> AsyncIterator[Path]:
    """The stream as a file in a directory of its own; a thread writes it, in large pieces. Raises System."""
    async with directory(temporary) as place:
        path = place / "archive"
        with disk_errors(), path.open("wb") as file:
            pending = bytearray()
            async for chunk in stream:
                pending += chunk
                if len(pending) >= _BUFFER:
                    await asyncio.to_thread(file.write, bytes(pending))
                    pending.clear()
            await asyncio.to_thread(file.write, bytes(pending))
        yield path


@contextmanager
def disk_errors() -> Iterator[None]:
    """The disk's errors, as System naming the file."""
    try:
        yield
    except OSError as error:
        raise System(f"image store: {error.strerror or error}: {os.fspath(error.filename or '')}") from error
