"""Attach and exec: one HTTP connection turned into a raw two-way stream (API, ``ContainerAttach``).

The reply's head is written by hand (``101 UPGRADED`` when the client asked to upgrade, else ``200 OK``) and
the transport is given a protocol of its own: aiohttp knows only websocket upgrades, and its HTTP protocol
closes the connection when the client shuts down its write side, whereas here that is the end of stdin and
output goes on.

Output is framed unless a terminal is used: stream number, three zero bytes, length as big-endian 32 bits.
"""

import asyncio
import select
from typing import cast

from aiohttp import web

from fairway.api.detach import Scanner
from fairway.api.replies import raw_head
from fairway.api.versions import Version
from fairway.model.process import StreamName, Streams

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
_NUMBERS: dict[StreamName, int] = {"stdin": 0, "stdout": 1, "stderr": 2}
_HIGH_WATER = 256 * 1024
_PROBE_SECONDS = 0.5


def frame(stream: StreamName, data: bytes) -> bytes:
    """One multiplexed frame."""
    return bytes((_NUMBERS[stream], 0, 0, 0)) + len(data).to_bytes(4, "big") + data


def content_type(tty: bool, version: Version) -> str:
    """Clients before API 1.42 expect the raw type for framed streams, too."""
    return RAW if tty or version < (1, 42) else MULTIPLEXED


class Connection(asyncio.Protocol):
    """The raw side of a hijacked transport."""

    def __init__(self, transport: asyncio.Transport, http: asyncio.BaseProtocol) -> None:
        self._transport = transport
        self._http = http
        self._loop = asyncio.get_running_loop()
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._buffered = 0
        self._writable = asyncio.Event()
        self._writable.set()
        self._probe: asyncio.TimerHandle | None = None
        self._ended = False
        self.lost = asyncio.Event()
        """Set when the connection is gone altogether."""

    def data_received(self, data: bytes) -> None:
        self._buffered += len(data)
        if self._buffered > _HIGH_WATER:
            self._transport.pause_reading()
        self._input.put_nowait(data)

    def eof_received(self) -> bool:
        """The client will send no more, but may go on reading: keep the transport open."""
        self._end_input()
        self._probe = self._loop.call_later(_PROBE_SECONDS, self._look)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        self._end_input()
        self._writable.set()
        if self._probe is not None:
            self._probe.cancel()
        self._http.connection_lost(exc)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _end_input(self) -> None:
        if not self._ended:
            self._ended = True
            self._input.put_nowait(None)

    def _look(self) -> None:
        """After end of input, no event tells that the client closed its read side, too: ask the kernel."""
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), 0)
        if any(flags & (select.POLLHUP | select.POLLERR) for _, flags in poll.poll(0)):
            self._transport.abort()
        else:
            self._probe = self._loop.call_later(_PROBE_SECONDS, self._look)

    async def read(self) -> bytes | None:
        """The next bytes from the client; None at the end of its input."""
        data = await self._input.get()
        if data is not None:
            self._buffered -= len(data)
            if self._buffered <= _HIGH_WATER and not self._transport.is_closing():
                self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Raises ConnectionResetError once the client has gone."""
        await self._writable.wait()
        if self.lost.is_set():
            raise ConnectionResetError("client went away")
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()


class Hijacked(web.StreamResponse):
    """What a hijacking handler returns: aiohttp shall neither write nor keep the connection alive."""

    async def prepare(self, request: web.BaseRequest) -> None:
        self.force_close()

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def take_over(request: web.Request, media_type: str) -> Connection:
    """Send the head and take the transport out of HTTP."""
    transport = cast(asyncio.Transport, request.transport)
    if transport is None:
        raise ConnectionResetError("client went away")
    headers = {"Content-Type": media_type}
    if request.headers.get("Upgrade"):
        status = "HTTP/1.1 101 UPGRADED"
        headers |= {"Connection": "Upgrade", "Upgrade": "tcp"}
    else:
        status = "HTTP/1.1 200 OK"
    connection = Connection(transport, request.protocol)
    transport.write(raw_head(status, headers))
    transport.set_protocol(connection)
    return connection


async def pump(
    connection: Connection,
    streams: Streams,
    *,
    stdin: bool,
    wanted: frozenset[StreamName],
    tty: bool,
    detach: Scanner | None,
) -> bool:
    """Carry bytes both ways until the output ends, the client detaches (true), or it goes away.

    Closing ``streams`` and ``connection`` stays with the caller.
    """
    output: asyncio.Future[bool] = asyncio.ensure_future(_outward(connection, streams, wanted, tty))
    inward = asyncio.ensure_future(_inward(connection, streams, stdin, detach))
    lost: asyncio.Future[bool] = asyncio.ensure_future(_gone(connection))
    tasks: list[asyncio.Future[bool]] = [output, inward, lost]
    try:
        pending = set(tasks)
        while not (output.done() or lost.done()):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if inward in done and inward.result():
                return True
        if output.done():
            output.result()
        return False
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _gone(connection: Connection) -> bool:
    return await connection.lost.wait()


async def _outward(
    connection: Connection, streams: Streams, wanted: frozenset[StreamName], tty: bool
) -> bool:
    try:
        while (chunk := await streams.read()) is not None:
            name, data = chunk
            if name in wanted:
                await connection.write(data if tty else frame(name, data))
    except ConnectionResetError:
        return False
    return True


async def _inward(connection: Connection, streams: Streams, stdin: bool, detach: Scanner | None) -> bool:
    """True if the client typed the detach keys. Without stdin its bytes are read and dropped."""
    while (data := await connection.read()) is not None:
        if not stdin:
            continue
        if detach is not None:
            data = detach.feed(data)
        if data:
            await streams.write(data)
        if detach is not None and detach.found:
            return True
    if stdin:
        if detach is not None and (rest := detach.rest()):
            await streams.write(rest)
        await streams.close_stdin()
    return False
