"""Accepting connections on a listening socket, as long as there are descriptors for them.

aiohttp's sites were rejected: they take every connection, and one that never asks anything, or never ends its
TLS handshake, holds its descriptor unseen by the API. Here it is refused before anything is made of it, for
30 us more a connection (160 instead of 130).
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

import msgspec
import structlog

from fairway.api.descriptors import Budget
from fairway.daemon.listeners import Listener

HANDSHAKE_SECONDS = 10.0
"""Within which a client has to agree on TLS."""
_BATCH = 64
"""Connections accepted before the event loop sees to other things."""
_PAUSE = 0.5
"""Seconds without accepting after the kernel has refused a descriptor: not to ask again at once."""
_REFUSED, _REFUSAL_SECONDS = 16, 1.0
"""So many clients at a time, for so many seconds, are told why; the others find the connection closed."""
_log = structlog.get_logger("daemon")

Factory = Callable[[], asyncio.Protocol]


class Acceptor:
    """Serves one listener with protocols of ``factory``, until closed. The listener stays open."""

    def __init__(self, listener: Listener, factory: Factory, budget: Budget) -> None:
        self._listener, self._factory, self._limit = listener, factory, budget.limit
        network = listener.socket.family != socket.AF_UNIX
        self._most = budget.network if network else budget.connections
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._refusing: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        listener.socket.setblocking(False)
        self._resume()

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener.socket, self._accept)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                connection, _ = self._listener.socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.warning("cannot accept connections", error=error.strerror)
                self._loop.remove_reader(self._listener.socket)
                self._pause = self._loop.call_later(_PAUSE, self._resume)
                return
            connection.setblocking(False)
            served = connection.fileno() < self._most
            if not served and (self._listener.tls is not None or len(self._refusing) >= _REFUSED):
                connection.close()
                continue
            tasks, coroutine = (self._connecting, self._serve) if served else (self._refusing, self._refuse)
            task = self._loop.create_task(coroutine(connection))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        tls = self._listener.tls
        try:
            await self._loop.connect_accepted_socket(
                self._factory, connection, ssl=tls, ssl_handshake_timeout=HANDSHAKE_SECONDS if tls else None
            )
        except (OSError, TimeoutError):  # the client's fault: gone, no or a wrong certificate
            connection.close()

    async def _refuse(self, connection: socket.socket) -> None:
        """Answer one request: who finds the connection closed before he has asked cannot tell why."""
        message = (
            f"too many connections: the daemon may open {self._limit} files and keeps the rest for other "
            "work; close some, or raise the LimitNOFILE= of its service"
        )
        body = msgspec.json.encode({"message": message})
        head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
        with connection, contextlib.suppress(OSError, TimeoutError):  # it has gone, or does not ask
            async with asyncio.timeout(_REFUSAL_SECONDS):
                await self._loop.sock_recv(connection, 65536)
                answer = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
                await self._loop.sock_sendall(connection, answer)

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener.socket)
        for task in (*self._connecting, *self._refusing):
            task.cancel()
