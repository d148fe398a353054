"""The forms that replies take: JSON, nothing, and streams of bytes or of JSON objects.

JSON is encoded straight to bytes and the common headers are merged in one step, because listing and
inspecting are the hot path. Docker ends each JSON body with a newline (Go's ``json.Encoder``), and so do we.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from aiohttp import web

from fairway import __version__
from fairway.api import versions
from fairway.model.errors import Fault, Unavailable

_COMMON = {
    "Api-Version": versions.text(versions.NEWEST),
    "Docker-Experimental": "false",
    "Ostype": sys.platform,
    "Server": f"Fairway/{__version__} ({sys.platform})",
}
_JSON = {**_COMMON, "Content-Type": "application/json"}
STREAM = web.RequestKey("STREAM", web.StreamResponse)
"""Key in a request of the stream that was opened for it."""

_PIECE = 64 * 1024
"""Bytes after which a client must have taken something for its patience to begin anew."""

_encoder = msgspec.json.Encoder()


def json_line(value: Any) -> bytes:
    """One JSON document and a newline."""
    return _encoder.encode(value) + b"\n"


def json_reply(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=json_line(value), status=status, headers=_JSON)


def empty(status: int = 204, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, headers={**_COMMON, **(headers or {})})


def text_reply(text: str, headers: dict[str, str]) -> web.Response:
    return web.Response(text=text, headers={**_COMMON, **headers})


def raw_head(status_line: str, headers: dict[str, str]) -> bytes:
    """The head of a hijacked connection's reply, which HTTP's framing no longer governs."""
    lines = [status_line, *(f"{name}: {value}" for name, value in {**headers, **_COMMON}.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def open_stream(
    request: web.Request, content_type: str, headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Send the head now and leave the body open: clients act on having received the head."""
    response = web.StreamResponse(headers={**_COMMON, "Content-Type": content_type, **(headers or {})})
    request[STREAM] = response
    await response.prepare(request)
    await response.write(b"")
    return response


async def byte_stream(
    request: web.Request,
    chunks: AsyncGenerator[bytes, None],
    content_type: str,
    headers: Mapping[str, str] | None = None,
    patience: float | None = None,
) -> web.StreamResponse:
    """A body of unknown length. A fault before the first chunk still becomes a status.

    A client that takes nothing for ``patience`` seconds is given up (raises Unavailable). Whenever a client
    leaves, ``chunks`` end at once: what they hold, a container's lock say, must not wait for the garbage
    collector.
    """
    async with aclosing(chunks):
        first = await anext(chunks, None)
        response = await open_stream(request, content_type, headers)
        if first is not None:
            await _write(response, first, patience)
            async for chunk in chunks:
                await _write(response, chunk, patience)
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, data: bytes, patience: float | None) -> None:
    try:
        for start in range(0, len(data), _PIECE):
            async with asyncio.timeout(patience):
                await response.write(data[start : start + _PIECE])
    except TimeoutError:
        raise Unavailable(f"the client took nothing for {patience:.0f} seconds") from None


async def progress(
    request: web.Request, messages: AsyncGenerator[dict[str, Any], None], *, in_stream: bool = False
) -> web.StreamResponse:
    """One JSON object per line, as load, import and pull report (API, ``ImageCreate``).

    A fault before the first message becomes a status, unless all are to be told ``in_stream``; a later one a
    last line with ``errorDetail``, since the status has been sent.
    """
    async with aclosing(messages):
        try:
            first = await anext(messages, None)
        except Fault as fault:
            if not in_stream:
                raise
            first = _failure(fault)
        response = await open_stream(request, "application/json")
        try:
            if first is not None:
                await response.write(json_line(first))
                async for message in messages:
                    await response.write(json_line(message))
        except Fault as fault:
            await response.write(json_line(_failure(fault)))
    await response.write_eof()
    return response


def _failure(fault: Fault) -> dict[str, Any]:
    return {"errorDetail": {"message": fault.message}, "error": fault.message}
