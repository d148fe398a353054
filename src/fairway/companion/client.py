"""The event loop's connection to a companion: asks, and notices when it has ended."""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import msgspec

from fairway.companion import launch, messages
from fairway.companion.launch import Companion
from fairway.model.errors import System, Unavailable

Response = TypeVar("Response")


class Client(Generic[Response]):
    """To be used from one event loop. Starts the companion when there is none.

    A companion that was started anew knows nothing. An operation that meets a dead one starts another and
    succeeds, instead of failing a user's request for something that is being repaired anyway.
    """

    def __init__(
        self,
        companion: Companion,
        decode: Callable[[bytes], Response],
        on_exit: Callable[[], None] | None = None,
    ) -> None:
        """``on_exit`` is called when a companion that we were connected to ended without being told to.

        That is when the process is gone, not when the connection is: by then all its sockets are closed, and
        their addresses can be bound again.
        """
        self._companion = companion
        self._decode = decode
        self._on_exit = on_exit
        self._lock = asyncio.Lock()
        self._connection: _Connection | None = None
        self._process: int | None = None
        """A pidfd, readable once the companion has ended."""
        self.pid = 0
        """Of the companion last connected to."""

    async def start(self) -> bool:
        """Connect, starting the companion if need be; True if it is a new one, which knows nothing.

        Raises System if it cannot be started.
        """
        return (await self._connect())[1]

    async def ask(self, request: msgspec.Struct) -> Response:
        """The companion's response. Raises InvalidParameter if it refused, System, Unavailable."""
        connection, fresh = await self._connect()
        try:
            answer = await connection.ask(request)
        except Unavailable:
            if fresh:
                raise
            connection, _ = await self._connect()
            answer = await connection.ask(request)
        return messages.checked(self._decode(answer))

    async def shutdown(self) -> None:
        """End the companion; no error if there is none."""
        await self.close()
        await asyncio.to_thread(launch.shutdown, self._companion)

    async def close(self) -> None:
        """Disconnect; the companion goes on."""
        async with self._lock:
            self._unwatch()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    async def _connect(self) -> tuple["_Connection", bool]:
        async with self._lock:
            if self._connection is not None and self._connection.alive:
                return self._connection, False
            sock, fresh = await asyncio.to_thread(launch.connect, self._companion)
            self.pid = launch.process_id(sock)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            name = self._companion.name
            _, self._connection = await loop.create_unix_connection(lambda: _Connection(name), sock=sock)
            self._watch(loop)
            return self._connection, fresh

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have ``_exited`` called when the process ends; one that an earlier call watches has ended, too."""
        if self._process is not None:
            self._exited()
        try:
            self._process = os.pidfd_open(self.pid)
        except ProcessLookupError:
            loop.call_soon(self._exited)
        else:
            loop.add_reader(self._process, self._exited)

    def _unwatch(self) -> None:
        if self._process is not None:
            asyncio.get_running_loop().remove_reader(self._process)
            os.close(self._process)
            self._process = None

    def _exited(self) -> None:
        self._unwatch()
        if self._on_exit is not None:
            self._on_exit()


class _Connection(asyncio.Protocol):
    """Requests out, responses in, in the same order."""

    def __init__(self, name: str) -> None:
        self.alive = False
        self._name = name
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, as uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.alive = True

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        size = messages.PREFIX.size
        while len(self._buffer) >= size:
            (length,) = messages.PREFIX.unpack_from(self._buffer)
            if len(self._buffer) < size + length:
                return
            response = bytes(self._buffer[size : size + length])
            del self._buffer[: size + length]
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(response)

    def connection_lost(self, _error: Exception | None) -> None:
        self.alive = False
        for future in self._waiting:
            if not future.done():
                future.set_exception(Unavailable(f"the {self._name} has ended"))
        self._waiting.clear()

    async def ask(self, request: msgspec.Struct) -> bytes:
        """Raises Unavailable if the companion ends before it replies; System if it takes too long."""
        if not self.alive:
            raise Unavailable(f"the {self._name} has ended")
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._transport.write(messages.frame(request))
        try:
            return await asyncio.wait_for(future, launch.PATIENCE)
        except TimeoutError:
            raise System(f"the {self._name} does not answer") from None

    def close(self) -> None:
        self.alive = False
        self._transport.close()
