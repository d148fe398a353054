"""Pipes to and from helper processes, read and written on the event loop without a thread.

Nothing is read ahead or kept: a reader that is slow lets the pipe fill up, and that stops the helper.
"""

import asyncio
import fcntl
import os

_SIZE = 1 << 20
"""Bytes that a pipe shall hold; an unprivileged limit (fs.pipe-max-size) may keep it smaller."""


def pipe() -> tuple[int, int]:
    """Reading and writing end, blocking, with room for large pieces."""
    reading, writing = os.pipe()
    try:
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _SIZE)
    except PermissionError:  # more than fs.pipe-user-pages-soft: the default size is only slower
        return reading, writing
    return reading, writing


class ReadEnd:
    """Owns the reading end of a pipe."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._fd = descriptor
        self._buffer = b""

    async def read(self) -> bytes:
        """What there is, waiting for some; empty at the end."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        while True:
            try:
                return os.read(self._fd, _SIZE)
            except BlockingIOError:
                await _ready(self._fd, writing=False)

    async def line(self) -> bytes:
        """Up to and without the next newline; what there is if the end comes first."""
        text = b""
        while b"\n" not in text:
            chunk = await self.read()
            if not chunk:
                return text
            text += chunk
        found, _, self._buffer = text.partition(b"\n")
        return found

    def close(self) -> None:
        os.close(self._fd)


class WriteEnd:
    """Owns the writing end of a pipe."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._fd = descriptor

    async def write(self, data: bytes) -> None:
        """All of it. Raises BrokenPipeError when nobody reads any more."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await _ready(self._fd, writing=True)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


async def _ready(descriptor: int, *, writing: bool) -> None:
    """Until the descriptor can be read or written."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    if writing:
        loop.add_writer(descriptor, wake)
    else:
        loop.add_reader(descriptor, wake)
    try:
        await ready
    finally:
        if writing:
            loop.remove_writer(descriptor)
        else:
            loop.remove_reader(descriptor)
