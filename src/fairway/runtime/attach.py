"""The standard streams of a container, through its conmon's ``attach`` socket.

A SOCK_SEQPACKET socket: each packet's first byte says what follows (2 standard output, 3 standard error);
what is sent goes to standard input as it is, and shutting down the sending side is end-of-file. conmon
writes to its clients blocking, so a slow client slows the container down and no byte is lost, as with
Docker.
"""

import asyncio
import os
import socket
from pathlib import Path

from fairway.model.errors import System
from fairway.model.process import StreamName

_NAMES: dict[int, StreamName] = {2: "stdout", 3: "stderr"}
_LARGEST = 65536
_SENT = 8192
"""Bytes per packet sent; conmon reads up to 32 KiB and would lose the rest of a longer one."""


class AttachStreams:
    """``Streams`` of a container."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._reading = False

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
            self._reading = False
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
        if not self._reading:
            self._socket.close()
            return
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # ended already; the read sees that, too
            return


def connect(bundle: Path) -> AttachStreams:
    """Attach to the container of a bundle. Raises System when its conmon is not there (any more)."""
    directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(f"/proc/self/fd/{directory}/attach")
    except OSError as error:
        connection.close()
        raise System(f"cannot attach to the container: {error.strerror}") from error
    finally:
        os.close(directory)
    connection.setblocking(False)
    return AttachStreams(connection)
