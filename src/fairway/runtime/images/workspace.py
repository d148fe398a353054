"""Work that may be cut short: threads that are waited for, directories below ``tmp/`` that go with it."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from fairway.model.errors import System
from fairway.runtime import trees

_BUFFER = 4 << 20

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """As ``asyncio.to_thread``, but when cancelled it first waits for the thread to end.

    A thread cannot be stopped; were it left alone, it would go on in directories that are being removed and
    with layers that are not pinned any more.
    """
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # seen, and outweighed by the cancellation
        raise


@asynccontextmanager
async def directory(temporary: Path) -> AsyncIterator[Path]:
    """A new directory."""
    path = Path(tempfile.mkdtemp(dir=temporary))
    try:
        yield path
    finally:
        await in_thread(trees.remove, str(path))


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
                    await in_thread(file.write, bytes(pending))
                    pending.clear()
            await in_thread(file.write, bytes(pending))
        yield path


@contextmanager
def disk_errors() -> Iterator[None]:
    """The disk's errors, as System naming the file."""
    try:
        yield
    except OSError as error:
        raise System(f"image store: {error.strerror or error}: {os.fspath(error.filename or '')}") from error
