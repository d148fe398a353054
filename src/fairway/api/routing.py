"""From a path to a handler: version prefix, route, errors to replies — all in one step, without middlewares.

aiohttp sees a single catch-all route; its own dispatcher would try about a hundred expressions in turn for
each versioned path. Here a route is found by method and first path segment, so only a handful are tried.
Mutating handlers run shielded: a client that goes away must not cut an operation in half. Streams are
cancelled with their client.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

import structlog
from aiohttp import web

from fairway.api import decode, filters, versions
from fairway.api.backend import Backend
from fairway.api.descriptors import Budget
from fairway.api.errors import fault_reply
from fairway.api.replies import STREAM, empty, json_reply
from fairway.model.errors import Fault, InvalidParameter, Unavailable

BODY_SECONDS = 60.0
"""In which a client has to send the JSON that it announces; archives may take as long as they want."""
T = TypeVar("T")
_PREFIX = re.compile(r"/v([0-9.]+)(/.*)")
_log = structlog.get_logger("api")


@dataclass(slots=True)
class Call:
    """One request on its way through a handler."""

    request: web.Request
    engine: Backend
    version: versions.Version
    path: dict[str, str]

    def text(self, name: str, default: str = "") -> str:
        return self.request.query.get(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """Docker's reading of booleans in a query: anything but "", 0, no, false, none is true."""
        given = self.request.query.get(name)
        if given is None:
            return default
        return given.strip().lower() not in ("", "0", "no", "false", "none")

    def integer(self, name: str) -> int | None:
        """None if absent or empty. Raises InvalidParameter in Go's words."""
        given = self.text(name)
        if not given:
            return None
        if not re.fullmatch(r"[+-]?\d{1,18}", given):
            raise InvalidParameter(f'strconv.Atoi: parsing "{given}": invalid syntax')
        return int(given)

    def filters(self, accepted: Collection[str]) -> filters.Filters:
        return filters.parse(self.text("filters"), accepted)

    async def raw(self) -> bytes:
        """The body, which must be JSON if there is one, at most ``decode.LIMIT`` bytes."""
        if not self.request.can_read_body:
            return b""
        if (self.request.content_length or 0) > decode.LIMIT:
            raise InvalidParameter("invalid JSON: http: request body too large")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                data = await self.request.read()
        except TimeoutError:
            raise Unavailable(
                f"the request's body did not arrive within {BODY_SECONDS:.0f} seconds"
            ) from None
        except web.HTTPRequestEntityTooLarge:
            raise InvalidParameter("invalid JSON: http: request body too large") from None
        if data and self.request.content_type != "application/json":
            given = self.request.headers.get("Content-Type", "")
            raise InvalidParameter(f"unsupported Content-Type header ({given}): must be 'application/json'")
        return data

    async def body(self, target: type[T], name: str) -> T:
        """The JSON body as a struct; ``name`` is the type's name in error texts."""
        return decode.body(await self.raw(), target, name)


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    template: str
    """``/containers/{id}/json``; ``{name*}`` may contain slashes."""
    handler: Handler
    stream: bool = False
    """Long-lived: cancelled when the client goes away."""


def expression(template: str) -> re.Pattern[str]:
    """The regular expression of a route's template."""
    pattern = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", template)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern))


class Router:
    def __init__(self, engine: Backend, routes: Collection[Route], limits: Budget) -> None:
        self._engine, self._limits = engine, limits
        self._streams: set[asyncio.Task[object]] = set()
        self._routes: dict[tuple[str, str], list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            segment = route.template.split("/", 2)[1]
            self._routes.setdefault((route.method, segment), []).append((expression(route.template), route))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The first route in order of registration that matches, with its path parameters."""
        segment = path.split("/", 2)[1] if path.startswith("/") else ""
        for pattern, route in self._routes.get((method, segment), ()):
            match = pattern.fullmatch(path)
            if match:
                return route, match.groupdict()
        return None

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; never raises but for cancellation."""
        prefix = _PREFIX.fullmatch(request.path)
        found = self.find(request.method, prefix[2] if prefix else request.path)
        if found is None:
            return json_reply({"message": "page not found"}, 404)
        route, parameters = found
        try:
            version = versions.negotiate(prefix[1]) if prefix else versions.NEWEST
            call = Call(request, self._engine, version, parameters)
            if route.stream:
                self._check(request)
                return await self._stream(route, call)
            answering = asyncio.ensure_future(_answer(route, call))
            answering.add_done_callback(expect_lost_client)
            return await asyncio.shield(answering)
        except Fault as fault:
            return fault_reply(fault)
        except ConnectionError:  # no defect: the client has gone, and nobody gets what is returned
            return request.get(STREAM) or empty(503)

    def _check(self, request: web.Request) -> None:
        """Raises Unavailable when there are too many streams."""
        if request.transport is not None:  # else the client has gone
            self._limits.check_stream(request.transport.get_extra_info("socket").fileno())

    async def _stream(self, route: Route, call: Call) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            return await _answer(route, call)
        finally:
            self._streams.discard(task)

    async def end_streams(self, _: web.Application) -> None:
        """Cut what would otherwise go on for as long as a container runs; for the daemon's stop."""
        for task in list(self._streams):
            task.cancel()


def expect_lost_client(answering: "asyncio.Future[web.StreamResponse]") -> None:
    """When its client has gone nobody awaits an answer any more: that it cannot be sent is no news."""
    if not answering.cancelled():
        answering.exception()


async def _answer(route: Route, call: Call) -> web.StreamResponse:
    """A handler's reply, its faults included."""
    try:
        return await route.handler(call)
    except Fault as fault:
        reply = fault_reply(fault)
    except ConnectionError:
        raise
    except Exception:  # noqa: BLE001  a defect in one request must not end the connection without an answer
        _log.exception("request failed", method=route.method, path=call.request.path)
        reply = json_reply({"message": "internal error, see the daemon's log"}, 500)
    return _cut(call.request) or reply


def _cut(request: web.Request) -> web.StreamResponse | None:
    """Break off a stream that has already begun: a second head in its body would read as data."""
    begun = request.get(STREAM)
    if begun is not None and request.transport is not None:
        _log.warning("stream broken off", path=request.path)
        request.transport.abort()
    return begun
