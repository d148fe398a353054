"""A container's streams: attach (hijacked or over a websocket), logs, export (API, ``ContainerAttach``)."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import WSMsgType, web

from fairway.api import detach, times
from fairway.api.archive import PATIENCE
from fairway.api.hijack import Connection, Hijacked, content_type, frame, pump, take_over
from fairway.api.replies import byte_stream, open_stream
from fairway.api.routing import Call, Route
from fairway.model.container import Container
from fairway.model.errors import InvalidParameter
from fairway.model.number import decimal
from fairway.model.process import LogLine, StreamName, Streams


def _wanted(call: Call) -> frozenset[StreamName]:
    names: tuple[StreamName, ...] = ("stdout", "stderr")
    return frozenset(name for name in names if call.flag(name))


async def attach(call: Call) -> web.StreamResponse:
    """``stream`` carries live bytes, ``logs`` first replays what was written before."""
    container = call.engine.containers.find(call.path["id"])
    keys = detach.parse(call.text("detachKeys"))
    wanted, tty = _wanted(call), container.config.tty
    live = await call.engine.containers.attach(container.id) if call.flag("stream") else None
    connection: Connection | None = None
    try:
        connection = take_over(call.request, content_type(tty, call.version))
        if call.flag("logs"):
            await _replay(call, container, wanted, connection)
        if live is not None:
            await pump(
                connection,
                live,
                stdin=call.flag("stdin") and container.config.open_stdin,
                wanted=wanted,
                tty=tty,
                detach=detach.Scanner(keys) if tty else None,
            )
    finally:
        if live is not None:
            live.close()
        if connection is not None:
            connection.close()
    return Hijacked()


async def _replay(
    call: Call, container: Container, wanted: frozenset[StreamName], connection: Connection
) -> None:
    async with aclosing(_written(call, container, wanted)) as lines:
        async for line in lines:
            await connection.write(line.text if container.config.tty else frame(line.stream, line.text))


def _written(
    call: Call, container: Container, wanted: frozenset[StreamName]
) -> AsyncGenerator[LogLine, None]:
    """What the container has written so far."""
    return call.engine.containers.logs(
        container.id,
        stdout="stdout" in wanted,
        stderr="stderr" in wanted,
        since=0,
        until=0,
        tail=-1,
        follow=False,
    )


async def attach_websocket(call: Call) -> web.StreamResponse:
    """The same as unframed binary messages (API, ``ContainerAttachWebsocket``)."""
    container = call.engine.containers.find(call.path["id"])
    wanted = _wanted(call)
    socket = web.WebSocketResponse()
    if not socket.can_prepare(call.request):
        raise InvalidParameter("not websocket protocol: ask for an upgrade to websocket, version 13")
    live = await call.engine.containers.attach(container.id) if call.flag("stream") else None
    try:
        await socket.prepare(call.request)
        if call.flag("logs"):
            async with aclosing(_written(call, container, wanted)) as lines:
                async for line in lines:
                    await socket.send_bytes(line.text)
        if live is not None:
            takes_input = call.flag("stdin") and container.config.open_stdin
            reader = asyncio.ensure_future(_from_websocket(socket, live, takes_input))
            try:
                await _to_websocket(socket, live, wanted)
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
    finally:
        if live is not None:
            live.close()
        if socket.prepared:
            await socket.close()
    return socket


async def _from_websocket(socket: web.WebSocketResponse, live: Streams, takes_input: bool) -> None:
    async for message in socket:
        if takes_input and message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
            data = message.data
            await live.write(data.encode() if isinstance(data, str) else data)
    if takes_input:
        await live.close_stdin()


async def _to_websocket(socket: web.WebSocketResponse, live: Streams, wanted: frozenset[StreamName]) -> None:
    while (chunk := await live.read()) is not None and not socket.closed:
        if chunk[0] in wanted:
            await socket.send_bytes(chunk[1])


async def logs(call: Call) -> web.StreamResponse:
    """Chunked; framed like attach unless the container has a terminal."""
    container = call.engine.containers.find(call.path["id"])
    wanted = _wanted(call)
    if not wanted:
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    now = time.time_ns()
    lines = call.engine.containers.logs(
        container.id,
        stdout="stdout" in wanted,
        stderr="stderr" in wanted,
        since=times.parse(call.text("since"), now),
        until=times.parse(call.text("until"), now),
        tail=_tail(call.text("tail")),
        follow=call.flag("follow"),
    )
    tty = container.config.tty
    async with aclosing(lines):
        response = await open_stream(call.request, content_type(tty, call.version))
        async for line in lines:
            await response.write(_rendered(line, tty, call.flag("timestamps")))
    await response.write_eof()
    return response


def _tail(text: str) -> int:
    """Number of lines; all (-1) for ``all`` and for what is no number, as in Docker."""
    number = decimal(text)
    return -1 if number is None else number


def _rendered(line: LogLine, tty: bool, timestamps: bool) -> bytes:
    text = line.text
    if timestamps:
        text = times.rfc3339_fixed(line.time).encode() + b" " + text
    return text if tty else frame(line.stream, text)


async def export(call: Call) -> web.StreamResponse:
    chunks = await call.engine.snapshots.export(call.path["id"])
    return await byte_stream(call.request, chunks, "application/octet-stream", patience=PATIENCE)


ROUTES = (
    Route("POST", "/containers/{id*}/attach", attach, stream=True),
    Route("GET", "/containers/{id*}/attach/ws", attach_websocket, stream=True),
    Route("GET", "/containers/{id*}/logs", logs, stream=True),
    Route("GET", "/containers/{id*}/export", export, stream=True),
)
