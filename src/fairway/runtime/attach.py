"""The standard streams of a container, through its conmon's ``attach`` socket.

A SOCK_SEQPACKET socket: each packet's first byte says what follows (2 standard output, 3 standard error);
what is sent goes to standard input as it is, and shutting down the sending side is end-of-file. conmon
writes to its clients blocking, so a slow client slows the container down and no byte is lost, as with
Docker. One that reads nothing at all would hold up conmon for ever, and with it the container's end and its
other clients: so it is cut off when its container has ended, or when others wait (``Attached``).
"""

import asyncio
import contextlib
import functools
import os
import socket
from collections.abc import Callable
from pathlib import Path

from fairway.model.errors import System, Unavailable
from fairway.model.process import StreamName

_NAMES: dict[int, StreamName] = {2: "stdout", 3: "stderr"}
_LARGEST = 65536
_SENT = 8192
"""Bytes per packet sent; conmon reads up to 32 KiB and would lose the rest of a longer one."""
_PATIENCE = 60.0
"""Seconds for which a client may read nothing while others are attached to its container."""
_GRACE = 2.0
"""Seconds for which it may after its container's end, Docker's limit too (moby, ``daemon/monitor.go``)."""
_ACCEPT = 2.0
"""Seconds within which conmon has to accept a client; it lets ten wait."""


class AttachStreams:
    """``Streams`` of a container. ``closed`` is called at the end."""

    def __init__(self, connection: socket.socket, closed: Callable[["AttachStreams"], object]) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._on_close = closed
        self._closed = False
        self._reading = False
        self._since = self._loop.time()

    async def read(self) -> tuple[StreamName, bytes] | None:
        while not self._closed:
            packet = await self._receive()
            if not packet:
                return None
            if len(packet) > 1 and packet[0] in _NAMES:
                return _NAMES[packet[0]], packet[1:]
        return None

    async def _receive(self) -> bytes:
        """The next packet; empty at the end. Closes the socket if that was asked for meanwhile."""
        self._reading = True
        try:
            return await self._loop.sock_recv(self._socket, _LARGEST)
        except OSError:  # conmon was killed
            return b""
        finally:
            self._reading, self._since = False, self._loop.time()
            if self._closed:
                self._socket.close()

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), _SENT):
            try:
                await self._loop.sock_sendall(self._socket, data[start : start + _SENT])
            except OSError:  # the process, and conmon with it, has ended
                return

    async def close_stdin(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:  # already ended
            return

    def close(self) -> None:
        """Also ends a read under way, which then closes the socket: its number must not be reused before."""
        if self._closed:
            return
        self._closed = True
        self._on_close(self)
        if not self._reading:
            self._socket.close()
            return
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # ended already; the read sees that, too
            return

    def cut(self, patience: float) -> None:
        """Take no more from conmon if nobody has read for so many seconds; what is here can still be read."""
        if not (self._closed or self._reading) and self._loop.time() - self._since >= patience:
            with contextlib.suppress(OSError):  # conmon has ended
                self._socket.shutdown(socket.SHUT_RD)


class Attached:
    """All streams of a daemon, by container: who reads nothing must not hold up the others for ever."""

    def __init__(self) -> None:
        self._streams: dict[str, set[AttachStreams]] = {}
        self._relieving: set[str] = set()

    async def connect(self, bundle: Path) -> AttachStreams:
        """Attach to the container of a bundle.

        Raises System when its conmon is not there (any more), Unavailable when it does not take clients.
        """
        container = bundle.name
        connection = await _connected(bundle)
        streams = AttachStreams(connection, functools.partial(self._left, container))
        together = self._streams.setdefault(container, set())
        together.add(streams)
        if len(together) > 1 and container not in self._relieving:
            self._relieving.add(container)
            self._relieve(container)
        return streams

    def _left(self, container: str, streams: AttachStreams) -> None:
        self._streams[container].discard(streams)
        if not self._streams[container]:
            del self._streams[container]

    def _relieve(self, container: str) -> None:
        """For as long as several are attached."""
        together = self._streams.get(container, ())
        if len(together) > 1:
            self._cut(container, _PATIENCE)
            asyncio.get_running_loop().call_later(_PATIENCE / 2, self._relieve, container)
        else:
            self._relieving.discard(container)

    async def release(self, container: str) -> None:
        """After the container's end, until cancelled: conmon shall be able to end, too."""
        while True:
            await asyncio.sleep(_GRACE)
            self._cut(container, _GRACE)

    def _cut(self, container: str, patience: float) -> None:
        for streams in tuple(self._streams.get(container, ())):
            streams.cut(patience)


async def _connected(bundle: Path) -> socket.socket:
    directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.setblocking(False)
    try:
        async with asyncio.timeout(_ACCEPT):
            while True:
                try:
                    connection.connect(f"/proc/self/fd/{directory}/attach")
                except BlockingIOError:  # no event tells when there is room (connect(2), EAGAIN)
                    await asyncio.sleep(0.05)
                else:
                    return connection
    except TimeoutError:
        connection.close()
        raise Unavailable(
            f"cannot attach to container {bundle.name}: a client that does not read its output holds it up"
        ) from None
    except OSError as error:
        connection.close()
        raise System(f"cannot attach to the container: {error.strerror}") from error
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(directory)
