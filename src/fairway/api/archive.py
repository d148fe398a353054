"""``/containers/{id}/archive``: what ``docker cp`` uses (API, ``ContainerArchive``, ``PutContainerArchive``).

The path's stat travels in a header, as JSON in base64, its mode in the bits of Go's ``os.FileMode``.
"""

import asyncio
import base64
import stat
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from fairway.api import times
from fairway.api.replies import byte_stream, empty
from fairway.api.routing import Call, Route
from fairway.model.errors import InvalidParameter, Unavailable
from fairway.model.tree import PathStat

PATIENCE = 60.0
"""Seconds without a byte after which a client is given up: the container is locked meanwhile."""
_CHUNK = 256 * 1024
_TYPES = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


def go_mode(mode: int) -> int:
    """``st_mode`` as Go's ``os.FileMode``."""
    special = sum(bit for mask, bit in _BITS.items() if mode & mask)
    return mode & 0o777 | special | _TYPES.get(stat.S_IFMT(mode), 0)


def stat_header(found: PathStat) -> dict[str, str]:
    """``X-Docker-Container-Path-Stat``."""
    document = {
        "name": found.name,
        "size": found.size,
        "mode": go_mode(found.mode),
        "mtime": times.moment(found.modified),
        "linkTarget": found.target,
    }
    return {"X-Docker-Container-Path-Stat": base64.b64encode(msgspec.json.encode(document)).decode()}


def _path(call: Call) -> str:
    if not (path := call.text("path")):
        raise InvalidParameter("bad parameter: path is required")
    return path


async def describe(call: Call) -> web.Response:
    found = await call.engine.copying.describe(call.path["id"], _path(call))
    return empty(200, stat_header(found))


async def download(call: Call) -> web.StreamResponse:
    async with call.engine.copying.archive(call.path["id"], _path(call)) as (found, chunks):
        return await byte_stream(call.request, chunks, "application/x-tar", stat_header(found), PATIENCE)


async def upload(call: Call) -> web.Response:
    await call.engine.copying.extract(
        call.path["id"],
        _path(call),
        _uploaded(call.request),
        keep_kinds=call.flag("noOverwriteDirNonDir"),
        own=call.flag("copyUIDGID"),
    )
    return empty(200)


async def _uploaded(request: web.Request) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                chunk = await request.content.read(_CHUNK)
        except TimeoutError:
            raise Unavailable(f"the client sent nothing for {PATIENCE:.0f} seconds") from None
        if not chunk:
            return
        yield chunk


ROUTES = (
    Route("HEAD", "/containers/{id*}/archive", describe),
    Route("GET", "/containers/{id*}/archive", download, stream=True),
    Route("PUT", "/containers/{id*}/archive", upload, stream=True),
)
