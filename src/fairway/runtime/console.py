"""A container's own terminal, handed to us by the runtime over a unix socket (OCI ``--console-socket``)."""

import asyncio
import os
import socket
from pathlib import Path

from fairway.model.errors import System


class Console:
    """Listens in ``directory``; the runtime connects once and sends the terminal's master side."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "console")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        parent = os.open(directory, os.O_PATH)
        try:  # a socket's name has room for 107 bytes only (unix(7))
            self._listener.bind(f"/proc/self/fd/{parent}/console")
        finally:
            os.close(parent)
        self._listener.listen(1)

    async def master(self) -> int:
        """The descriptor, once the runtime has sent it. Raises System if it sends none."""
        connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
        with connection:
            readable = asyncio.Event()
            asyncio.get_running_loop().add_reader(connection, readable.set)
            try:
                await readable.wait()
            finally:
                asyncio.get_running_loop().remove_reader(connection)
            _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
        if not descriptors:
            raise System("the OCI runtime sent no terminal")
        return descriptors[0]

    def close(self) -> None:
        self._listener.close()
