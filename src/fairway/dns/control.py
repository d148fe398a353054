"""The daemon's side of the resolver: two clients of its control socket.

``ResolverClient`` is the engine's, asynchronous: names and zones. ``SocketHandover`` is the kernel worker's,
blocking: the sockets of sandboxes. They share nothing but the process, so neither waits for the other.

Both start the resolver when there is none. A resolver that was started anew knows nothing; whoever finds that
it died (``on_exit``) publishes all zones again and has all sockets opened again. An operation that meets a
dead resolver therefore starts another one and succeeds, instead of failing a user's request for something
that is being repaired anyway.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from fairway.dns import launch, messages
from fairway.dns.launch import Location
from fairway.dns.messages import Request, Response
from fairway.model.dns import NetworkNames, Zone
from fairway.model.errors import InvalidParameter, System, Unavailable


class ResolverClient:
    """Publishes names; implements the engine's ``Resolver``. To be used from one event loop."""

    def __init__(self, location: Location, on_exit: Callable[[], None] | None = None) -> None:
        """``on_exit`` is called when a resolver that we were connected to ended without being told to.

        That is when the process is gone, not when the connection is: by then all its sockets are closed, and
        127.0.0.11:53 can be bound again in every sandbox.
        """
        self._location = location
        self._on_exit = on_exit
        self._lock = asyncio.Lock()
        self._connection: _Connection | None = None
        self._process: int | None = None
        """A pidfd, readable once the resolver has ended."""
        self.pid = 0
        """Of the resolver last connected to."""

    async def start(self) -> bool:
        """Connect, starting the resolver if need be; True if it is a new one, which knows nothing.

        Raises System if it cannot be started.
        """
        return (await self._connect())[1]

    async def publish(self, networks: Sequence[NetworkNames], zones: Sequence[Zone]) -> None:
        """Swap tables and zones, all at once. Raises InvalidParameter if an upstream is no address."""
        await self._ask(messages.Publish(tuple(networks), tuple(zones)))

    async def withdraw(self, sandbox: str) -> None:
        """Forget the sandbox's zone. Its sockets stay until the kernel worker closes them."""
        await self._ask(messages.Withdraw(sandbox))

    async def sandboxes(self) -> frozenset[str]:
        """Sandboxes that have a zone or sockets."""
        response = await self._ask(messages.List())
        assert isinstance(response, messages.Sandboxes)
        return frozenset(response.zones + response.sockets)

    async def shutdown(self) -> None:
        """End the resolver; no error if there is none. Names stop to resolve."""
        await self.close()
        await asyncio.to_thread(_shutdown, self._location)

    async def close(self) -> None:
        """Disconnect; the resolver goes on."""
        async with self._lock:
            self._unwatch()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    async def _ask(self, request: Request) -> Response:
        connection, fresh = await self._connect()
        try:
            response = await connection.ask(request)
        except Unavailable:
            if fresh:
                raise
            connection, _ = await self._connect()
            response = await connection.ask(request)
        return _checked(response)

    async def _connect(self) -> tuple["_Connection", bool]:
        async with self._lock:
            if self._connection is not None and self._connection.alive:
                return self._connection, False
            sock, fresh = await asyncio.to_thread(launch.connect, self._location)
            self.pid = launch.process_id(sock)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            _, self._connection = await loop.create_unix_connection(_Connection, sock=sock)
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

    def __init__(self) -> None:
        self.alive = False
        self._waiting: deque[asyncio.Future[Response]] = deque()
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
            response = messages.decode_response(bytes(self._buffer[size : size + length]))
            del self._buffer[: size + length]
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(response)

    def connection_lost(self, _error: Exception | None) -> None:
        self.alive = False
        for future in self._waiting:
            if not future.done():
                future.set_exception(Unavailable("the resolver has ended"))
        self._waiting.clear()

    async def ask(self, request: Request) -> Response:
        """Raises Unavailable if the resolver ends before it replies; System if it takes too long."""
        if not self.alive:
            raise Unavailable("the resolver has ended")
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._transport.write(messages.frame(request))
        try:
            return await asyncio.wait_for(future, launch.PATIENCE)
        except TimeoutError:
            raise System("the resolver does not answer") from None

    def close(self) -> None:
        self.alive = False
        self._transport.close()


class SocketHandover:
    """Gives sandboxes' sockets to the resolver. Blocking; to be used from one thread at a time."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._connection: socket.socket | None = None

    def open(self, sandbox: str, udp: socket.socket, tcp: socket.socket) -> None:
        """Have the resolver serve the sandbox on these, replacing those it had.

        ``udp`` is bound and ``tcp`` listens, both inside the sandbox. The resolver has its own descriptors
        afterwards, and these are closed; after an exception they are still the caller's. The resolver's keep
        the namespace alive until ``close``.
        """
        self._ask(messages.Open(sandbox), udp, tcp)
        udp.close()
        tcp.close()

    def close(self, sandbox: str) -> None:
        """Have the sandbox's sockets closed; no error if there are none."""
        self._ask(messages.Close(sandbox))

    def sandboxes(self) -> frozenset[str]:
        """Sandboxes that have sockets."""
        response = self._ask(messages.List())
        assert isinstance(response, messages.Sandboxes)
        return frozenset(response.sockets)

    def disconnect(self) -> None:
        """The resolver goes on."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, request: Request, *sockets: socket.socket) -> Response:
        """Ask, once more if the resolver that we knew has ended. Raises System."""
        for known in (self._connection is not None, False):
            try:
                return _checked(self._exchange(request, sockets))
            except (EOFError, ConnectionError) as error:
                self.disconnect()
                if not known:
                    raise System(f"the resolver has ended: {error}") from None
            except OSError as error:
                self.disconnect()
                raise System(f"the resolver does not answer: {error}") from None
        raise AssertionError("unreachable: the second turn returns or raises")

    def _exchange(self, request: Request, sockets: Sequence[socket.socket]) -> Response:
        if self._connection is None:
            self._connection, _ = launch.connect(self._location)
        frame = messages.frame(request)
        if not sockets:
            return launch.call(self._connection, frame)
        sent = socket.send_fds(self._connection, [frame], [sock.fileno() for sock in sockets])
        return launch.call(self._connection, frame[sent:])


def _checked(response: Response) -> Response:
    """Raises InvalidParameter if the resolver refused."""
    if isinstance(response, messages.Failed):
        raise InvalidParameter(response.message)
    return response


def _shutdown(location: Location) -> None:
    connection = launch.attempt(location)
    if connection is not None:
        launch.replace(connection)
