"""The engine itself: ping, version, info, disk usage, events (API, "System")."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from itertools import accumulate
from typing import Any

import msgspec
from aiohttp import web

from fairway.api import filters, shapes, times
from fairway.api.containers import summaries
from fairway.api.replies import json_line, json_reply, open_stream, text_reply
from fairway.api.routing import Call, Route
from fairway.model.errors import InvalidParameter, Unavailable
from fairway.model.event import Event
from fairway.model.image import Image

_PING = {
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}
_EVENT_FILTERS = frozenset(
    "config container daemon event image label network node plugin scope secret service type volume".split()
)
_DF_TYPES = ("container", "image", "volume", "build-cache")


async def ping(call: Call) -> web.Response:
    return text_reply("OK" if call.request.method == "GET" else "", _PING)


async def version(call: Call) -> web.Response:
    return json_reply(shapes.version(call.engine.system.info()))


async def info(call: Call) -> web.Response:
    engine = call.engine
    facts = engine.system.info()
    warnings = [f"WARNING: {text}" for text in await engine.system.warnings()]
    return json_reply(
        shapes.info(
            msgspec.structs.replace(facts, warnings=(*facts.warnings, *warnings)),
            engine.containers.all(),
            len(engine.images.all()),
            time.time_ns(),
            call.version,
        )
    )


async def disk_usage(call: Call) -> web.Response:
    """``type`` limits what is measured."""
    asked = call.request.query.getall("type", list(_DF_TYPES))
    for kind in asked:
        if kind not in _DF_TYPES:
            raise InvalidParameter(f"unknown object type: {kind}")
    engine = call.engine
    images = engine.images.all() if "image" in asked else ()
    containers = engine.containers.all() if "container" in asked else ()
    total, shared = layer_usage(images)
    shape: dict[str, Any] = {
        "LayersSize": total,
        "Images": [
            shapes.image_summary(
                each,
                call.version,
                tags=each.tags,
                containers=engine.images.users(each.id),
                shared=shared[each.id],
            )
            for each in images
        ],
        "Containers": await summaries(call, containers, size=True),
        "Volumes": [
            shapes.volume(each, (await engine.volumes.size(each.name), len(engine.volumes.users(each.name))))
            for each in (engine.volumes.all() if "volume" in asked else ())
        ],
        "BuildCache": [],
    }
    if call.version < (1, 42):
        shape["BuilderSize"] = 0
    return json_reply(shape)


async def prune_build_cache(call: Call) -> web.Response:
    """Nothing is built here, so none is left; ``docker system prune`` asks, and gives up when refused."""
    return json_reply({"CachesDeleted": None, "SpaceReclaimed": 0})


def layer_usage(images: Sequence[Image]) -> tuple[int, dict[str, int]]:
    """Bytes of all layers, each counted once; and by image, of those that another image has, too.

    As with Docker a layer is the same only upon the same layers.
    """
    stacks = {each.id: list(accumulate((diff,) for diff in each.layers)) for each in images}
    sizes = {
        stack: size for each in images for stack, size in zip(stacks[each.id], each.layer_sizes, strict=True)
    }
    users = Counter(stack for own in stacks.values() for stack in own)
    shared = {id_: sum(sizes[stack] for stack in own if users[stack] > 1) for id_, own in stacks.items()}
    return sum(sizes.values()), shared


async def events(call: Call) -> web.StreamResponse:
    """One JSON object per line, from ``since`` on, until ``until`` or the client goes away."""
    wanted = call.filters(_EVENT_FILTERS)
    now = time.time_ns()
    since, until = _moment(call, "since", now), _moment(call, "until", now)
    if until is not None and (since or 0) > until:
        raise InvalidParameter(
            f"`since` time ({call.text('since')}) cannot be after `until` time ({call.text('until')})"
        )
    subscription = call.engine.events.subscribe(since, until)
    async with aclosing(subscription):
        response = await open_stream(call.request, "application/json")
        async for happened in subscription:
            if admits(wanted, happened):
                await response.write(json_line(shapes.event(happened)))
    await response.write_eof()
    return response


def _moment(call: Call, key: str, now: int) -> int | None:
    """A moment the client names; None if it names none. ``since=0`` names one: all that is remembered."""
    text = call.text(key)
    return times.parse(text, now) if text else None


def admits(wanted: filters.Filters, happened: Event) -> bool:
    """Docker's event filters: names and ids of objects match by prefix."""
    return (
        _action(wanted, happened)
        and wanted.exact("type", (happened.type,))
        and wanted.exact("scope", (happened.scope,))
        and wanted.labels(happened.attributes)
        and all(_object(wanted, happened, kind) for kind in ("container", "network", "volume", "daemon"))
        and _image(wanted, happened)
        and not any(kind in wanted for kind in ("config", "node", "plugin", "secret", "service"))
    )


def _action(wanted: filters.Filters, happened: Event) -> bool:
    """``exec_create: sh`` and ``health_status: healthy`` are also asked for by their first word."""
    return wanted.exact("event", (happened.action, happened.action.partition(":")[0]))


def _object(wanted: filters.Filters, happened: Event, kind: str) -> bool:
    if kind not in wanted:
        return True
    names: tuple[str, ...] = ()
    if happened.type == kind:
        names = (happened.id, happened.attributes.get("name", ""))
    elif kind == "container" and happened.type == "network":
        names = (happened.attributes.get("container", ""),)
    return any(name.startswith(each) for each in wanted.get(kind) for name in names if name)


def _image(wanted: filters.Filters, happened: Event) -> bool:
    if "image" not in wanted:
        return True
    names = {happened.attributes.get("name", ""), happened.id}
    if happened.type == "container":
        names = {happened.attributes.get("image", "")}
    elif happened.type != "image":
        return False
    untagged = {name.rpartition(":")[0] for name in names if ":" in name}
    return wanted.exact("image", names | untagged)


async def leave_swarm(call: Call) -> web.Response:
    raise Unavailable("This node is not part of a swarm")


ROUTES = (
    Route("GET", "/_ping", ping),
    Route("HEAD", "/_ping", ping),
    Route("GET", "/version", version),
    Route("GET", "/info", info),
    Route("GET", "/events", events, stream=True),
    Route("GET", "/system/df", disk_usage),
    Route("POST", "/build/prune", prune_build_cache),
    Route("POST", "/swarm/leave", leave_swarm),
)
