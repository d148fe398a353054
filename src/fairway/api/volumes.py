"""``/volumes``: Docker's volume endpoints."""

import time

from aiohttp import web

from fairway.api import bodies, filters, shapes
from fairway.api.replies import empty, json_reply
from fairway.api.routing import Call, Route

_FILTERS = frozenset({"dangling", "driver", "label", "name"})


async def list_(call: Call) -> web.Response:
    wanted = call.filters(_FILTERS)
    dangling = wanted.boolean("dangling")
    volumes = call.engine.volumes
    shown = [
        shapes.volume(each)
        for each in volumes.all()
        if wanted.exact("driver", (each.driver,))
        and wanted.match("name", each.name)
        and wanted.labels(each.labels)
        and (dangling is None or dangling != bool(volumes.users(each.name)))
    ]
    return json_reply({"Volumes": shown, "Warnings": None})


async def inspect(call: Call) -> web.Response:
    return json_reply(shapes.volume(call.engine.volumes.find(call.path["name"])))


async def create(call: Call) -> web.Response:
    body = await call.body(bodies.VolumeBody, "CreateOptions")
    return json_reply(shapes.volume(await call.engine.volumes.create(body.request())), 201)


async def remove(call: Call) -> web.Response:
    await call.engine.volumes.remove(call.path["name"], call.flag("force"))
    return empty()


async def prune(call: Call) -> web.Response:
    """Named volumes only with ``all``, as since API 1.42; before, all unused ones went."""
    wanted = call.filters({"all", "label", "label!"})
    everything = wanted.boolean("all")
    if everything is None:
        everything = call.version < (1, 42)
    names, reclaimed = await call.engine.volumes.prune(filters.prune(wanted, time.time_ns(), all_=everything))
    return json_reply({"VolumesDeleted": list(names) or None, "SpaceReclaimed": reclaimed})


ROUTES = (
    Route("GET", "/volumes", list_),
    Route("GET", "/volumes/{name}", inspect),
    Route("POST", "/volumes/create", create),
    Route("POST", "/volumes/prune", prune),
    Route("DELETE", "/volumes/{name}", remove),
)
