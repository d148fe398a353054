"""``/containers``: Docker's container endpoints, but for those that stream (``streams``)."""

import re
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

from aiohttp import web

from fairway.api import bodies, decode, filters, listing, references, shapes
from fairway.api.backend import Backend
from fairway.api.replies import empty, json_line, json_reply, open_stream
from fairway.api.routing import Call, Route
from fairway.api.top import top
from fairway.model.container import Container, HostConfig
from fairway.model.errors import Fault, InvalidParameter, NotFound
from fairway.model.request import WaitCondition
from fairway.model.system import STORAGE_DRIVER

_CONDITIONS = ("not-running", "next-exit", "removed")


async def list_(call: Call) -> web.Response:
    wanted = call.filters(listing.ACCEPTED)
    limit = max(call.integer("limit") or 0, 0)
    chosen = listing.select(call.engine, wanted, everything=call.flag("all"), limit=limit)
    return json_reply(await summaries(call, chosen, size=call.flag("size")))


async def summaries(call: Call, chosen: Iterable[Container], *, size: bool) -> list[dict[str, Any]]:
    """Containers as lists show them, without those that are removed while others are being measured."""
    shown = []
    for container in chosen:
        with suppress(NotFound):
            shown.append(await _summary(call, container, size=size))
    return shown


async def _summary(call: Call, container: Container, *, size: bool) -> dict[str, Any]:
    containers = call.engine.containers
    return shapes.container_summary(
        container,
        containers.endpoints(container.id),
        containers.health(container.id),
        call.version,
        names=containers.names(container.id),
        image=_image_name(call.engine, container.config.image, container.image),
        now=time.time_ns(),
        sizes=await _sizes(call.engine, container) if size else None,
    )


def _image_name(engine: Backend, name: str, identifier: str) -> str:
    """The name that the user gave, as long as it still means the same image."""
    try:
        return name if engine.images.find(name).id == identifier else identifier
    except Fault:  # the image is gone, or its name is no longer a valid or unique reference
        return identifier


async def _sizes(engine: Backend, container: Container) -> tuple[int, int]:
    written = await engine.containers.writable_size(container.id)
    try:
        return written, written + engine.images.find(container.image).size
    except NotFound:
        return written, written


async def inspect(call: Call) -> web.Response:
    containers = call.engine.containers
    container = containers.find(call.path["id"])
    return json_reply(
        shapes.container_inspect(
            container,
            containers.endpoints(container.id),
            containers.sandbox(container.id),
            containers.paths(container.id),
            containers.health(container.id),
            call.version,
            driver=STORAGE_DRIVER,
            links=containers.links(container.id),
            execs=call.engine.execs.of(container.id),
            sizes=await _sizes(call.engine, container) if call.flag("size") else None,
        )
    )


async def create(call: Call) -> web.Response:
    request = bodies.container(await call.raw(), call.text("name"), call.text("platform"))
    container, warnings = await call.engine.containers.create(request)
    return json_reply({"Id": container.id, "Warnings": list(warnings)}, 201)


async def start(call: Call) -> web.Response:
    if (call.request.content_length or 0) > 7:  # Docker's allowance for clients that send "{}" or "null"
        raise InvalidParameter(
            "starting container with non-empty request body was deprecated since API v1.22 "
            "and removed in v1.24"
        )
    await call.engine.containers.start(call.path["id"])
    return empty()


async def stop(call: Call) -> web.Response:
    await call.engine.containers.stop(call.path["id"], call.integer("t"), call.text("signal"))
    return empty()


async def restart(call: Call) -> web.Response:
    await call.engine.containers.restart(call.path["id"], call.integer("t"), call.text("signal"))
    return empty()


async def kill(call: Call) -> web.Response:
    await call.engine.containers.kill(call.path["id"], call.text("signal"))
    return empty()


async def pause(call: Call) -> web.Response:
    await call.engine.containers.pause(call.path["id"])
    return empty()


async def unpause(call: Call) -> web.Response:
    await call.engine.containers.unpause(call.path["id"])
    return empty()


async def rename(call: Call) -> web.Response:
    name = call.text("name")
    if not name.removeprefix("/"):
        raise InvalidParameter("Neither old nor new names may be empty")
    call.engine.containers.find(call.path["id"])  # its absence is told before a bad name
    await call.engine.containers.rename(call.path["id"], references.container_name(name))
    return empty()


async def update(call: Call) -> web.Response:
    """Resources and restart policy; as an extension ``PortBindings``, by container port."""
    changes = decode.body(await call.raw(), HostConfig, "UpdateConfig")
    return json_reply({"Warnings": list(await call.engine.containers.update(call.path["id"], changes))})


async def remove(call: Call) -> web.Response:
    await call.engine.containers.remove(
        call.path["id"], volumes=call.flag("v"), force=call.flag("force"), link=call.flag("link")
    )
    return empty()


async def prune(call: Call) -> web.Response:
    which = filters.prune(call.filters(filters.PRUNE), time.time_ns())
    removed, reclaimed = await call.engine.containers.prune(which)
    return json_reply({"ContainersDeleted": list(removed) or None, "SpaceReclaimed": reclaimed})


async def wait(call: Call) -> web.StreamResponse:
    """The head goes out as soon as the wait is registered: ``docker run`` starts the container after it."""
    condition = call.text("condition", "not-running") or "not-running"
    if condition not in _CONDITIONS:
        raise InvalidParameter(f'invalid condition: "{condition}"')
    waiter = call.engine.containers.waiter(call.path["id"], cast(WaitCondition, condition))
    response = await open_stream(call.request, "application/json")
    body: dict[str, Any]
    try:
        body = {"StatusCode": (await waiter).code}
    except Fault as fault:
        body = {"StatusCode": -1, "Error": {"Message": fault.message}}
    await response.write(json_line(body))
    await response.write_eof()
    return response


def dimensions(call: Call) -> tuple[int, int]:
    """Height and width of a terminal, from ``h`` and ``w``."""
    values = []
    for name, word in (("h", "height"), ("w", "width")):
        given = call.text(name)
        if not re.fullmatch(r"\d{1,9}", given):
            raise InvalidParameter(f'invalid resize {word} "{given}": invalid syntax')
        values.append(int(given))
    return values[0], values[1]


async def resize(call: Call) -> web.Response:
    await call.engine.containers.resize(call.path["id"], *dimensions(call))
    return empty(200)


async def processes(call: Call) -> web.Response:
    pids = await call.engine.containers.processes(call.path["id"])
    titles, rows = await top(pids, call.text("ps_args"))
    return json_reply({"Titles": list(titles), "Processes": rows})


async def changes(call: Call) -> web.Response:
    return json_reply(shapes.changes(await call.engine.containers.changes(call.path["id"])))


ROUTES = (
    Route("GET", "/containers/json", list_),
    Route("GET", "/containers/{id*}/json", inspect),
    Route("GET", "/containers/{id*}/top", processes),
    Route("GET", "/containers/{id*}/changes", changes),
    Route("POST", "/containers/create", create),
    Route("POST", "/containers/prune", prune),
    Route("POST", "/containers/{id*}/start", start),
    Route("POST", "/containers/{id*}/stop", stop),
    Route("POST", "/containers/{id*}/restart", restart),
    Route("POST", "/containers/{id*}/kill", kill),
    Route("POST", "/containers/{id*}/pause", pause),
    Route("POST", "/containers/{id*}/unpause", unpause),
    Route("POST", "/containers/{id*}/rename", rename),
    Route("POST", "/containers/{id*}/resize", resize),
    Route("POST", "/containers/{id*}/update", update),
    Route("POST", "/containers/{id*}/wait", wait, stream=True),
    Route("DELETE", "/containers/{id*}", remove),
)
