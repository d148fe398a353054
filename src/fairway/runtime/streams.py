"""The standard streams of an exec: pipes, or the master of a terminal, read and written on demand.

Nothing is read ahead, so a client that does not read stops the process by a full pipe, as a shell would.
Output ends when the other side has closed it; a background process that keeps it open has ``GRACE`` seconds
after the exec's own end, Docker's limit too (moby, ``daemon/monitor.go``), lest the client waits for ever.
"""

import asyncio
import os

from fairway.model.process import StreamName

GRACE = 2.0
_CHUNK = 32768


class FdStreams:
    """``Streams`` over non-blocking file descriptors, which it owns.

    ``outputs`` maps each descriptor to read to its stream's name; ``stdin`` is -1 for none, and may be one of
    the outputs (a terminal).
    """

    def __init__(self, outputs: dict[int, StreamName], stdin: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._outputs = outputs
        self._stdin = stdin
        self._wake = asyncio.Event()
        self._writable = asyncio.Event()
        self._over = False
        for fd in {*outputs, stdin} - {-1}:
            os.set_blocking(fd, False)

    async def read(self) -> tuple[StreamName, bytes] | None:
        while self._outputs:
            self._wake.clear()
            for fd, name in list(self._outputs.items()):
                data = self._take(fd)
                if data:
                    return name, data
            if self._over:
                self._close_outputs()
            elif self._outputs:
                await self._await_input()
        return None

    def _take(self, fd: int) -> bytes:
        """What is there now; closes the descriptor at its end."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if not data:
            self._close_output(fd)
        return data

    async def _await_input(self) -> None:
        watched = tuple(self._outputs)
        for fd in watched:
            self._loop.add_reader(fd, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            for fd in watched:
                if fd in self._outputs:
                    self._loop.remove_reader(fd)

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view and self._stdin >= 0:
            try:
                view = view[os.write(self._stdin, view) :]
            except BlockingIOError:
                await self._await_room()
            except OSError:  # EPIPE, EIO: the process does not read any more
                return

    async def _await_room(self) -> None:
        fd = self._stdin
        self._writable.clear()
        self._loop.add_writer(fd, self._writable.set)
        try:
            await self._writable.wait()
        finally:
            if self._stdin == fd:
                self._loop.remove_writer(fd)

    async def close_stdin(self) -> None:
        """A terminal stays open: its end-of-file is a character that the client sends."""
        if self._stdin not in self._outputs:
            self._close_stdin()

    def _close_stdin(self) -> None:
        fd, self._stdin = self._stdin, -1
        if fd >= 0:
            self._loop.remove_writer(fd)
            self._writable.set()
            if fd not in self._outputs:
                os.close(fd)

    def _close_output(self, fd: int) -> None:
        if fd == self._stdin:
            self._close_stdin()
        self._loop.remove_reader(fd)
        del self._outputs[fd]
        os.close(fd)

    def _close_outputs(self) -> None:
        for fd in list(self._outputs):
            self._close_output(fd)

    def expire(self) -> None:
        """The process has ended: what comes later than ``GRACE`` seconds from now is not waited for."""
        self._loop.call_later(GRACE, self._expired)

    def _expired(self) -> None:
        self._over = True
        self._wake.set()

    def close(self) -> None:
        self._over = True
        self._close_stdin()
        self._close_outputs()
        self._wake.set()
