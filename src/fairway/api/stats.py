"""``GET /containers/{id}/stats`` (API, ``ContainerStats``)."""

from contextlib import aclosing

from aiohttp import web

from fairway.api import shapes
from fairway.api.replies import json_line, json_reply, open_stream
from fairway.api.routing import Call, Route
from fairway.model.errors import InvalidParameter
from fairway.model.usage import Usage


async def stats(call: Call) -> web.StreamResponse:
    """One sample each second; or two for one answer, as percentages need a difference; or just one."""
    stream, single = call.flag("stream", True), call.flag("one-shot")
    if stream and single:
        raise InvalidParameter("cannot have stream=true and one-shot=true")
    if not stream:
        return await _answer(call, single)
    found = call.engine.containers.find(call.path["id"])
    response = await open_stream(call.request, "application/json")
    before = Usage()
    async with aclosing(call.engine.stats.stream(found.id)) as samples:
        async for container, usage in samples:
            await response.write(json_line(shapes.stats(container, usage, before)))
            before = usage
    await response.write_eof()
    return response


async def _answer(call: Call, single: bool) -> web.Response:
    container, usage = await call.engine.stats.once(call.path["id"])
    if single or not usage.time:
        return json_reply(shapes.stats(container, usage, Usage()))
    async with aclosing(call.engine.stats.stream(container.id)) as samples:
        _, before = await anext(samples)
        async for found, now in samples:
            return json_reply(shapes.stats(found, now, before))
    return json_reply(shapes.stats(container, Usage(), Usage()))  # removed meanwhile


ROUTES = (Route("GET", "/containers/{id*}/stats", stats, stream=True),)
