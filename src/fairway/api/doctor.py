"""``/fairway/doctor``: where this host is not as the records say, and mending it. Fairway's own endpoints."""

from aiohttp import web

from fairway.api import shapes
from fairway.api.replies import json_reply
from fairway.api.routing import Call, Route


async def examine(call: Call) -> web.Response:
    return json_reply(shapes.examination(await call.engine.doctor.examine()))


async def cure(call: Call) -> web.Response:
    return json_reply(shapes.examination(await call.engine.doctor.cure()))


ROUTES = (
    Route("GET", "/fairway/doctor", examine),
    Route("POST", "/fairway/doctor/fix", cure),
)
